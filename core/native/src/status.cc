// SPDX-License-Identifier: Apache-2.0
#include "status.h"

#include <cstdarg>
#include <cstdio>

namespace axle::host {
namespace {

std::string vformat(const char *pattern, va_list arguments) {
  // Longer ones are cut, as every message is.
  char text[2 * (AXLE_MESSAGE_BYTES_MAX + 1)];
  vsnprintf(text, sizeof text, pattern, arguments);
  return text;
}

}  // namespace

std::string format(const char *pattern, ...) {
  va_list arguments;
  va_start(arguments, pattern);
  std::string text = vformat(pattern, arguments);
  va_end(arguments);
  return text;
}

void fail(int32_t status, const char *pattern, ...) {
  va_list arguments;
  va_start(arguments, pattern);
  std::string text = vformat(pattern, arguments);
  va_end(arguments);
  throw StatusError(status, text);
}

std::string status_name(int32_t status) {
  switch (status) {
    case AXLE_STATUS_OK:
      return "OK";
    case AXLE_STATUS_CANCELLED:
      return "CANCELLED";
    case AXLE_STATUS_UNKNOWN:
      return "UNKNOWN";
    case AXLE_STATUS_INVALID_ARGUMENT:
      return "INVALID_ARGUMENT";
    case AXLE_STATUS_DEADLINE_EXCEEDED:
      return "DEADLINE_EXCEEDED";
    case AXLE_STATUS_NOT_FOUND:
      return "NOT_FOUND";
    case AXLE_STATUS_ALREADY_EXISTS:
      return "ALREADY_EXISTS";
    case AXLE_STATUS_PERMISSION_DENIED:
      return "PERMISSION_DENIED";
    case AXLE_STATUS_RESOURCE_EXHAUSTED:
      return "RESOURCE_EXHAUSTED";
    case AXLE_STATUS_FAILED_PRECONDITION:
      return "FAILED_PRECONDITION";
    case AXLE_STATUS_ABORTED:
      return "ABORTED";
    case AXLE_STATUS_OUT_OF_RANGE:
      return "OUT_OF_RANGE";
    case AXLE_STATUS_UNIMPLEMENTED:
      return "UNIMPLEMENTED";
    case AXLE_STATUS_INTERNAL:
      return "INTERNAL";
    case AXLE_STATUS_UNAVAILABLE:
      return "UNAVAILABLE";
    case AXLE_STATUS_DATA_LOSS:
      return "DATA_LOSS";
    case AXLE_STATUS_UNAUTHENTICATED:
      return "UNAUTHENTICATED";
    default:
      return format("status %d", status);
  }
}

}  // namespace axle::host
