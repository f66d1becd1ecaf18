// SPDX-License-Identifier: Apache-2.0
// Sizes of elements and shapes, and the walk over BYTES elements.
#ifndef AXLE_HOST_DTYPE_H
#define AXLE_HOST_DTYPE_H

#include <axle/plugin.h>

namespace axle::host {

constexpr bool is_dtype(uint32_t dtype) {
  return dtype >= AXLE_DTYPE_BOOL && dtype <= AXLE_DTYPE_BF16;
}

// "FP32"; of a dtype that is_dtype().
const char *dtype_name(uint32_t dtype);

// Bytes of one element; 0 for BYTES, whose elements carry their length.
uint64_t element_bytes(uint32_t dtype);

// The number of elements; false when it overflows. Dimensions are not negative.
bool element_count(const int64_t *dims, uint32_t rank, uint64_t *count);

// Walks the elements of a BYTES tensor over its segments: each a 32-bit little-endian length, then
// that many bytes. Returns how many whole elements there are and sets `exact` when they cover the
// data to its end. Stops after `count_max` + 1 elements.
uint64_t count_bytes_elements(const axle_segment *segments, uint64_t segment_count,
                              uint64_t count_max, bool *exact);

}  // namespace axle::host

#endif  // AXLE_HOST_DTYPE_H
