// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CUDA_KERNELS_XXH32_WARP_H
#define AXLE_CUDA_KERNELS_XXH32_WARP_H

#include "target.h"
#include "xxh32.h"

namespace axle::cuda::kernels {

// By a whole warp, the same result in every lane. The chain of one accumulator is serial, so four lanes
// do the work; the others come along.
AXLE_DEVICE inline uint32_t xxh32_of_warp(const uint8_t *data, uint32_t bytes) {
  const unsigned accumulator = lane() & 3u;
  const uint32_t stripes = bytes / kXxhStripeBytes;
  uint32_t mine = xxh_begin(accumulator);
  if (lane() < 4) {
    const uint8_t *word = data + accumulator * 4u;
    for (uint32_t i = 0; i < stripes; i++) {
      mine = xxh_round(mine, load_u32(word + i * kXxhStripeBytes));
    }
  }
  const uint32_t merged =
      xxh_merge(shuffle(mine, 0), shuffle(mine, 1), shuffle(mine, 2), shuffle(mine, 3), bytes);
  return xxh_end(merged, data + stripes * kXxhStripeBytes, bytes % kXxhStripeBytes);
}

}  // namespace axle::cuda::kernels

#endif
