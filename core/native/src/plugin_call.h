// SPDX-License-Identifier: Apache-2.0
// How the host calls into a plugin: nothing but a status comes back.
#ifndef AXLE_HOST_PLUGIN_CALL_H
#define AXLE_HOST_PLUGIN_CALL_H

#include <axle/plugin.h>

#include <string>

#include "log.h"
#include "names.h"
#include "plugin_library.h"
#include "status.h"

namespace axle::host {

// An exception that leaves a plugin is a fault of it, and `otherwise` the answer.
template <typename Result, typename Call>
Result call_plugin(const PluginLibrary *library, const char *slot, Result otherwise, Call &&call) {
  try {
    return call();
  } catch (...) {
    plugin_fault(library, std::string("an exception left ") + slot);
    return otherwise;
  }
}

template <typename Call>
void call_plugin_void(const PluginLibrary *library, const char *slot, Call &&call) {
  call_plugin(library, slot, 0, [&] {
    call();
    return 0;
  });
}

inline axle_error empty_error() {
  axle_error error{};
  error.struct_size = sizeof error;
  return error;
}

// Calls a slot that returns a status and fills an axle_error; throws StatusError for all but OK.
template <typename Call>
void call_plugin_checked(const PluginLibrary *library, const char *slot, Call &&call) {
  axle_error error = empty_error();
  int32_t status =
      call_plugin<int32_t>(library, slot, AXLE_STATUS_INTERNAL, [&] { return call(&error); });
  if (status == AXLE_STATUS_OK) return;
  if (!is_status(status)) {
    plugin_fault(library, format("%s returned %d, which is no status", slot, status));
    status = AXLE_STATUS_INTERNAL;
  }
  std::string message = cleaned(error.message, AXLE_MESSAGE_BYTES_MAX);
  if (message.empty()) {
    message = format("plugin '%s': %s failed with %s and no message", library->name.c_str(), slot,
                     status_name(status).c_str());
  }
  throw StatusError(status, message);
}

}  // namespace axle::host

#endif  // AXLE_HOST_PLUGIN_CALL_H
