// SPDX-License-Identifier: Apache-2.0
// pluginOpen, pluginClose, health, statistics, supports.
#include <memory>

#include "description_js.h"
#include "device_argument.h"
#include "entry.h"
#include "limits.h"
#include "model_files.h"
#include "names.h"
#include "plugin_call.h"
#include "untouched.h"

namespace axle::host {
namespace {

Options read_options(napi_env env, napi_value object) {
  napi_valuetype type = napi_undefined;
  check(env, napi_typeof(env, object, &type));
  if (type != napi_object) fail(AXLE_STATUS_INVALID_ARGUMENT, "options must be an object");
  napi_value names = nullptr;
  check(env, napi_get_all_property_names(
                 env, object, napi_key_own_only,
                 static_cast<napi_key_filter>(napi_key_enumerable | napi_key_skip_symbols),
                 napi_key_numbers_to_strings, &names));
  const uint32_t count = read_array_length(env, names, kOptionsMax, "options");
  Options options;
  for (uint32_t i = 0; i < count; ++i) {
    napi_value key = read_element(env, names, i);
    napi_value value = nullptr;
    check(env, napi_get_property(env, object, key, &value));
    std::string name = read_c_string(env, key, kOptionBytesMax, "an option's name");
    const std::string what = format("option '%s'", name.c_str());
    options.emplace_back(std::move(name), read_c_string(env, value, kOptionBytesMax, what.c_str()));
  }
  return options;
}

napi_value plugin_open(const Call &call) {
  struct Opening {
    std::string path;
    Options options;
    PluginInstance *instance = nullptr;
  };
  auto opening = std::make_shared<Opening>();
  opening->path = read_c_string(call.env, call[0], kPathBytesMax, "the plugin's path");
  opening->options = read_options(call.env, call[1]);
  Environment *environment = call.environment;

  auto job = std::make_unique<BlockingJob>();
  job->work = [opening] {
    opening->instance = PluginTable::get().open(opening->path, std::move(opening->options));
  };
  job->result = [opening, environment](napi_env env) {
    // The table owns the instance; the id stands for one reference.
    const uint64_t id = environment->plugins.add({opening->instance, [](PluginInstance *) {}});
    return make_plugin_info(env, id, *opening->instance);
  };
  job->abandon = [opening] { PluginTable::get().release(opening->instance); };
  return environment->run_job(std::move(job));
}

napi_value plugin_close(const Call &call) {
  const uint64_t id = read_integer(call.env, call[0], kSafeIntegerMax, "pluginId");
  std::shared_ptr<PluginInstance> instance = call.environment->plugins.remove(id, "plugin");
  auto job = std::make_unique<BlockingJob>();
  job->work = [instance] { PluginTable::get().release(instance.get()); };
  return call.environment->run_job(std::move(job));
}

// A job on a device of a plugin, which stays open meanwhile.
template <typename Answer>
napi_value ask_device(const Call &call, Answer answer,
                      void (*ask)(const PluginInstance &, uint32_t, Answer *),
                      napi_value (*result)(napi_env, const Answer &)) {
  const auto [instance, device] = read_device(call, call[0], call[1]);
  auto kept = std::make_shared<Answer>(answer);
  PluginTable::get().retain(instance);
  auto job = std::make_unique<BlockingJob>();
  PluginInstance *plugin = instance;
  const uint32_t index = device;
  job->work = [plugin, index, kept, ask] {
    ask(*plugin, index, kept.get());
    PluginTable::get().release(plugin);
  };
  job->result = [kept, result](napi_env env) { return result(env, *kept); };
  return call.environment->run_job(std::move(job));
}

napi_value health(const Call &call) {
  axle_health empty{};
  empty.struct_size = sizeof empty;
  return ask_device<axle_health>(
      call, empty,
      [](const PluginInstance &plugin, uint32_t device, axle_health *health) {
        call_plugin_void(plugin.library, "health",
                         [&] { plugin.library->table.health(plugin.handle, device, health); });
        if (health->state < AXLE_HEALTH_OK || health->state > AXLE_HEALTH_LOST) {
          plugin_fault(plugin.library, format("health gave the state %u", health->state));
          health->state = AXLE_HEALTH_DEGRADED;
        }
      },
      [](napi_env env, const axle_health &health) {
        return ObjectMaker(env)
            .number("state", health.state)
            .text("message", cleaned(health.message, sizeof health.message))
            .done();
      });
}

napi_value statistics(const Call &call) {
  axle_statistics empty{};
  empty.struct_size = sizeof empty;
  return ask_device<axle_statistics>(
      call, empty,
      [](const PluginInstance &plugin, uint32_t device, axle_statistics *statistics) {
        call_plugin_void(plugin.library, "statistics", [&] {
          plugin.library->table.statistics(plugin.handle, device, statistics);
        });
      },
      [](napi_env env, const axle_statistics &statistics) {
        return ObjectMaker(env)
            .number("tasksCompleted", static_cast<double>(statistics.tasks_completed))
            .number("tasksFailed", static_cast<double>(statistics.tasks_failed))
            .number("batches", static_cast<double>(statistics.batches))
            .number("computeNs", static_cast<double>(statistics.compute_ns))
            .number("memoryUsedBytes", static_cast<double>(statistics.memory_used_bytes))
            .number("utilizationPercent", statistics.utilization_percent)
            .number("temperatureCelsius", statistics.temperature_celsius)
            .done();
      });
}

// (pluginId, device, op, opVersion, chainFirst, chainLast, argsId, model)
napi_value supports(const Call &call) {
  const auto [instance, device] = read_device(call, call[0], call[1]);
  axle_op_query query{};
  query.struct_size = sizeof query;
  query.op = read_uint32(call.env, call[2], "op");
  query.op_version = read_uint32(call.env, call[3], "opVersion");
  query.chain_first = read_uint32(call.env, call[4], "chainFirst");
  query.chain_last = read_uint32(call.env, call[5], "chainLast");
  const uint64_t args_id = read_integer(call.env, call[6], kSafeIntegerMax, "argsId");
  if (args_id != 0) {
    const ArgSet &args = *call.environment->args.get(args_id, "argument list");
    query.args = args.data();
    query.arg_count = args.size();
  }
  ModelFiles files;
  axle_model_source source{};
  if (!is_nullish(call.env, call[7])) {
    files.read(call.env, read_property(call.env, call[7], "name"),
               read_property(call.env, call[7], "format"),
               read_property(call.env, call[7], "files"));
    source = files.source(nullptr);
    query.source = &source;
  }
  uint32_t score = 0;
  axle_error why = empty_error();
  if (instance->find_op(query.op, query.op_version, query.chain_first, query.chain_last) ==
      nullptr) {
    snprintf(why.message, sizeof why.message, "plugin '%s' has no such op",
             instance->library->name.c_str());
  } else {
    const PluginLibrary *library = instance->library;
    PluginInstance *plugin = instance;
    const uint32_t index = device;
    const ReadOnlyScope scope(library, "supports", query.args, query.arg_count, query.source);
    score = call_plugin<uint32_t>(library, "supports", 0, [&] {
      return library->table.supports(plugin->handle, index, &query, &why);
    });
  }
  return ObjectMaker(call.env)
      .number("score", score)
      .text("reason", score == 0 ? cleaned(why.message, AXLE_MESSAGE_BYTES_MAX) : "")
      .done();
}

}  // namespace

void add_plugin_functions(Environment *environment, napi_value exports) {
  add_promise_function<plugin_open>(environment, exports, "pluginOpen");
  add_promise_function<plugin_close>(environment, exports, "pluginClose");
  add_promise_function<health>(environment, exports, "health");
  add_promise_function<statistics>(environment, exports, "statistics");
  add_function<supports>(environment, exports, "supports");
}

}  // namespace axle::host
