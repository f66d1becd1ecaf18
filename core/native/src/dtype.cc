// SPDX-License-Identifier: Apache-2.0
#include "dtype.h"

#include <algorithm>

namespace axle::host {
namespace {

struct DtypeRow {
  const char *name;
  uint8_t bytes;
};

constexpr DtypeRow kDtypes[] = {
    {"", 0},       {"BOOL", 1}, {"UINT8", 1}, {"UINT16", 2}, {"UINT32", 4},
    {"UINT64", 8}, {"INT8", 1}, {"INT16", 2}, {"INT32", 4},  {"INT64", 8},
    {"FP16", 2},   {"FP32", 4}, {"FP64", 8},  {"BYTES", 0},  {"BF16", 2},
};
static_assert(sizeof kDtypes / sizeof kDtypes[0] == AXLE_DTYPE_BF16 + 1);

// Reads a scatter list from front to back.
class SegmentReader {
 public:
  SegmentReader(const axle_segment *segments, uint64_t count)
      : segment_(segments), end_(segments + count) {
    skip_empty();
  }

  bool at_end() const { return segment_ == end_; }

  bool read_length(uint32_t *length) {
    uint32_t value = 0;
    for (uint32_t i = 0; i < 4; ++i) {
      if (at_end()) return false;
      const auto *data = static_cast<const uint8_t *>(segment_->data);
      value |= static_cast<uint32_t>(data[offset_]) << (8 * i);
      advance(1);
    }
    *length = value;
    return true;
  }

  bool skip(uint64_t bytes) {
    while (bytes > 0) {
      if (at_end()) return false;
      const uint64_t step = std::min(bytes, segment_->bytes - offset_);
      advance(step);
      bytes -= step;
    }
    return true;
  }

 private:
  void advance(uint64_t bytes) {
    offset_ += bytes;
    if (offset_ < segment_->bytes) return;
    offset_ = 0;
    ++segment_;
    skip_empty();
  }

  void skip_empty() {
    while (segment_ != end_ && segment_->bytes == 0) ++segment_;
  }

  const axle_segment *segment_;
  const axle_segment *end_;
  uint64_t offset_ = 0;
};

}  // namespace

const char *dtype_name(uint32_t dtype) { return kDtypes[is_dtype(dtype) ? dtype : 0].name; }

uint64_t element_bytes(uint32_t dtype) { return kDtypes[is_dtype(dtype) ? dtype : 0].bytes; }

bool element_count(const int64_t *dims, uint32_t rank, uint64_t *count) {
  uint64_t product = 1;
  bool overflow = false;
  for (uint32_t i = 0; i < rank; ++i) {
    // A zero anywhere makes the product zero, however large the others are.
    if (dims[i] == 0) {
      *count = 0;
      return true;
    }
    overflow |= __builtin_mul_overflow(product, static_cast<uint64_t>(dims[i]), &product);
  }
  *count = product;
  return !overflow;
}

uint64_t count_bytes_elements(const axle_segment *segments, uint64_t segment_count,
                              uint64_t count_max, bool *exact) {
  SegmentReader reader(segments, segment_count);
  uint64_t count = 0;
  *exact = false;
  while (!reader.at_end() && count <= count_max) {
    uint32_t length = 0;
    if (!reader.read_length(&length) || !reader.skip(length)) return count;
    ++count;
  }
  *exact = reader.at_end();
  return count;
}

}  // namespace axle::host
