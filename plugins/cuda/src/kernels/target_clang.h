// SPDX-License-Identifier: Apache-2.0
//
// clang knows CUDA's attributes and the builtins of NVPTX, and wants headers of a toolkit for the rest:
// with these few definitions it does without one (-nocudainc -nocudalib).
#ifndef AXLE_CUDA_KERNELS_TARGET_CLANG_H
#define AXLE_CUDA_KERNELS_TARGET_CLANG_H

#include "language.h"

#define AXLE_KERNEL extern "C" __attribute__((global))
#define AXLE_NOINLINE __attribute__((noinline))
#define AXLE_UNROLL _Pragma("unroll")
#define AXLE_SHARED(type, name, count) __attribute__((shared)) type name[count]

namespace axle::cuda::kernels {

AXLE_DEVICE inline unsigned thread_x() {
  return static_cast<unsigned>(__nvvm_read_ptx_sreg_tid_x());
}
AXLE_DEVICE inline unsigned block_x() {
  return static_cast<unsigned>(__nvvm_read_ptx_sreg_ctaid_x());
}
AXLE_DEVICE inline unsigned block_threads() {
  return static_cast<unsigned>(__nvvm_read_ptx_sreg_ntid_x());
}
AXLE_DEVICE inline unsigned grid_blocks() {
  return static_cast<unsigned>(__nvvm_read_ptx_sreg_nctaid_x());
}
AXLE_DEVICE inline unsigned lane() { return thread_x() & 31u; }
AXLE_DEVICE inline void sync_threads() { __syncthreads(); }
AXLE_DEVICE inline void sync_warp() { __nvvm_bar_warp_sync(0xFFFFFFFFu); }
AXLE_DEVICE inline unsigned ballot(bool predicate) {
  return __nvvm_vote_ballot_sync(0xFFFFFFFFu, predicate);
}
AXLE_DEVICE inline uint32_t shuffle(uint32_t value, unsigned from) {
  return static_cast<uint32_t>(
      __nvvm_shfl_sync_idx_i32(0xFFFFFFFFu, static_cast<int>(value), static_cast<int>(from), 0x1F));
}
AXLE_DEVICE inline unsigned match_any(uint32_t value) {
  return __nvvm_match_any_sync_i32(0xFFFFFFFFu, value);
}
AXLE_DEVICE inline int count_trailing_zeros(unsigned mask) { return __builtin_ctz(mask); }
AXLE_DEVICE inline int count_leading_zeros(unsigned mask) { return __builtin_clz(mask); }
AXLE_DEVICE inline float square_root(float value) { return __nvvm_sqrt_rn_f(value); }
AXLE_DEVICE inline double square_root(double value) { return __nvvm_sqrt_rn_d(value); }

}  // namespace axle::cuda::kernels

#endif
