// SPDX-License-Identifier: Apache-2.0
// A loaded plugin: its code, and the host's own copy of its table with stubs in the empty slots.
#ifndef AXLE_HOST_PLUGIN_LIBRARY_H
#define AXLE_HOST_PLUGIN_LIBRARY_H

#include <axle/plugin.h>

#include <atomic>
#include <string>

namespace axle::host {

// Never unloaded and never freed: a late call into it, or of it, must find everything in place.
class PluginLibrary {
 public:
  // Loads the file, or finds it loaded. May block. Throws StatusError: FAILED_PRECONDITION when it is
  // no plugin for this host, UNAVAILABLE when a library that it needs is not on this machine.
  static PluginLibrary *load(const std::string &real_path);

  axle_plugin table{};  // of this host's size; no slot is NULL
  std::string name;
  std::string version;
  bool runs_models = false;
  bool runs_streams = false;
  bool has_cancel = false;
  const axle_host *host = nullptr;  // what its open() is given; its log() knows the plugin

  mutable std::atomic<uint64_t> fault_count{0};
};

}  // namespace axle::host

#endif  // AXLE_HOST_PLUGIN_LIBRARY_H
