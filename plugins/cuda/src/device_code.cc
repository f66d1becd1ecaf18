// SPDX-License-Identifier: Apache-2.0
#include "device_code.h"

#ifdef AXLE_CUDA_DEVICE_CODE
// PTX is text, and has to end as text does.
asm(R"(
.section .rodata
.balign 64
.globl axle_cuda_device_code
.hidden axle_cuda_device_code
axle_cuda_device_code:
.incbin ")" AXLE_CUDA_DEVICE_CODE R"("
.byte 0
.previous
)");

extern "C" const char axle_cuda_device_code[];
#endif

namespace axle::cuda {

const void *device_code() {
#ifdef AXLE_CUDA_DEVICE_CODE
  return axle_cuda_device_code;
#else
  return nullptr;
#endif
}

}  // namespace axle::cuda
