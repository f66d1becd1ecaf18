// SPDX-License-Identifier: Apache-2.0
#include "output_buffer.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "result.h"

namespace axle::cpu {
namespace {

constexpr uint64_t kGrowBytesMin = 64 << 10;
// Memory that is emitted unused is wasted for as long as the receiver keeps it.
constexpr uint64_t kSlackBytes = 4096;

}  // namespace

OutputBuffer::~OutputBuffer() {
  if (data_ != nullptr) task_.release(data_);
}

bool OutputBuffer::set_capacity(uint64_t bytes) {
  uint8_t *moved = data_ == nullptr ? task_.alloc(bytes) : task_.resize(data_, bytes);
  if (moved == nullptr) return false;
  data_ = moved;
  capacity_ = bytes;
  return true;
}

bool OutputBuffer::reserve(uint64_t bytes) {
  if (bytes <= spare()) return true;
  cap_hit_ = bytes > bytes_max_ - size_;
  if (cap_hit_) return false;
  const uint64_t needed = size_ + bytes;
  const uint64_t doubled = std::min(std::max(needed, capacity_ * 2), bytes_max_);
  return set_capacity(doubled) || (doubled > needed && set_capacity(needed));
}

void OutputBuffer::reserve_up_to(uint64_t bytes) {
  uint64_t wanted = std::min(bytes, bytes_max_ - size_);
  // Less is only slower: the buffer grows when it is needed.
  while (wanted > spare() && !set_capacity(size_ + wanted)) wanted /= 2;
}

bool OutputBuffer::grow() {
  const uint64_t room = bytes_max_ - size_;
  if (room == 0) {
    cap_hit_ = true;
    return false;
  }
  return reserve(std::min(room, std::max(capacity_, kGrowBytesMin))) ||
         reserve(std::min(room, kGrowBytesMin));
}

bool OutputBuffer::append(const uint8_t *data, uint64_t bytes) {
  if (!reserve(bytes)) return false;
  if (bytes > 0) std::memcpy(tail(), data, bytes);
  size_ += bytes;
  return true;
}

CodecResult OutputBuffer::emit() {
  if (size_ == 0 && data_ != nullptr) {
    task_.release(data_);
    data_ = nullptr;
  } else if (capacity_ - size_ > kSlackBytes + size_ / 8) {
    (void)set_capacity(size_);  // on failure the larger memory is as good
  }
  if (!task_.emit(data_, size_)) {
    return failure(CodecStatus::kInternal, "the host refused a piece of output");
  }
  data_ = nullptr;
  size_ = capacity_ = 0;
  return {};
}

CodecResult OutputBuffer::why_not() const { return cap_hit_ ? past_cap() : out_of_memory(); }

CodecResult OutputBuffer::past_cap() const {
  return failure(CodecStatus::kResourceExhausted, "the output is larger than the cap of " +
                                                      std::to_string(bytes_max_) +
                                                      " bytes: raise the cap, or use a stream");
}

}  // namespace axle::cpu
