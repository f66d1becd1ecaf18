// SPDX-License-Identifier: Apache-2.0
// The device that a call is about.
#ifndef AXLE_HOST_DEVICE_ARGUMENT_H
#define AXLE_HOST_DEVICE_ARGUMENT_H

#include "entry.h"

namespace axle::host {

struct DeviceArgument {
  PluginInstance *instance;
  uint32_t device;
};

// Of (pluginId, device). Throws StatusError INVALID_ARGUMENT.
inline DeviceArgument read_device(const Call &call, napi_value plugin_id, napi_value device) {
  const uint64_t id = read_integer(call.env, plugin_id, kSafeIntegerMax, "pluginId");
  PluginInstance *instance = call.environment->plugins.get(id, "plugin").get();
  const uint32_t index = read_uint32(call.env, device, "device");
  if (index >= instance->devices.size()) {
    fail(AXLE_STATUS_INVALID_ARGUMENT, "plugin '%s' has %zu devices, so there is no device %u",
         instance->library->name.c_str(), instance->devices.size(), index);
  }
  return {instance, index};
}

}  // namespace axle::host

#endif  // AXLE_HOST_DEVICE_ARGUMENT_H
