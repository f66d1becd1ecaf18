// SPDX-License-Identifier: Apache-2.0
#include "plugin_library.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>

#include "host_table.h"
#include "names.h"
#include "status.h"

namespace axle::host {
namespace {

// Node exports its own zlib, OpenSSL and (from 22.15) zstd. Without DEEPBIND a plugin's libraries would
// call those, of other versions and built with other options, instead of the ones that it was linked
// with. The sanitizers' runtimes cannot live with it.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(RTLD_DEEPBIND)
constexpr int kDlopenFlags = RTLD_NOW | RTLD_LOCAL;
#else
constexpr int kDlopenFlags = RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND;
#endif

using QueryFunction = const axle_plugin *(*)(uint32_t, uint32_t);

// ---- stubs for the optional slots ----------------------------------------------------------------

int32_t unimplemented(axle_error *error, const char *what) {
  error->status = AXLE_STATUS_UNIMPLEMENTED;
  strncpy(error->message, what, sizeof error->message - 1);
  return AXLE_STATUS_UNIMPLEMENTED;
}

void stub_health(axle_instance *, uint32_t, axle_health *health) { health->state = AXLE_HEALTH_OK; }
void stub_statistics(axle_instance *, uint32_t, axle_statistics *) {}
int32_t stub_model_load(axle_instance *, uint32_t, const axle_model_source *, axle_model **,
                        axle_error *error) {
  return unimplemented(error, "this plugin runs no models");
}
void stub_model_unload(axle_instance *, axle_model *) {}
void stub_model_info(axle_instance *, axle_model *, axle_model_info *) {}
void stub_cancel(axle_instance *, axle_queue *, axle_task *) {}
int32_t stub_stream_open(axle_instance *, const axle_stream_config *, axle_stream **,
                         axle_error *error) {
  return unimplemented(error, "this plugin runs no streams");
}
int32_t stub_stream_write(axle_instance *, axle_stream *, axle_task *, axle_error *error) {
  return unimplemented(error, "this plugin runs no streams");
}
void stub_stream_close(axle_instance *, axle_stream *) {}

// ---- what a table must be ------------------------------------------------------------------------

[[noreturn]] void refuse(const std::string &path, const std::string &why) {
  fail(AXLE_STATUS_FAILED_PRECONDITION, "'%s' %s", path.c_str(), why.c_str());
}

void check_required(const std::string &path, const axle_plugin &table) {
  const std::pair<const char *, bool> slots[] = {
      {"open", table.open != nullptr},
      {"close", table.close != nullptr},
      {"device_count", table.device_count != nullptr},
      {"device_info", table.device_info != nullptr},
      {"op_count", table.op_count != nullptr},
      {"op_info", table.op_info != nullptr},
      {"supports", table.supports != nullptr},
      {"queue_open", table.queue_open != nullptr},
      {"queue_close", table.queue_close != nullptr},
      {"submit", table.submit != nullptr},
  };
  for (const auto &[slot, filled] : slots) {
    if (!filled) refuse(path, format("leaves the required slot %s empty", slot));
  }
}

// Slots that are only useful together: all of them, or none.
bool all_or_none(const std::string &path, const char *what, int filled, int count) {
  if (filled != 0 && filled != count) {
    refuse(path, format("fills %d of the %d slots for %s; fill all or none", filled, count, what));
  }
  return filled == count;
}

void fill_stubs(PluginLibrary *library, const std::string &path) {
  axle_plugin &table = library->table;
  library->runs_models =
      all_or_none(path, "models",
                  (table.model_load != nullptr) + (table.model_unload != nullptr) +
                      (table.model_info != nullptr),
                  3);
  library->runs_streams =
      all_or_none(path, "streams",
                  (table.stream_open != nullptr) + (table.stream_write != nullptr) +
                      (table.stream_close != nullptr),
                  3);
  library->has_cancel = table.cancel != nullptr;
  if (table.health == nullptr) table.health = stub_health;
  if (table.statistics == nullptr) table.statistics = stub_statistics;
  if (table.cancel == nullptr) table.cancel = stub_cancel;
  if (!library->runs_models) {
    table.model_load = stub_model_load;
    table.model_unload = stub_model_unload;
    table.model_info = stub_model_info;
  }
  if (!library->runs_streams) {
    table.stream_open = stub_stream_open;
    table.stream_write = stub_stream_write;
    table.stream_close = stub_stream_close;
  }
}

const axle_plugin *query(const std::string &path, void *handle) {
  auto query_function = reinterpret_cast<QueryFunction>(dlsym(handle, "axle_plugin_query"));
  if (query_function == nullptr) {
    refuse(path, "is no Axle plugin: it does not export axle_plugin_query");
  }
  const axle_plugin *table = nullptr;
  try {
    table = query_function(AXLE_ABI_MAJOR, AXLE_ABI_MINOR);
  } catch (...) {
    refuse(path, "threw an exception from axle_plugin_query");
  }
  if (table == nullptr) {
    refuse(path, format("does not speak version %u.%u of the plugin ABI; build it against this "
                        "version's axle/plugin.h",
                        AXLE_ABI_MAJOR, AXLE_ABI_MINOR));
  }
  return table;
}

std::unique_ptr<PluginLibrary> validated(const std::string &path, void *handle) {
  const axle_plugin *theirs = query(path, handle);
  // While the major number is 0 a minor one may break too.
  if (theirs->abi_major != AXLE_ABI_MAJOR || theirs->abi_minor != AXLE_ABI_MINOR) {
    refuse(path, format("was built for version %u.%u of the plugin ABI and this host speaks %u.%u; "
                        "build it against this version's axle/plugin.h",
                        theirs->abi_major, theirs->abi_minor, AXLE_ABI_MAJOR, AXLE_ABI_MINOR));
  }
  if (theirs->struct_size < sizeof(axle_plugin)) {
    refuse(path, format("has a table of %llu bytes, expected %zu",
                        static_cast<unsigned long long>(theirs->struct_size), sizeof(axle_plugin)));
  }
  auto library = std::make_unique<PluginLibrary>();
  library->table = *theirs;
  size_t bytes = 0;
  if (const char *problem = name_problem(theirs->name, &bytes)) {
    refuse(path, format("has a name that %s", problem));
  }
  if (const char *problem = name_problem(theirs->version, &bytes)) {
    refuse(path, format("has a version that %s", problem));
  }
  library->name = theirs->name;
  library->version = theirs->version;
  check_required(path, library->table);
  fill_stubs(library.get(), path);
  library->host = make_host_table(library->name);
  return library;
}

void *open_file(const std::string &path) {
  void *handle = dlopen(path.c_str(), kDlopenFlags);
  if (handle != nullptr) return handle;
  const char *text = dlerror();
  const std::string reason = cleaned(text, AXLE_MESSAGE_BYTES_MAX);
  // The file itself is there, so it is something that it links to.
  if (reason.find("cannot open shared object file: No such file") != reason.npos) {
    fail(AXLE_STATUS_UNAVAILABLE,
         "plugin '%s' needs a library that is not on this machine; install it, or leave the plugin "
         "out: %s",
         path.c_str(), reason.c_str());
  }
  fail(AXLE_STATUS_FAILED_PRECONDITION, "'%s' cannot be loaded: %s", path.c_str(), reason.c_str());
}

}  // namespace

PluginLibrary *PluginLibrary::load(const std::string &real_path) {
  static auto *mutex = new std::mutex;
  static auto *libraries = new std::map<void *, PluginLibrary *>;

  // Loading runs the plugin's constructors: one at a time, as the loader itself would have it.
  std::lock_guard<std::mutex> lock(*mutex);
  void *handle = open_file(real_path);
  PluginLibrary *&library = (*libraries)[handle];
  if (library == nullptr) library = validated(real_path, handle).release();
  return library;
}

}  // namespace axle::host
