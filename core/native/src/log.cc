// SPDX-License-Identifier: Apache-2.0
#include "log.h"

#include <axle/plugin.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "limits.h"
#include "names.h"
#include "plugin_library.h"

namespace axle::host {
namespace {

struct Log {
  std::mutex mutex;
  std::vector<LogListener *> listeners;
};

// Never destroyed: plugins may log while the process exits.
Log &the_log() {
  static auto *log = new Log;
  return *log;
}

std::atomic<uint64_t> fault_count{0};
std::atomic<uint64_t> unnamed_fault_count{0};

// Whether this plugin broke this rule for the first time, as far as is kept in mind.
bool is_new_kind(const PluginLibrary *library, const std::string &rule) {
  static auto *mutex = new std::mutex;
  static auto *kinds = new std::set<std::pair<const PluginLibrary *, std::string>>;
  std::lock_guard<std::mutex> lock(*mutex);
  return kinds->size() < kFaultKindsMax && kinds->emplace(library, rule).second;
}

const char *level_name(uint32_t level) { return level == AXLE_LOG_WARN ? "warning" : "error"; }

}  // namespace

void log_listen(LogListener *listener) {
  Log &log = the_log();
  std::lock_guard<std::mutex> lock(log.mutex);
  log.listeners.push_back(listener);
}

void log_unlisten(LogListener *listener) {
  Log &log = the_log();
  std::lock_guard<std::mutex> lock(log.mutex);
  auto &all = log.listeners;
  all.erase(std::remove(all.begin(), all.end(), listener), all.end());
}

void log_write(uint32_t level, const char *plugin, const char *message) noexcept try {
  const uint32_t known_level = std::clamp(level, AXLE_LOG_DEBUG, AXLE_LOG_ERROR);
  const LogLine line{known_level, plugin, cleaned(message, AXLE_MESSAGE_BYTES_MAX)};
  Log &log = the_log();
  std::lock_guard<std::mutex> lock(log.mutex);
  for (LogListener *listener : log.listeners) listener->on_log(line);
  if (log.listeners.empty() && known_level >= AXLE_LOG_WARN) {
    fprintf(stderr, "axle: %s: %s: %s\n", line.plugin.c_str(), level_name(known_level),
            line.message.c_str());
  }
} catch (...) {
  // No memory for a line: nothing is left to say it with.
}

void plugin_fault(const PluginLibrary *library, const std::string &rule) noexcept try {
  fault_count.fetch_add(1, std::memory_order_relaxed);
  std::atomic<uint64_t> &lines = library == nullptr ? unnamed_fault_count : library->fault_count;
  const uint64_t line = lines.fetch_add(1, std::memory_order_relaxed);
  // What was not said yet is said however much else went wrong before.
  const bool is_new = is_new_kind(library, rule);
  if (line >= kFaultLinesMax && !is_new) return;
  const char *name = library == nullptr ? "plugin" : library->name.c_str();
  log_write(AXLE_LOG_ERROR, name, rule.c_str());
  if (line + 1 == kFaultLinesMax) {
    log_write(
        AXLE_LOG_ERROR, name,
        "further faults of this plugin are counted but not logged, unless they break another rule");
  }
} catch (...) {
  // No memory to keep it in mind; it is counted.
}

uint64_t plugin_fault_count() noexcept { return fault_count.load(std::memory_order_relaxed); }

}  // namespace axle::host
