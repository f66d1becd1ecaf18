// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CUDA_BLOCK_LAYOUT_H
#define AXLE_CUDA_BLOCK_LAYOUT_H

#include <cstdint>

namespace axle::cuda {

// Where several things lie in one piece of device memory: one piece costs one wait and one wipe.
class BlockLayout {
 public:
  // The offset of so many bytes more.
  uint64_t add(uint64_t bytes) {
    const uint64_t at = bytes_;
    bytes_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
    return at;
  }
  uint64_t bytes() const { return bytes_; }

 private:
  static constexpr uint64_t kAlignment = 256;  // as the driver aligns what it gives
  uint64_t bytes_ = 0;
};

// Results of up to so many bytes are copied out before their size is known: that takes less than to
// wait for the size first.
constexpr uint64_t kEagerCopyBytes = 256u << 10;

}  // namespace axle::cuda

#endif
