// SPDX-License-Identifier: Apache-2.0
// The opened plugins of the process, shared by its environments.
#ifndef AXLE_HOST_PLUGIN_TABLE_H
#define AXLE_HOST_PLUGIN_TABLE_H

#include <axle/plugin.h>

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "plugin_description.h"
#include "plugin_library.h"

namespace axle::host {

using Options = std::vector<std::pair<std::string, std::string>>;

// A plugin opened with one set of options. Immutable while it is open.
class PluginInstance {
 public:
  const PluginLibrary *library = nullptr;
  axle_instance *handle = nullptr;
  std::vector<DeviceInfo> devices;
  std::vector<OpInfo> ops;

  // nullptr when the plugin does not declare it.
  const OpInfo *find_op(uint32_t op, uint32_t version, uint32_t first, uint32_t last) const;

 private:
  friend class PluginTable;
  std::string key_;
};

// One per process, never destroyed. Any thread; open and release may block.
class PluginTable {
 public:
  static PluginTable &get();

  // Opens the plugin, or takes one more reference to it. Throws StatusError.
  PluginInstance *open(const std::string &path, Options options);
  // One more reference, by who holds one.
  void retain(PluginInstance *instance);
  // The last one closes the plugin.
  void release(PluginInstance *instance) noexcept;

 private:
  enum class State { Opening, Open, Closing };
  struct Entry {
    State state = State::Opening;
    uint64_t references = 0;
    std::unique_ptr<PluginInstance> instance;
  };

  PluginTable() = default;
  static std::unique_ptr<PluginInstance> open_new(const std::string &real_path,
                                                  const Options &options);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Entry> entries_;
};

}  // namespace axle::host

#endif  // AXLE_HOST_PLUGIN_TABLE_H
