// SPDX-License-Identifier: Apache-2.0
// The addon: NativeBinding of core/src/native-binding.ts, but for the form in which tasks come and
// completions go, which core/src/native-loader.ts makes.
#include <axle/plugin.h>

#include "completions.h"
#include "entry.h"
#include "log.h"

namespace axle::host {

void throw_current(napi_env env) noexcept {
  try {
    try {
      throw;
    } catch (const JsPending &) {
      // It is thrown already.
    } catch (const StatusError &error) {
      napi_throw(env, make_error(env, error.status(), error.what()));
    } catch (const std::bad_alloc &) {
      napi_throw(env, make_error(env, AXLE_STATUS_RESOURCE_EXHAUSTED, "out of memory"));
    } catch (const std::exception &error) {
      napi_throw(env, make_error(env, AXLE_STATUS_INTERNAL, error.what()));
    }
  } catch (...) {
    // Not even an error can be made; Node-API has one pending then.
  }
}

napi_value reject_current(napi_env env) noexcept {
  throw_current(env);
  napi_value error = nullptr;
  napi_value promise = nullptr;
  napi_deferred deferred = nullptr;
  if (napi_get_and_clear_last_exception(env, &error) != napi_ok ||
      napi_create_promise(env, &deferred, &promise) != napi_ok ||
      napi_reject_deferred(env, deferred, error) != napi_ok) {
    return nullptr;
  }
  return promise;
}

namespace {

void check_function(const Call &call, napi_value value, const char *what) {
  napi_valuetype type = napi_undefined;
  check(call.env, napi_typeof(call.env, value, &type));
  if (type != napi_function) fail(AXLE_STATUS_INVALID_ARGUMENT, "%s must be a function", what);
}

void check_array(const Call &call, napi_value value, napi_typedarray_type wanted,
                 const char *what) {
  napi_typedarray_type type = napi_int8_array;
  if (napi_get_typedarray_info(call.env, value, &type, nullptr, nullptr, nullptr, nullptr) !=
          napi_ok ||
      type != wanted) {
    fail(AXLE_STATUS_INVALID_ARGUMENT, "%s has the wrong type", what);
  }
}

// (numbers, shapes, bytes, staging)
napi_value connect(const Call &call) {
  check_array(call, call[0], napi_float64_array, "numbers");
  check_array(call, call[1], napi_float64_array, "shapes");
  check_array(call, call[2], napi_uint8_array, "bytes");
  check_array(call, call[3], napi_float64_array, "staging");
  call.environment->connect({call[0], call[1], call[2]}, call[3]);
  return nullptr;
}

napi_value on_completions(const Call &call) {
  check_function(call, call[0], "the completion handler");
  if (!call.environment->is_connected()) {
    fail(AXLE_STATUS_FAILED_PRECONDITION, "the addon is not connected");
  }
  call.environment->set_receiver(call[0]);
  return nullptr;
}

napi_value on_log(const Call &call) {
  check_function(call, call[0], "the log handler");
  call.environment->set_log_handler(call[0]);
  return nullptr;
}

napi_value counters(const Call &call) {
  const Environment &environment = *call.environment;
  return ObjectMaker(call.env)
      .number("tasksOutstanding", static_cast<double>(environment.tasks_outstanding()))
      .number("outputBytes", static_cast<double>(environment.output_bytes()))
      .number("pluginFaults", static_cast<double>(plugin_fault_count()))
      .done();
}

}  // namespace
}  // namespace axle::host

NAPI_MODULE_INIT(/* napi_env env, napi_value exports */) {
  using namespace axle::host;
  try {
    Environment *environment = Environment::create(env);
    check(env, napi_set_named_property(env, exports, "abiMajor", make_number(env, AXLE_ABI_MAJOR)));
    check(env, napi_set_named_property(env, exports, "abiMinor", make_number(env, AXLE_ABI_MINOR)));
    add_function<connect>(environment, exports, "connect");
    add_function<on_completions>(environment, exports, "onCompletions");
    add_function<on_log>(environment, exports, "onLog");
    add_function<counters>(environment, exports, "counters");
    add_plugin_functions(environment, exports);
    add_model_functions(environment, exports);
    add_task_functions(environment, exports);
    add_stream_functions(environment, exports);
    add_shared_memory_functions(environment, exports);
    add_lane_functions(environment, exports);
  } catch (...) {
    throw_current(env);
  }
  return exports;
}
