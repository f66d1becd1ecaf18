// SPDX-License-Identifier: Apache-2.0
//
// XXH32 with seed 0, after the xxHash specification (its "xxHash fast digest algorithm", XXH32): the
// checksum of LZ4 frames. Its steps, for the device (xxh32_warp.h) and for the host (../xxh32_stream.h).
#ifndef AXLE_CUDA_KERNELS_XXH32_H
#define AXLE_CUDA_KERNELS_XXH32_H

#include "language.h"

namespace axle::cuda::kernels {

constexpr uint32_t kXxhPrime1 = 0x9E3779B1u;
constexpr uint32_t kXxhPrime2 = 0x85EBCA77u;
constexpr uint32_t kXxhPrime3 = 0xC2B2AE3Du;
constexpr uint32_t kXxhPrime4 = 0x27D4EB2Fu;
constexpr uint32_t kXxhPrime5 = 0x165667B1u;
constexpr uint32_t kXxhStripeBytes = 16;

AXLE_DEVICE inline uint32_t rotate_left(uint32_t value, unsigned by) {
  return (value << by) | (value >> (32u - by));
}

AXLE_DEVICE inline uint32_t xxh_round(uint32_t accumulator, uint32_t word) {
  return rotate_left(accumulator + word * kXxhPrime2, 13) * kXxhPrime1;
}

// What accumulator 0 to 3 begins with.
AXLE_DEVICE inline uint32_t xxh_begin(unsigned accumulator) {
  switch (accumulator) {
    case 0:
      return kXxhPrime1 + kXxhPrime2;
    case 1:
      return kXxhPrime2;
    case 2:
      return 0;
    default:
      return 0u - kXxhPrime1;
  }
}

// The four accumulators in one, of `bytes` in all; of fewer than a stripe they do not count.
AXLE_DEVICE inline uint32_t xxh_merge(uint32_t a, uint32_t b, uint32_t c, uint32_t d,
                                      uint64_t bytes) {
  const uint32_t merged = bytes >= kXxhStripeBytes ? rotate_left(a, 1) + rotate_left(b, 7) +
                                                         rotate_left(c, 12) + rotate_left(d, 18)
                                                   : kXxhPrime5;
  return merged + static_cast<uint32_t>(bytes);
}

// Takes in the last bytes, fewer than a stripe, and mixes.
AXLE_DEVICE inline uint32_t xxh_end(uint32_t hash, const uint8_t *tail, uint32_t bytes) {
  uint32_t at = 0;
  for (; at + 4 <= bytes; at += 4) {
    const uint32_t word = tail[at] | (uint32_t{tail[at + 1]} << 8) |
                          (uint32_t{tail[at + 2]} << 16) | (uint32_t{tail[at + 3]} << 24);
    hash = rotate_left(hash + word * kXxhPrime3, 17) * kXxhPrime4;
  }
  for (; at < bytes; at++) {
    hash = rotate_left(hash + tail[at] * kXxhPrime5, 11) * kXxhPrime1;
  }
  hash = (hash ^ (hash >> 15)) * kXxhPrime2;
  hash = (hash ^ (hash >> 13)) * kXxhPrime3;
  return hash ^ (hash >> 16);
}

}  // namespace axle::cuda::kernels

#endif
