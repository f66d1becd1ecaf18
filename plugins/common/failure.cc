// SPDX-License-Identifier: Apache-2.0
#include "failure.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace axle {

namespace {

// The longest length up to `bytes_max` that does not cut a UTF-8 character in two.
size_t whole_characters(const char *text, size_t bytes, size_t bytes_max) {
  if (bytes <= bytes_max) return bytes;
  size_t end = bytes_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0u) == 0x80u) end--;
  return end;
}

}  // namespace

Reason current_reason() noexcept {
  Reason reason;
  try {
    throw;
  } catch (const Failure &failure) {
    reason.status = failure.status();
    try {
      reason.message = failure.what();
    } catch (...) {
      reason.message.clear();
    }
  } catch (const std::bad_alloc &) {
    reason.status = AXLE_STATUS_RESOURCE_EXHAUSTED;
    reason.message = "out of memory";  // short enough to need no allocation
  } catch (const std::exception &exception) {
    reason.status = AXLE_STATUS_INTERNAL;
    try {
      reason.message = one_line(std::string("unexpected: ") + exception.what());
    } catch (...) {
      reason.message.clear();
    }
  } catch (...) {
    reason.status = AXLE_STATUS_INTERNAL;
    reason.message = "not known";
  }
  return reason;
}

void fill_error(axle_error *error, int32_t status, const char *message) noexcept {
  if (error == nullptr || error->struct_size <= offsetof(axle_error, message)) return;
  const size_t room = std::min<size_t>(error->struct_size - offsetof(axle_error, message),
                                       AXLE_MESSAGE_BYTES_MAX + 1u);
  error->status = status;
  const size_t bytes = whole_characters(message, std::strlen(message), room - 1);
  std::memcpy(error->message, message, bytes);
  error->message[bytes] = '\0';
}

std::string one_line(const std::string &text, size_t bytes_max) {
  std::string line;
  line.reserve(std::min(text.size(), bytes_max));
  for (const char c : text) {
    const bool blank = static_cast<unsigned char>(c) <= ' ' || c == 0x7F;
    if (!blank) {
      line.push_back(c);
    } else if (!line.empty() && line.back() != ' ') {
      line.push_back(' ');
    }
  }
  line.resize(whole_characters(line.data(), line.size(), bytes_max));
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line;
}

}  // namespace axle
