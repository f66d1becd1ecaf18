// SPDX-License-Identifier: Apache-2.0
#include "byte_output.h"

#include <algorithm>
#include <cstring>

namespace axle {

namespace {

// With AXLE_CHUNKS_MAX of them, 4 GiB of the smallest pieces.
constexpr uint64_t kChunkBytes = 256u << 10;

}  // namespace

void ByteOutput::append(const void *data, uint64_t bytes) {
  const auto *from = static_cast<const uint8_t *>(data);
  const uint64_t fits = std::min(bytes, room_ - bytes_);
  if (fits > 0) std::memcpy(data_ + bytes_, from, fits);
  bytes_ += fits;
  if (fits == bytes) return;
  emit();
  const uint64_t rest = bytes - fits;
  // What is expected counts for the first piece only.
  room_ = std::max(rest, emitted_ ? kChunkBytes : std::min(kChunkBytes, bytes_expected_));
  data_ = rest == room_ ? nullptr : static_cast<uint8_t *>(run_.try_allocate(room_));
  if (data_ == nullptr) {
    room_ = rest;
    data_ = static_cast<uint8_t *>(run_.allocate(rest));
  }
  std::memcpy(data_, from + fits, rest);
  bytes_ = rest;
}

void ByteOutput::finish() {
  if (data_ == nullptr) data_ = static_cast<uint8_t *>(run_.allocate(0));
  emit();
}

void ByteOutput::emit() {
  if (data_ == nullptr) return;
  const auto dim = static_cast<int64_t>(bytes_);
  run_.emit(0, nullptr, AXLE_DTYPE_UINT8, &dim, 1, data_, bytes_);
  emitted_ = true;
  data_ = nullptr;
  room_ = 0;
  bytes_ = 0;
}

}  // namespace axle
