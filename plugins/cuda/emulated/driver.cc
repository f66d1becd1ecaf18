// SPDX-License-Identifier: Apache-2.0
//
// The entry points of libcuda that the plugin uses, over the emulated devices. Stricter than the driver
// where it is forgiving: copies take pinned memory only, and every copy's range is held against what was
// allocated.
#include <cstdio>
#include <cstring>
#include <string>

#include "kernels.h"
#include "machine.h"

using namespace axle::cuda;            // NOLINT: the types of the signatures
using namespace axle::cuda::emulated;  // NOLINT
using namespace axle::cuda::cu;        // NOLINT

#define AXLE_DRIVER extern "C" __attribute__((visibility("default")))

// Tells the plugin, and whoever asks, what this is.
AXLE_DRIVER const char axle_emulated_cuda[];
const char axle_emulated_cuda[] = "emulated CUDA driver of Axle: no hardware";

// Sets it anew, as if the process had just begun; nothing of it may be in use. For tests.
AXLE_DRIVER Result axle_emulated_cuda_configure(const char *settings) {
  return Machine::get().initialise(settings);
}
// How many allocations of device and pinned memory there are. For tests.
AXLE_DRIVER size_t axle_emulated_cuda_allocations() {
  Machine &machine = Machine::get();
  size_t count = machine.pinned.count();
  for (const auto &device : machine.devices) count += device->memory.count();
  return count;
}
// Whether some byte of the device memory that is allocated now equals `value` `run` times in a row. For
// tests of what is left behind.
AXLE_DRIVER int axle_emulated_cuda_holds(cu::Ptr from, size_t bytes, unsigned char value,
                                         size_t run) {
  const auto *at = reinterpret_cast<const unsigned char *>(from);
  size_t seen = 0;
  for (size_t i = 0; i < bytes; i++) {
    seen = at[i] == value ? seen + 1 : 0;
    if (seen == run) return 1;
  }
  return 0;
}

namespace {

struct LoadedModule {};
LoadedModule the_module;

thread_local emulated::Device *current = nullptr;

emulated::Stream *object(cu::Stream stream) { return reinterpret_cast<emulated::Stream *>(stream); }
emulated::Event *object(cu::Event event) { return reinterpret_cast<emulated::Event *>(event); }

emulated::Device *device_of(cu::Device ordinal) {
  Machine &machine = Machine::get();
  if (ordinal < 0 || static_cast<size_t>(ordinal) >= machine.visible) return nullptr;
  return machine.devices[static_cast<size_t>(ordinal)].get();
}

// What every call in a context answers first.
Result ready() {
  if (current == nullptr || !current->has_context()) return kInvalidContext;
  return current->state();
}

// Runs `work` when the stream comes to it, unless the context has ended by then.
template <class Work>
Result enqueue(cu::Stream stream, Work work) {
  if (const Result result = ready(); result != kSuccess) return result;
  emulated::Stream *queue = object(stream);
  if (queue == nullptr) return kInvalidValue;  // the plugin uses no default stream
  emulated::Device &device = queue->device();
  queue->add([&device, work]() mutable -> Result {
    if (device.state() != kSuccess) return kSuccess;
    if (device.is_lost()) return kDeviceUnavailable;
    return work();
  });
  return kSuccess;
}

bool pinned(const void *at, size_t bytes) {
  return Machine::get().pinned.contains(reinterpret_cast<uintptr_t>(at), bytes);
}

}  // namespace

AXLE_DRIVER Result cuInit(unsigned flags) {
  return flags == 0 ? Machine::get().initialise(nullptr) : kInvalidValue;
}

AXLE_DRIVER Result cuDriverGetVersion(int *version) {
  *version = static_cast<int>(Machine::get().settings.version);
  return kSuccess;
}

namespace {

struct ErrorText {
  Result result;
  const char *name;
  const char *text;
};

constexpr ErrorText kErrors[] = {
    {kSuccess, "CUDA_SUCCESS", "no error (emulated)"},
    {kInvalidValue, "CUDA_ERROR_INVALID_VALUE", "invalid argument (emulated)"},
    {kOutOfMemory, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory (emulated)"},
    {kNotInitialized, "CUDA_ERROR_NOT_INITIALIZED", "not initialised (emulated)"},
    {kDeviceUnavailable, "CUDA_ERROR_DEVICE_UNAVAILABLE", "the device is gone (emulated)"},
    {kNoDevice, "CUDA_ERROR_NO_DEVICE", "no device is visible (emulated)"},
    {kInvalidDevice, "CUDA_ERROR_INVALID_DEVICE", "no such device (emulated)"},
    {kInvalidContext, "CUDA_ERROR_INVALID_CONTEXT", "no context (emulated)"},
    {kNotFound, "CUDA_ERROR_NOT_FOUND", "no such kernel (emulated)"},
    {kIllegalAddress, "CUDA_ERROR_ILLEGAL_ADDRESS", "an address that is no memory (emulated)"},
    {kLaunchFailed, "CUDA_ERROR_LAUNCH_FAILED", "a kernel failed (emulated)"},
};

const ErrorText *error_text(Result result) {
  for (const ErrorText &error : kErrors) {
    if (error.result == result) return &error;
  }
  return nullptr;
}

}  // namespace

AXLE_DRIVER Result cuGetErrorName(Result error, const char **text) {
  const ErrorText *found = error_text(error);
  *text = found == nullptr ? nullptr : found->name;
  return found == nullptr ? kInvalidValue : kSuccess;
}

AXLE_DRIVER Result cuGetErrorString(Result error, const char **text) {
  const ErrorText *found = error_text(error);
  *text = found == nullptr ? nullptr : found->text;
  return found == nullptr ? kInvalidValue : kSuccess;
}

AXLE_DRIVER Result cuDeviceGetCount(int *count) {
  *count = static_cast<int>(Machine::get().visible);
  return kSuccess;
}

AXLE_DRIVER Result cuDeviceGet(cu::Device *device, int ordinal) {
  if (device_of(ordinal) == nullptr) return kInvalidDevice;
  *device = ordinal;
  return kSuccess;
}

AXLE_DRIVER Result cuDeviceGetName(char *name, int bytes, cu::Device device) {
  const emulated::Device *found = device_of(device);
  if (found == nullptr) return kInvalidDevice;
  const bool mig = Machine::get().settings.mig != 0;
  std::snprintf(name, static_cast<size_t>(bytes), "Emulated GPU %d%s (no hardware)", found->ordinal,
                mig ? " MIG 1g.10gb" : "");
  return kSuccess;
}

AXLE_DRIVER Result cuDeviceTotalMem_v2(size_t *bytes, cu::Device device) {
  if (device_of(device) == nullptr) return kInvalidDevice;
  *bytes = Machine::get().settings.memory;
  return kSuccess;
}

AXLE_DRIVER Result cuDeviceGetAttribute(int *value, Attribute attribute, cu::Device device) {
  if (device_of(device) == nullptr) return kInvalidDevice;
  switch (attribute) {
    case kMultiprocessorCount:
      *value = 1;
      return kSuccess;
    case kComputeCapabilityMajor:
      *value = 7;
      return kSuccess;
    case kComputeCapabilityMinor:
      *value = 5;
      return kSuccess;
    default:
      return kInvalidValue;
  }
}

AXLE_DRIVER Result cuDeviceGetUuid_v2(Uuid *uuid, cu::Device device) {
  const emulated::Device *found = device_of(device);
  if (found == nullptr) return kInvalidDevice;
  const std::string text = "emulated-gpu-" + std::to_string(1000 + found->ordinal).substr(1);
  std::memcpy(uuid->bytes, text.data(), sizeof(uuid->bytes));
  return kSuccess;
}

AXLE_DRIVER Result cuDevicePrimaryCtxSetFlags_v2(cu::Device device, unsigned) {
  return device_of(device) == nullptr ? kInvalidDevice : kSuccess;
}

AXLE_DRIVER Result cuDevicePrimaryCtxRetain(Context *context, cu::Device device) {
  emulated::Device *found = device_of(device);
  if (found == nullptr) return kInvalidDevice;
  *context = reinterpret_cast<Context>(found);
  return found->retain();
}

AXLE_DRIVER Result cuDevicePrimaryCtxRelease_v2(cu::Device device) {
  emulated::Device *found = device_of(device);
  return found == nullptr ? kInvalidDevice : found->release();
}

AXLE_DRIVER Result cuCtxSetCurrent(Context context) {
  current = reinterpret_cast<emulated::Device *>(context);
  return kSuccess;
}

AXLE_DRIVER Result cuModuleLoadData(cu::Module *module, const void *) {
  if (const Result result = ready(); result != kSuccess) return result;
  *module = reinterpret_cast<cu::Module>(&the_module);
  return kSuccess;
}

AXLE_DRIVER Result cuModuleUnload(cu::Module) { return ready(); }

AXLE_DRIVER Result cuModuleGetFunction(Function *function, cu::Module, const char *name) {
  const Kernel *kernel = find_kernel(name);
  if (kernel == nullptr) return kNotFound;
  *function = reinterpret_cast<Function>(const_cast<Kernel *>(kernel));
  return ready();
}

AXLE_DRIVER Result cuMemAlloc_v2(Ptr *pointer, size_t bytes) {
  const Result result = ready();
  return result == kSuccess ? current->alloc(bytes, pointer) : result;
}

AXLE_DRIVER Result cuMemFree_v2(Ptr pointer) {
  if (current == nullptr) return kInvalidContext;
  const Result freed = current->free(pointer);
  return current->state() == kSuccess ? freed : current->state();
}

AXLE_DRIVER Result cuMemHostAlloc(void **pointer, size_t bytes, unsigned) {
  if (const Result result = ready(); result != kSuccess) return result;
  *pointer = bytes == 0 ? nullptr : Machine::get().pinned.add(bytes);
  return *pointer == nullptr ? kOutOfMemory : kSuccess;
}

AXLE_DRIVER Result cuMemFreeHost(void *pointer) {
  if (current == nullptr) return kInvalidContext;
  current->wait_idle();
  return Machine::get().pinned.remove(pointer) ? kSuccess : kInvalidValue;
}

AXLE_DRIVER Result cuMemcpyHtoDAsync_v2(Ptr to, const void *from, size_t bytes, cu::Stream stream) {
  if (const Result result = ready(); result != kSuccess) return result;
  if (!current->memory.contains(to, bytes) || !pinned(from, bytes)) return kInvalidValue;
  emulated::Device *device = current;
  return enqueue(stream, [device, to, from, bytes]() -> Result {
    if (!device->memory.contains(to, bytes)) return kIllegalAddress;
    device->copy_takes(bytes);
    std::memcpy(reinterpret_cast<void *>(to), from, bytes);
    return kSuccess;
  });
}

AXLE_DRIVER Result cuMemcpyDtoHAsync_v2(void *to, Ptr from, size_t bytes, cu::Stream stream) {
  if (const Result result = ready(); result != kSuccess) return result;
  if (!current->memory.contains(from, bytes) || !pinned(to, bytes)) return kInvalidValue;
  emulated::Device *device = current;
  return enqueue(stream, [device, to, from, bytes]() -> Result {
    if (!device->memory.contains(from, bytes)) return kIllegalAddress;
    device->copy_takes(bytes);
    std::memcpy(to, reinterpret_cast<const void *>(from), bytes);
    return kSuccess;
  });
}

AXLE_DRIVER Result cuMemcpyDtoDAsync_v2(Ptr to, Ptr from, size_t bytes, cu::Stream stream) {
  if (const Result result = ready(); result != kSuccess) return result;
  if (!current->memory.contains(from, bytes) || !current->memory.contains(to, bytes)) {
    return kInvalidValue;
  }
  return enqueue(stream, [to, from, bytes]() -> Result {
    std::memmove(reinterpret_cast<void *>(to), reinterpret_cast<const void *>(from), bytes);
    return kSuccess;
  });
}

AXLE_DRIVER Result cuMemsetD8Async(Ptr to, unsigned char value, size_t bytes, cu::Stream stream) {
  if (const Result result = ready(); result != kSuccess) return result;
  if (!current->memory.contains(to, bytes)) return kInvalidValue;
  const int filled = value == 0 ? current->poison() : value;
  return enqueue(stream, [to, filled, bytes]() -> Result {
    std::memset(reinterpret_cast<void *>(to), filled, bytes);
    return kSuccess;
  });
}

AXLE_DRIVER Result cuStreamCreate(cu::Stream *stream, unsigned) {
  if (const Result result = ready(); result != kSuccess) return result;
  *stream = reinterpret_cast<cu::Stream>(new emulated::Stream(*current));
  return kSuccess;
}

AXLE_DRIVER Result cuStreamDestroy_v2(cu::Stream stream) {
  delete object(stream);
  return kSuccess;
}

AXLE_DRIVER Result cuStreamSynchronize(cu::Stream stream) {
  if (current == nullptr) return kInvalidContext;
  object(stream)->wait_idle();
  return current->state();
}

AXLE_DRIVER Result cuStreamWaitEvent(cu::Stream stream, cu::Event event, unsigned) {
  if (const Result result = ready(); result != kSuccess) return result;
  emulated::Event *awaited = object(event);
  const uint64_t record = awaited->recorded();
  object(stream)->add([awaited, record]() -> Result {
    awaited->wait(record);
    return kSuccess;
  });
  return kSuccess;
}

AXLE_DRIVER Result cuEventCreate(cu::Event *event, unsigned) {
  if (const Result result = ready(); result != kSuccess) return result;
  *event = reinterpret_cast<cu::Event>(new emulated::Event);
  return kSuccess;
}

AXLE_DRIVER Result cuEventDestroy_v2(cu::Event event) {
  if (current != nullptr) current->wait_idle();
  delete object(event);
  return kSuccess;
}

AXLE_DRIVER Result cuEventRecord(cu::Event event, cu::Stream stream) {
  if (const Result result = ready(); result != kSuccess) return result;
  emulated::Event *recorded = object(event);
  const uint64_t record = recorded->record();
  object(stream)->add([recorded, record]() -> Result {
    recorded->reach(record);
    return kSuccess;
  });
  return kSuccess;
}

AXLE_DRIVER Result cuEventSynchronize(cu::Event event) {
  if (current == nullptr) return kInvalidContext;
  object(event)->wait();
  return current->state();
}

AXLE_DRIVER Result cuLaunchKernel(Function function, unsigned grid_x, unsigned grid_y,
                                  unsigned grid_z, unsigned block_x, unsigned block_y,
                                  unsigned block_z, unsigned shared_bytes, cu::Stream stream,
                                  void **arguments, void **extra) {
  constexpr unsigned kBlockThreadsMax = 1024;
  constexpr unsigned kLanes = 32;
  const bool one_dimension = grid_y == 1 && grid_z == 1 && block_y == 1 && block_z == 1;
  // Whole warps only, which is all that the kernels are launched with.
  if (function == nullptr || !one_dimension || grid_x == 0 || block_x == 0 ||
      block_x > kBlockThreadsMax || block_x % kLanes != 0 || shared_bytes != 0 ||
      extra != nullptr) {
    return kInvalidValue;
  }
  const auto &kernel = *reinterpret_cast<const Kernel *>(function);
  // Arguments are taken when the call is made, as the driver does.
  std::vector<std::vector<char>> values;
  for (size_t i = 0; i < kernel.argument_bytes.size(); i++) {
    const auto *value = static_cast<const char *>(arguments[i]);
    values.emplace_back(value, value + kernel.argument_bytes[i]);
  }
  emulated::Device *device = current;
  return enqueue(stream, [device, &kernel, grid_x, block_x, values]() mutable -> Result {
    if (device->launch_fails()) return kLaunchFailed;
    std::vector<void *> pointers;
    for (std::vector<char> &value : values) pointers.push_back(value.data());
    run_grid(kernel.call, pointers.data(), grid_x, block_x);
    return kSuccess;
  });
}
