// SPDX-License-Identifier: Apache-2.0
// A failure on its way to the caller: an AXLE_STATUS_* and a message that says what to do.
#ifndef AXLE_HOST_STATUS_H
#define AXLE_HOST_STATUS_H

#include <axle/plugin.h>

#include <stdexcept>
#include <string>

namespace axle::host {

class StatusError : public std::runtime_error {
 public:
  StatusError(int32_t status, const std::string &message)
      : std::runtime_error(message), status_(status) {}
  int32_t status() const { return status_; }

 private:
  int32_t status_;
};

// printf's ways, so that messages read in one piece where they are thrown.
std::string format(const char *pattern, ...) __attribute__((format(printf, 1, 2)));
[[noreturn]] void fail(int32_t status, const char *pattern, ...)
    __attribute__((format(printf, 2, 3)));

// "INTERNAL", or "status 99" for a number that is none.
std::string status_name(int32_t status);
constexpr bool is_status(int32_t status) {
  return status >= AXLE_STATUS_OK && status <= AXLE_STATUS_UNAUTHENTICATED;
}

}  // namespace axle::host

#endif  // AXLE_HOST_STATUS_H
