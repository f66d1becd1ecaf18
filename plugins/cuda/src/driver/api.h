// SPDX-License-Identifier: Apache-2.0
//
// What this plugin uses of the CUDA driver API, declared here so that building takes no CUDA header and
// running no CUDA library. Names, values and argument lists are those of cuda.h 11.4 and later;
// test/api_check.cc compares them with cuda.h wherever one is found.
#ifndef AXLE_CUDA_DRIVER_API_H
#define AXLE_CUDA_DRIVER_API_H

#include <cstddef>
#include <cstdint>

namespace axle::cuda::cu {

using Result = int;     // CUresult
using Device = int;     // CUdevice
using Ptr = uint64_t;   // CUdeviceptr: an address of the device, never one of the host
using Attribute = int;  // CUdevice_attribute
struct ContextOf;
struct ModuleOf;
struct FunctionOf;
struct StreamOf;
struct EventOf;
using Context = ContextOf *;
using Module = ModuleOf *;
using Function = FunctionOf *;
using Stream = StreamOf *;
using Event = EventOf *;

struct Uuid {
  char bytes[16];
};

constexpr Result kSuccess = 0;
constexpr Result kInvalidValue = 1;
constexpr Result kOutOfMemory = 2;
constexpr Result kNotInitialized = 3;
constexpr Result kDeviceUnavailable = 46;
constexpr Result kNoDevice = 100;
constexpr Result kInvalidDevice = 101;
constexpr Result kInvalidContext = 201;
constexpr Result kNoBinaryForGpu = 209;
constexpr Result kNotFound = 500;
constexpr Result kNotReady = 600;
constexpr Result kIllegalAddress = 700;
constexpr Result kLaunchFailed = 719;

constexpr Attribute kMultiprocessorCount = 16;
constexpr Attribute kComputeCapabilityMajor = 75;
constexpr Attribute kComputeCapabilityMinor = 76;

constexpr unsigned kStreamNonBlocking = 1;
constexpr unsigned kEventBlockingSync = 1;
constexpr unsigned kEventDisableTiming = 2;
constexpr unsigned kContextBlockingSync = 4;

// X(member, exported name, arguments)
#define AXLE_CUDA_DRIVER_FUNCTIONS(X)                                                             \
  X(init, cuInit, (unsigned flags))                                                               \
  X(driver_version, cuDriverGetVersion, (int *version))                                           \
  X(error_name, cuGetErrorName, (Result error, const char **text))                                \
  X(error_string, cuGetErrorString, (Result error, const char **text))                            \
  X(device_count, cuDeviceGetCount, (int *count))                                                 \
  X(device_get, cuDeviceGet, (Device * device, int ordinal))                                      \
  X(device_name, cuDeviceGetName, (char *name, int bytes, Device device))                         \
  X(device_total_memory, cuDeviceTotalMem_v2, (size_t * bytes, Device device))                    \
  X(device_attribute, cuDeviceGetAttribute, (int *value, Attribute attribute, Device device))     \
  X(device_uuid, cuDeviceGetUuid_v2, (Uuid * uuid, Device device))                                \
  X(primary_set_flags, cuDevicePrimaryCtxSetFlags_v2, (Device device, unsigned flags))            \
  X(primary_retain, cuDevicePrimaryCtxRetain, (Context * context, Device device))                 \
  X(primary_release, cuDevicePrimaryCtxRelease_v2, (Device device))                               \
  X(context_set, cuCtxSetCurrent, (Context context))                                              \
  X(module_load, cuModuleLoadData, (Module * module, const void *image))                          \
  X(module_unload, cuModuleUnload, (Module module))                                               \
  X(module_function, cuModuleGetFunction, (Function * function, Module module, const char *name)) \
  X(memory_alloc, cuMemAlloc_v2, (Ptr * pointer, size_t bytes))                                   \
  X(memory_free, cuMemFree_v2, (Ptr pointer))                                                     \
  X(host_alloc, cuMemHostAlloc, (void **pointer, size_t bytes, unsigned flags))                   \
  X(host_free, cuMemFreeHost, (void *pointer))                                                    \
  X(copy_in, cuMemcpyHtoDAsync_v2, (Ptr to, const void *from, size_t bytes, Stream stream))       \
  X(copy_out, cuMemcpyDtoHAsync_v2, (void *to, Ptr from, size_t bytes, Stream stream))            \
  X(copy, cuMemcpyDtoDAsync_v2, (Ptr to, Ptr from, size_t bytes, Stream stream))                  \
  X(fill, cuMemsetD8Async, (Ptr to, unsigned char value, size_t bytes, Stream stream))            \
  X(stream_create, cuStreamCreate, (Stream * stream, unsigned flags))                             \
  X(stream_destroy, cuStreamDestroy_v2, (Stream stream))                                          \
  X(stream_synchronize, cuStreamSynchronize, (Stream stream))                                     \
  X(stream_wait, cuStreamWaitEvent, (Stream stream, Event event, unsigned flags))                 \
  X(event_create, cuEventCreate, (Event * event, unsigned flags))                                 \
  X(event_destroy, cuEventDestroy_v2, (Event event))                                              \
  X(event_record, cuEventRecord, (Event event, Stream stream))                                    \
  X(event_synchronize, cuEventSynchronize, (Event event))                                         \
  X(launch, cuLaunchKernel,                                                                       \
    (Function function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,      \
     unsigned block_y, unsigned block_z, unsigned shared_bytes, Stream stream, void **arguments,  \
     void **extra))

// The driver's functions, each found by its name in libcuda.
struct Functions {
#define AXLE_CUDA_MEMBER(member, name, arguments) Result(*member) arguments = nullptr;
  AXLE_CUDA_DRIVER_FUNCTIONS(AXLE_CUDA_MEMBER)
#undef AXLE_CUDA_MEMBER
};

// What the emulated driver of this repository (emulated/) exports, and no other driver: a line that says
// what it is. Devices of a driver that has it are called emulated.
constexpr const char *kEmulatedMark = "axle_emulated_cuda";

}  // namespace axle::cuda::cu

#endif
