// SPDX-License-Identifier: Apache-2.0
#include "names.h"

#include <axle/plugin.h>

#include <cstring>

#include "limits.h"

namespace axle::host {
namespace {

// Bytes of the well-formed UTF-8 sequence at `text`, 0 when there is none (RFC 3629).
size_t sequence_bytes(const uint8_t *text, size_t bytes) {
  const uint8_t lead = text[0];
  if (lead < 0x80) return 1;
  size_t length = 0;
  uint8_t low = 0x80;
  uint8_t high = 0xbf;
  if (lead >= 0xc2 && lead <= 0xdf) {
    length = 2;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    length = 3;
    if (lead == 0xe0) low = 0xa0;
    if (lead == 0xed) high = 0x9f;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    length = 4;
    if (lead == 0xf0) low = 0x90;
    if (lead == 0xf4) high = 0x8f;
  } else {
    return 0;
  }
  if (bytes < length || text[1] < low || text[1] > high) return 0;
  for (size_t i = 2; i < length; ++i) {
    if (text[i] < 0x80 || text[i] > 0xbf) return 0;
  }
  return length;
}

bool is_control(char c) { return static_cast<uint8_t>(c) < 0x20 || c == 0x7f; }

}  // namespace

bool is_utf8(const char *text, size_t bytes) {
  const auto *at = reinterpret_cast<const uint8_t *>(text);
  const auto *end = at + bytes;
  while (at != end) {
    const size_t length = sequence_bytes(at, static_cast<size_t>(end - at));
    if (length == 0) return false;
    at += length;
  }
  return true;
}

const char *name_problem(const char *text, size_t *bytes) {
  if (text == nullptr) return "is NULL";
  const size_t length = strnlen(text, AXLE_NAME_BYTES_MAX + 1);
  if (length == 0) return "is empty";
  if (length > AXLE_NAME_BYTES_MAX) return "is longer than 127 bytes";
  if (!is_utf8(text, length)) return "is not UTF-8";
  for (size_t i = 0; i < length; ++i) {
    if (is_control(text[i])) return "has a control character";
  }
  *bytes = length;
  return nullptr;
}

std::string cleaned(const char *text, size_t bytes_max) {
  std::string result;
  if (text == nullptr) return result;
  const size_t bytes = strnlen(text, bytes_max);
  result.reserve(bytes);
  for (size_t i = 0; i < bytes;) {
    const size_t length = sequence_bytes(reinterpret_cast<const uint8_t *>(text) + i, bytes - i);
    if (length == 0) {
      result += '?';
      ++i;
    } else {
      if (length == 1 && is_control(text[i])) {
        result += ' ';
      } else {
        result.append(text + i, length);
      }
      i += length;
    }
  }
  return result;
}

const char *file_name_problem(std::string_view name) {
  if (name.empty()) return "is empty";
  if (name.size() > kFileNameBytesMax) return "is longer than 1023 bytes";
  if (name.find('\0') != name.npos) return "has a NUL";
  if (name.find('\\') != name.npos) return "has a backslash";
  if (!is_utf8(name.data(), name.size())) return "is not UTF-8";
  size_t start = 0;
  while (start <= name.size()) {
    const size_t slash = name.find('/', start);
    const size_t end = slash == name.npos ? name.size() : slash;
    const std::string_view part = name.substr(start, end - start);
    if (part.empty()) return "has an empty component, or is absolute";
    if (part == "." || part == "..") return "has a '.' or '..' component";
    start = end + 1;
  }
  return nullptr;
}

}  // namespace axle::host
