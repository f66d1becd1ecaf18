// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CUDA_XXH32_STREAM_H
#define AXLE_CUDA_XXH32_STREAM_H

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/xxh32.h"

namespace axle::cuda {

// XXH32 with seed 0 over pieces of any size, on the host.
class Xxh32Stream {
 public:
  void add(const uint8_t *data, size_t bytes) {
    total_bytes_ += bytes;
    if (held_bytes_ > 0) {
      const size_t taken =
          bytes < sizeof(held_) - held_bytes_ ? bytes : sizeof(held_) - held_bytes_;
      std::memcpy(held_ + held_bytes_, data, taken);
      held_bytes_ += taken;
      data += taken;
      bytes -= taken;
      if (held_bytes_ < sizeof(held_)) return;
      stripe(held_);
      held_bytes_ = 0;
    }
    for (; bytes >= sizeof(held_); data += sizeof(held_), bytes -= sizeof(held_)) stripe(data);
    if (bytes > 0) std::memcpy(held_, data, bytes);
    held_bytes_ = bytes;
  }

  uint32_t value() const {
    const uint32_t merged =
        kernels::xxh_merge(lanes_[0], lanes_[1], lanes_[2], lanes_[3], total_bytes_);
    return kernels::xxh_end(merged, held_, static_cast<uint32_t>(held_bytes_));
  }

 private:
  void stripe(const uint8_t *data) {
    for (unsigned i = 0; i < 4; i++) {
      uint32_t word;
      std::memcpy(&word, data + 4 * i, sizeof(word));
      lanes_[i] = kernels::xxh_round(lanes_[i], word);
    }
  }

  uint32_t lanes_[4] = {kernels::xxh_begin(0), kernels::xxh_begin(1), kernels::xxh_begin(2),
                        kernels::xxh_begin(3)};
  uint8_t held_[kernels::kXxhStripeBytes] = {};
  size_t held_bytes_ = 0;
  uint64_t total_bytes_ = 0;
};

}  // namespace axle::cuda

#endif
