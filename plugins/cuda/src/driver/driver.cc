// SPDX-License-Identifier: Apache-2.0
#include "driver.h"

#include <dlfcn.h>

namespace axle::cuda {

namespace {

constexpr const char *kSystemDriver = "libcuda.so.1";
constexpr int kVersionMin = 11040;  // cuDeviceGetUuid_v2

[[noreturn]] void unavailable(const std::string &why) {
  throw Failure(AXLE_STATUS_UNAVAILABLE, one_line(why));
}

// The one place where a symbol gets a type: the table's own.
template <class FunctionType>
void find(void *library, const char *name, FunctionType **slot) {
  *slot = reinterpret_cast<FunctionType *>(dlsym(library, name));
  if (*slot != nullptr) return;
  unavailable(std::string("the NVIDIA driver has no ") + name +
              "; it is older than CUDA 11.4, install a newer one");
}

void *open_library(const std::string &path) {
  void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library != nullptr) return library;
  const char *why = dlerror();
  unavailable("no NVIDIA driver: " + std::string(why == nullptr ? path : why));
}

}  // namespace

bool DriverFailure::sticky() const {
  // What cuda.h says to leave the process in an inconsistent state, and a device that is gone.
  switch (result_) {
    case cu::kDeviceUnavailable:
    case 214:  // uncorrectable ECC error
    case 220:  // NVLink
    case cu::kIllegalAddress:
    case 702:  // launch timeout
    case 709:  // the context is destroyed
    case 710:  // assert
    case 714:  // hardware stack error
    case 715:  // illegal instruction
    case 716:  // misaligned address
    case 717:
    case 718:
    case cu::kLaunchFailed:
    case 999:  // unknown
      return true;
    default:
      return false;
  }
}

Driver::Driver(const std::string &path) {
  void *library = open_library(path.empty() ? kSystemDriver : path);
#define AXLE_CUDA_FIND(member, name, arguments) find(library, #name, &functions_.member);
  AXLE_CUDA_DRIVER_FUNCTIONS(AXLE_CUDA_FIND)
#undef AXLE_CUDA_FIND
  emulated_ = dlsym(library, cu::kEmulatedMark) != nullptr;
  if (const cu::Result result = functions_.init(0); result != cu::kSuccess) {
    unavailable("the NVIDIA driver does not start: " + text(result));
  }
  check(functions_.driver_version(&version_), "asking for the driver's version");
  if (version_ < kVersionMin) {
    unavailable("the NVIDIA driver is of CUDA " + std::to_string(version_ / 1000) + "." +
                std::to_string(version_ % 1000 / 10) + "; 11.4 is the oldest that will do");
  }
  check(functions_.device_count(&device_count_), "counting devices");
  if (device_count_ == 0) {
    unavailable("the NVIDIA driver shows no device; see nvidia-smi and CUDA_VISIBLE_DEVICES");
  }
}

std::string Driver::text(cu::Result result) const {
  const char *name = nullptr;
  const char *meaning = nullptr;
  if (functions_.error_name(result, &name) != cu::kSuccess || name == nullptr) {
    return "error " + std::to_string(result);
  }
  functions_.error_string(result, &meaning);
  return std::string(name) + (meaning == nullptr ? "" : std::string(": ") + meaning);
}

void Driver::fail(cu::Result result, const char *what) const {
  const DriverFailure probe(AXLE_STATUS_UNAVAILABLE, "", result);
  int32_t status = AXLE_STATUS_INTERNAL;
  if (result == cu::kOutOfMemory) status = AXLE_STATUS_RESOURCE_EXHAUSTED;
  if (probe.sticky() || result == cu::kNoDevice) status = AXLE_STATUS_UNAVAILABLE;
  throw DriverFailure(status, one_line(std::string(what) + " failed: " + text(result)), result);
}

}  // namespace axle::cuda
