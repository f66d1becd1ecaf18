// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_PLUGINS_COMMON_ABI_STRUCT_H
#define AXLE_PLUGINS_COMMON_ABI_STRUCT_H

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace axle {

// Copies `value` to a struct that the host made, no further than the struct_size that the host knows.
template <class Struct>
void fill_struct(Struct *to, const Struct &value) {
  static_assert(offsetof(Struct, struct_size) == 0, "struct_size comes first");
  constexpr size_t first = sizeof(uint64_t);
  if (to->struct_size <= first) return;
  const size_t bytes = std::min<size_t>(to->struct_size, sizeof(Struct)) - first;
  std::memcpy(reinterpret_cast<char *>(to) + first, reinterpret_cast<const char *>(&value) + first,
              bytes);
}

}  // namespace axle

#endif
