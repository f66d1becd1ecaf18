// SPDX-License-Identifier: Apache-2.0
//
// What this plugin uses of XRT's C API, declared here so that building takes no XRT header and running no XRT library.
// Names, values and argument lists are those of XRT 2.13; test/api_check.cc compares them with its headers wherever they
// are found.
#ifndef AXLE_FPGA_XRT_API_H
#define AXLE_FPGA_XRT_API_H

#include <cstddef>
#include <cstdint>

namespace axle::fpga::xrt {

using Device = void *;  // xrtDeviceHandle
using Kernel = void *;  // xrtKernelHandle
using Run = void *;     // xrtRunHandle
using Buffer = void *;  // xrtBufferHandle
using Uuid = unsigned char[16];

// enum xclBOSyncDirection
constexpr int kToDevice = 0;
constexpr int kFromDevice = 1;

// enum ert_cmd_state
constexpr int kStateCompleted = 4;
constexpr int kStateError = 5;
constexpr int kStateAbort = 6;
constexpr int kStateNoResponse = 9;
constexpr int kStateSoftKernelError = 10;
constexpr int kStateSoftKernelCrashed = 11;

// X(member, exported name, result, arguments)
#define AXLE_FPGA_XRT_FUNCTIONS(X)                                                  \
  X(device_open, xrtDeviceOpen, Device, (unsigned int index))                       \
  X(device_close, xrtDeviceClose, int, (Device device))                             \
  X(device_load, xrtDeviceLoadXclbinFile, int, (Device device, const char *path))   \
  X(device_uuid, xrtDeviceGetXclbinUUID, int, (Device device, unsigned char *uuid)) \
  X(kernel_open, xrtPLKernelOpen, Kernel,                                           \
    (Device device, const unsigned char *uuid, const char *name))                   \
  X(kernel_close, xrtKernelClose, int, (Kernel kernel))                             \
  X(kernel_group, xrtKernelArgGroupId, int, (Kernel kernel, int argument))          \
  X(run_open, xrtRunOpen, Run, (Kernel kernel))                                     \
  X(run_set, xrtRunSetArg, int, (Run run, int index, ...))                          \
  X(run_start, xrtRunStart, int, (Run run))                                         \
  X(run_wait, xrtRunWaitFor, int, (Run run, unsigned int timeout_ms))               \
  X(run_close, xrtRunClose, int, (Run run))                                         \
  X(buffer_alloc, xrtBOAlloc, Buffer,                                               \
    (Device device, size_t bytes, uint64_t flags, uint32_t group))                  \
  X(buffer_free, xrtBOFree, int, (Buffer buffer))                                   \
  X(buffer_map, xrtBOMap, void *, (Buffer buffer))                                  \
  X(buffer_sync, xrtBOSync, int, (Buffer buffer, int direction, size_t bytes, size_t offset))

// XRT's functions, each found by its name in libxrt_coreutil.
struct Functions {
#define AXLE_FPGA_MEMBER(member, name, result, arguments) result(*member) arguments = nullptr;
  AXLE_FPGA_XRT_FUNCTIONS(AXLE_FPGA_MEMBER)
#undef AXLE_FPGA_MEMBER
};

// What the library of this repository (emulated/) exports, and no other. Cards of a library that has it are called
// emulated.
constexpr const char *kEmulatedMark = "axle_emulated_xrt";

}  // namespace axle::fpga::xrt

#endif
