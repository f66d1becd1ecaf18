// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CUDA_KERNELS_TARGET_NVCC_H
#define AXLE_CUDA_KERNELS_TARGET_NVCC_H

#include "language.h"

#define AXLE_KERNEL extern "C" __global__
#define AXLE_NOINLINE __noinline__
#define AXLE_UNROLL _Pragma("unroll")
#define AXLE_SHARED(type, name, count) __shared__ type name[count]

namespace axle::cuda::kernels {

__device__ inline unsigned thread_x() { return threadIdx.x; }
__device__ inline unsigned block_x() { return blockIdx.x; }
__device__ inline unsigned block_threads() { return blockDim.x; }
__device__ inline unsigned grid_blocks() { return gridDim.x; }
__device__ inline unsigned lane() { return threadIdx.x & 31u; }
__device__ inline void sync_threads() { __syncthreads(); }
__device__ inline void sync_warp() { __syncwarp(); }
__device__ inline unsigned ballot(bool predicate) { return __ballot_sync(0xFFFFFFFFu, predicate); }
__device__ inline uint32_t shuffle(uint32_t value, unsigned from) {
  return __shfl_sync(0xFFFFFFFFu, value, static_cast<int>(from));
}
__device__ inline unsigned match_any(uint32_t value) {
  return __match_any_sync(0xFFFFFFFFu, value);
}
__device__ inline int count_trailing_zeros(unsigned mask) {
  return __ffs(static_cast<int>(mask)) - 1;
}
__device__ inline int count_leading_zeros(unsigned mask) { return __clz(static_cast<int>(mask)); }
__device__ inline float square_root(float value) { return __fsqrt_rn(value); }
__device__ inline double square_root(double value) { return __dsqrt_rn(value); }

}  // namespace axle::cuda::kernels

#endif
