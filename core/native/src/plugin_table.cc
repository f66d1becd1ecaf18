// SPDX-License-Identifier: Apache-2.0
#include "plugin_table.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "plugin_call.h"
#include "process_exit.h"
#include "status.h"

namespace axle::host {
namespace {

std::string real_path_of(const std::string &path) {
  char *resolved = realpath(path.c_str(), nullptr);
  if (resolved == nullptr) {
    const int32_t status = errno == EACCES ? AXLE_STATUS_PERMISSION_DENIED : AXLE_STATUS_NOT_FOUND;
    fail(status, "there is no plugin at '%s': %s", path.c_str(), strerror(errno));
  }
  std::string result = resolved;
  free(resolved);
  struct stat info;
  if (stat(result.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) {
    fail(AXLE_STATUS_FAILED_PRECONDITION, "'%s' is not a file; name the plugin's shared library",
         path.c_str());
  }
  return result;
}

// Strings of other lengths cannot give the same key: each carries its own.
void append_field(std::string *key, const std::string &text) {
  *key += std::to_string(text.size());
  *key += ':';
  *key += text;
}

std::string key_of(const std::string &real_path, const Options &options) {
  std::string key;
  append_field(&key, real_path);
  for (const auto &[name, value] : options) {
    append_field(&key, name);
    append_field(&key, value);
  }
  return key;
}

}  // namespace

const OpInfo *PluginInstance::find_op(uint32_t op, uint32_t version, uint32_t first,
                                      uint32_t last) const {
  for (const OpInfo &each : ops) {
    if (each.op == op && each.version == version && each.chain_first == first &&
        each.chain_last == last) {
      return &each;
    }
  }
  return nullptr;
}

PluginTable &PluginTable::get() {
  static auto *table = new PluginTable;
  return *table;
}

PluginInstance *PluginTable::open(const std::string &path, Options options) {
  std::sort(options.begin(), options.end());
  const std::string real_path = real_path_of(path);
  const std::string key = key_of(real_path, options);

  std::unique_lock<std::mutex> lock(mutex_);
  auto found = entries_.find(key);
  while (found != entries_.end()) {
    if (found->second.state == State::Open) {
      ++found->second.references;
      return found->second.instance.get();
    }
    changed_.wait(lock);
    found = entries_.find(key);
  }
  entries_[key].state = State::Opening;
  lock.unlock();

  std::unique_ptr<PluginInstance> instance;
  try {
    instance = open_new(real_path, options);
  } catch (...) {
    lock.lock();
    entries_.erase(key);
    changed_.notify_all();
    throw;
  }
  instance->key_ = key;

  lock.lock();
  Entry &entry = entries_[key];
  entry.instance = std::move(instance);
  entry.references = 1;
  entry.state = State::Open;
  changed_.notify_all();
  return entry.instance.get();
}

std::unique_ptr<PluginInstance> PluginTable::open_new(const std::string &real_path,
                                                      const Options &options) {
  auto instance = std::make_unique<PluginInstance>();
  PluginLibrary *library = PluginLibrary::load(real_path);
  instance->library = library;

  std::vector<axle_option> list;
  for (const auto &[name, value] : options) list.push_back({name.c_str(), value.c_str()});
  call_plugin_checked(library, "open", [&](axle_error *error) {
    return library->table.open(library->host, list.data(), list.size(), &instance->handle, error);
  });
  // After the plugin's own, so that it runs before them: see process_exit.h.
  register_exit_handler();
  try {
    instance->devices = read_devices(*library, instance->handle);
    instance->ops = read_ops(*library, instance->handle);
  } catch (...) {
    call_plugin_void(library, "close", [&] { library->table.close(instance->handle); });
    throw;
  }
  return instance;
}

void PluginTable::retain(PluginInstance *instance) {
  std::lock_guard<std::mutex> lock(mutex_);
  ++entries_.at(instance->key_).references;
}

void PluginTable::release(PluginInstance *instance) noexcept {
  const std::string key = instance->key_;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    Entry &entry = entries_.at(key);
    if (--entry.references > 0) return;
    entry.state = State::Closing;
  }
  const PluginLibrary *library = instance->library;
  call_plugin_void(library, "close", [&] { library->table.close(instance->handle); });

  std::lock_guard<std::mutex> lock(mutex_);
  entries_.erase(key);
  changed_.notify_all();
}

}  // namespace axle::host
