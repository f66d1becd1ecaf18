// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CPU_BYTES_ELEMENTS_H
#define AXLE_CPU_BYTES_ELEMENTS_H

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace axle::cpu {

// Elements of a BYTES tensor: each a 32-bit little-endian length, then that many bytes.

// The `count` elements, as views into `data`. Throws Failure (INVALID_ARGUMENT) when the bytes hold
// more or fewer.
std::vector<std::string_view> split_elements(const void *data, size_t bytes, uint64_t count);

// Writes one element, which needs 4 bytes more than its text, and returns what follows it. Throws
// Failure (OUT_OF_RANGE) for a text of 4 GiB or more, whose length cannot be written.
unsigned char *append_element(unsigned char *to, std::string_view text);

}  // namespace axle::cpu

#endif
