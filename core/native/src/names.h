// SPDX-License-Identifier: Apache-2.0
// Names that cross the plugin boundary: what is well formed, and how to cut a text that is not ours.
#ifndef AXLE_HOST_NAMES_H
#define AXLE_HOST_NAMES_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace axle::host {

bool is_utf8(const char *text, size_t bytes);

// Why `text` cannot be a name, or nullptr: not empty, at most AXLE_NAME_BYTES_MAX bytes, UTF-8 with no
// control character. Reads no further than the limit. `bytes` is its length when it is good.
const char *name_problem(const char *text, size_t *bytes);

// A text of a plugin's, cut at `bytes_max`, with what is not UTF-8 or is a control character replaced.
// nullptr is ''.
std::string cleaned(const char *text, size_t bytes_max);

// Why `name` may not name a file of a model, or nullptr: relative, '/' between components, none of
// them empty, '.' or '..'.
const char *file_name_problem(std::string_view name);

}  // namespace axle::host

#endif  // AXLE_HOST_NAMES_H
