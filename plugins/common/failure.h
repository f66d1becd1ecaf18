// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_PLUGINS_COMMON_FAILURE_H
#define AXLE_PLUGINS_COMMON_FAILURE_H

#include <axle/plugin.h>

#include <new>
#include <stdexcept>
#include <string>
#include <utility>

namespace axle {

// How errors travel inside the plugin. It never crosses the ABI: every slot and every job catches it.
class Failure : public std::runtime_error {
 public:
  // `status` is AXLE_STATUS_* and not OK; `message` says what was wrong and what to do.
  Failure(int32_t status, const std::string &message)
      : std::runtime_error(message), status_(status) {}

  int32_t status() const { return status_; }

 private:
  int32_t status_;
};

// The same as values, for the edges.
struct Reason {
  int32_t status = AXLE_STATUS_OK;
  std::string message;
};

// Makes a Reason of the exception being handled. Call it inside a catch block only.
Reason current_reason() noexcept;

// Writes into an error of the host, which may be NULL. Long messages are cut between characters.
void fill_error(axle_error *error, int32_t status, const char *message) noexcept;

// `text` on one line, without control characters, at most `bytes_max` long.
std::string one_line(const std::string &text, size_t bytes_max = AXLE_MESSAGE_BYTES_MAX);

// Runs `body` for a slot that returns a status.
template <class Body>
int32_t guarded(axle_error *error, Body &&body) noexcept {
  try {
    std::forward<Body>(body)();
    return AXLE_STATUS_OK;
  } catch (...) {
    const Reason reason = current_reason();
    fill_error(error, reason.status, reason.message.c_str());
    return reason.status;
  }
}

}  // namespace axle

#endif
