// SPDX-License-Identifier: Apache-2.0
//
// Compiles where driver/api.h agrees with cuda.h: the same number of arguments, of the same sizes and kinds,
// in the same order, for each function; and the same constants. Nothing of it runs.
#include <cuda.h>

#include <type_traits>

#include "driver/api.h"

namespace axle::cuda::cu {

template <class A, class B>
constexpr bool alike() {
  return sizeof(A) == sizeof(B) && std::is_pointer_v<A> == std::is_pointer_v<B>;
}

template <class Ours, class Theirs>
struct Same : std::false_type {};
template <class... Ours, class... Theirs>
struct Same<Result (*)(Ours...), CUresult (*)(Theirs...)> {
  static constexpr bool check() {
    if constexpr (sizeof...(Ours) != sizeof...(Theirs)) {
      return false;
    } else {
      return (alike<Ours, Theirs>() && ...);
    }
  }
  static constexpr bool value = check();
};

// cuda.h renames functions by macros: cuMemAlloc stands for cuMemAlloc_v2. The names of the table are
// those of the library, which cuda.h declares under the same names once its macros are expanded.
#define AXLE_CUDA_SAME(member, name, arguments)                              \
  static_assert(Same<decltype(Functions::member), decltype(&::name)>::value, \
                #name " is not as cuda.h has it");
AXLE_CUDA_DRIVER_FUNCTIONS(AXLE_CUDA_SAME)
#undef AXLE_CUDA_SAME

static_assert(kSuccess == CUDA_SUCCESS && kInvalidValue == CUDA_ERROR_INVALID_VALUE &&
                  kOutOfMemory == CUDA_ERROR_OUT_OF_MEMORY &&
                  kNotInitialized == CUDA_ERROR_NOT_INITIALIZED &&
                  kDeviceUnavailable == CUDA_ERROR_DEVICE_UNAVAILABLE &&
                  kNoDevice == CUDA_ERROR_NO_DEVICE &&
                  kInvalidDevice == CUDA_ERROR_INVALID_DEVICE &&
                  kInvalidContext == CUDA_ERROR_INVALID_CONTEXT &&
                  kNoBinaryForGpu == CUDA_ERROR_NO_BINARY_FOR_GPU &&
                  kNotFound == CUDA_ERROR_NOT_FOUND && kNotReady == CUDA_ERROR_NOT_READY &&
                  kIllegalAddress == CUDA_ERROR_ILLEGAL_ADDRESS &&
                  kLaunchFailed == CUDA_ERROR_LAUNCH_FAILED,
              "results");
static_assert(kMultiprocessorCount == CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT &&
                  kComputeCapabilityMajor == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR &&
                  kComputeCapabilityMinor == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
              "attributes");
static_assert(kStreamNonBlocking == CU_STREAM_NON_BLOCKING &&
                  kEventBlockingSync == CU_EVENT_BLOCKING_SYNC &&
                  kEventDisableTiming == CU_EVENT_DISABLE_TIMING &&
                  kContextBlockingSync == CU_CTX_SCHED_BLOCKING_SYNC,
              "flags");
static_assert(sizeof(Uuid) == sizeof(CUuuid), "CUuuid");

}  // namespace axle::cuda::cu
