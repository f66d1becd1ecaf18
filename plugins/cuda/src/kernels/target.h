// SPDX-License-Identifier: Apache-2.0
//
// What a kernel may use of the machine that it runs on, in one vocabulary for three compilers: nvcc,
// clang without a CUDA toolkit, and the host's own, for the emulated driver. Kernels use nothing else.
//
//   AXLE_KERNEL void name(...)   an entry point, found by its name
//   AXLE_DEVICE                  a function that kernels call (language.h)
//   AXLE_SHARED(T, name, n)      n values that a block's threads share; not set to anything
//   AXLE_NOINLINE                before a function that is called and not written out at each call
//   AXLE_UNROLL                  before a loop whose body is to be written out, for registers have no index
//   thread_x() block_x() block_threads() grid_blocks() lane()
//   sync_threads()               all threads of the block come here before any goes on
//   sync_warp()                  the same for a warp, whose 32 lanes must all come here
//   ballot(p) shuffle(v, lane) match_any(v)   of all 32 lanes; match_any: the lanes with the same v
//   square_root(v)               of float or double, correctly rounded
//
// All warp functions are for whole warps: a kernel keeps the lanes of a warp together and lets a value
// decide what a lane does.
#ifndef AXLE_CUDA_KERNELS_TARGET_H
#define AXLE_CUDA_KERNELS_TARGET_H

#if defined(__CUDACC__) && !defined(__clang__)
#include "target_nvcc.h"
#elif defined(__CUDA__)
#include "target_clang.h"
#else
#include "../../emulated/target_host.h"
#endif

namespace axle::cuda::kernels {

constexpr unsigned kWarpLanes = 32;
constexpr unsigned kAllLanes = 0xFFFFFFFFu;

// The lowest set bit's number; `mask` is not 0.
AXLE_DEVICE inline unsigned lowest_bit(unsigned mask) {
  return static_cast<unsigned>(count_trailing_zeros(mask));
}
AXLE_DEVICE inline unsigned highest_bit(unsigned mask) {
  return 31u - static_cast<unsigned>(count_leading_zeros(mask));
}

// Four bytes from any address, little-endian. Reads whole aligned words only: two loads that a warp's
// neighbours share instead of four. The words that hold the first and last byte must be readable.
AXLE_DEVICE inline uint32_t load_u32(const uint8_t *from) {
  const auto address = reinterpret_cast<uintptr_t>(from);
  const auto *words = reinterpret_cast<const uint32_t *>(address & ~uintptr_t{3});
  const auto shift = static_cast<unsigned>(address & 3u) * 8u;
  if (shift == 0) return words[0];
  return (words[0] >> shift) | (words[1] << (32u - shift));
}

}  // namespace axle::cuda::kernels

#endif
