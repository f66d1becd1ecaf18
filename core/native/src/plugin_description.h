// SPDX-License-Identifier: Apache-2.0
// What an opened plugin says of itself, checked and copied: a plugin that breaks a rule is not visible.
#ifndef AXLE_HOST_PLUGIN_DESCRIPTION_H
#define AXLE_HOST_PLUGIN_DESCRIPTION_H

#include <axle/plugin.h>

#include <string>
#include <vector>

#include "plugin_library.h"

namespace axle::host {

struct TensorSpec {
  std::string name;
  uint32_t dtype;
  std::vector<int64_t> dims;
};

struct ArgSpec {
  std::string name;
  std::string doc;
  uint32_t type;
  bool required;
};

struct DeviceInfo {
  std::string id;
  std::string name;
  uint32_t kind;
  uint32_t flags;
  uint64_t memory_bytes;
  uint32_t parallel;
};

struct OpInfo {
  uint32_t op;
  uint32_t version;
  std::string name;
  std::string doc;
  uint32_t flags;
  uint32_t chain_first;
  uint32_t chain_last;
  uint32_t batch_max;
  std::vector<ArgSpec> args;
  std::vector<TensorSpec> inputs;
  std::vector<TensorSpec> outputs;
};

struct ModelInfo {
  std::vector<TensorSpec> inputs;
  std::vector<TensorSpec> outputs;
  uint64_t memory_bytes;
};

// Both throw StatusError FAILED_PRECONDITION that names the plugin, the place and the rule.
std::vector<DeviceInfo> read_devices(const PluginLibrary &library, axle_instance *instance);
std::vector<OpInfo> read_ops(const PluginLibrary &library, axle_instance *instance);
// Throws StatusError INTERNAL.
ModelInfo read_model(const PluginLibrary &library, axle_instance *instance, axle_model *model);

}  // namespace axle::host

#endif  // AXLE_HOST_PLUGIN_DESCRIPTION_H
