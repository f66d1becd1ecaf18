// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_PLUGINS_COMMON_INPUT_READER_H
#define AXLE_PLUGINS_COMMON_INPUT_READER_H

#include <axle/plugin.h>

#include <algorithm>
#include <cstring>

namespace axle {

// Reads the segments of an input one after another, each byte once.
class InputReader {
 public:
  explicit InputReader(const axle_tensor &tensor)
      : next_(tensor.segments), end_(tensor.segments + tensor.segment_count) {
    for (const axle_segment *at = next_; at != end_; at++) left_bytes_ += at->bytes;
  }

  uint64_t left_bytes() const { return left_bytes_; }

  // False, having read nothing, where so many bytes are not left. `to` NULL passes over them.
  [[nodiscard]] bool read(void *to, uint64_t bytes) {
    if (bytes > left_bytes_) return false;
    left_bytes_ -= bytes;
    auto *at = static_cast<uint8_t *>(to);
    while (bytes > 0) {
      const uint64_t taken = std::min(bytes, next_->bytes - offset_);
      if (at != nullptr && taken > 0) {
        std::memcpy(at, static_cast<const uint8_t *>(next_->data) + offset_, taken);
        at += taken;
      }
      offset_ += taken;
      bytes -= taken;
      if (offset_ == next_->bytes && bytes > 0) {
        next_++;
        offset_ = 0;
      }
    }
    return true;
  }

 private:
  const axle_segment *next_;
  const axle_segment *end_;
  uint64_t offset_ = 0;
  uint64_t left_bytes_ = 0;
};

}  // namespace axle

#endif
