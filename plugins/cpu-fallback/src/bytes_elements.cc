// SPDX-License-Identifier: Apache-2.0
#include "bytes_elements.h"

#include <cstring>

#include "common/failure.h"

namespace axle::cpu {

std::vector<std::string_view> split_elements(const void *data, size_t bytes, uint64_t count) {
  const auto refuse = [&](const char *what) {
    throw Failure(AXLE_STATUS_INVALID_ARGUMENT,
                  "a BYTES tensor of " + std::to_string(count) + " elements in " +
                      std::to_string(bytes) + " bytes " + what +
                      "; each element is a 32-bit little-endian length, then that many bytes");
  };
  if (count > bytes / sizeof(uint32_t)) refuse("ends too early");
  std::vector<std::string_view> elements;
  elements.reserve(count);
  const auto *next = static_cast<const unsigned char *>(data);
  size_t left = bytes;
  for (uint64_t i = 0; i < count; i++) {
    if (left < sizeof(uint32_t)) refuse("ends too early");
    const uint32_t length = static_cast<uint32_t>(next[0]) | static_cast<uint32_t>(next[1]) << 8 |
                            static_cast<uint32_t>(next[2]) << 16 |
                            static_cast<uint32_t>(next[3]) << 24;
    next += sizeof(uint32_t);
    left -= sizeof(uint32_t);
    if (length > left) refuse("ends too early");
    elements.emplace_back(reinterpret_cast<const char *>(next), length);
    next += length;
    left -= length;
  }
  if (left > 0) refuse("has bytes after the last one");
  return elements;
}

unsigned char *append_element(unsigned char *to, std::string_view text) {
  if (text.size() > UINT32_MAX) {
    throw Failure(AXLE_STATUS_OUT_OF_RANGE, "a BYTES element has 4 GiB or more");
  }
  const auto length = static_cast<uint32_t>(text.size());
  for (unsigned i = 0; i < sizeof(length); i++) *to++ = static_cast<unsigned char>(length >> 8 * i);
  if (!text.empty()) std::memcpy(to, text.data(), text.size());
  return to + text.size();
}

}  // namespace axle::cpu
