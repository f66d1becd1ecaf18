// SPDX-License-Identifier: Apache-2.0
// Lines that plugins and the host log, from any thread, to the environments that listen.
#ifndef AXLE_HOST_LOG_H
#define AXLE_HOST_LOG_H

#include <cstdint>
#include <string>

namespace axle::host {

struct LogLine {
  uint32_t level;  // AXLE_LOG_*
  std::string plugin;
  std::string message;
};

class LogListener {
 public:
  // Any thread, under the lock of the log: must be quick and must not log.
  virtual void on_log(const LogLine &line) noexcept = 0;

 protected:
  ~LogListener() = default;
};

// No line reaches a listener after log_unlisten has returned.
void log_listen(LogListener *listener);
void log_unlisten(LogListener *listener);

// Goes to every listener; with none, to stderr from AXLE_LOG_WARN up.
void log_write(uint32_t level, const char *plugin, const char *message) noexcept;

// ---- rules broken by plugins ---------------------------------------------------------------------

class PluginLibrary;

// Counts a broken rule and logs it, naming the plugin (nullptr: not known which). Any thread.
void plugin_fault(const PluginLibrary *library, const std::string &rule) noexcept;
uint64_t plugin_fault_count() noexcept;

}  // namespace axle::host

#endif  // AXLE_HOST_LOG_H
