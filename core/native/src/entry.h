// SPDX-License-Identifier: Apache-2.0
// How JavaScript enters the addon: one wrapper, out of which no C++ exception comes.
#ifndef AXLE_HOST_ENTRY_H
#define AXLE_HOST_ENTRY_H

#include <node_api.h>

#include "environment.h"
#include "js.h"

namespace axle::host {

constexpr size_t kParametersMax = 9;

// The arguments of one call; those that are missing are undefined.
struct Call {
  napi_env env;
  Environment *environment;
  napi_value arguments[kParametersMax];

  napi_value operator[](size_t index) const { return arguments[index]; }
};

using Body = napi_value (*)(const Call &call);

// Throws the JavaScript error for the C++ exception that is being handled.
void throw_current(napi_env env) noexcept;
// Returns a promise that is rejected with it.
napi_value reject_current(napi_env env) noexcept;

enum class Returns { Value, Promise };

template <Body kBody, Returns kReturns>
napi_value entry(napi_env env, napi_callback_info info) {
  size_t count = kParametersMax;
  void *environment = nullptr;
  Call call{};
  call.env = env;
  if (napi_get_cb_info(env, info, &count, call.arguments, nullptr, &environment) != napi_ok) {
    return nullptr;
  }
  call.environment = static_cast<Environment *>(environment);
  try {
    return kBody(call);
  } catch (...) {
    if (kReturns == Returns::Promise) return reject_current(env);
    throw_current(env);
    return nullptr;
  }
}

template <Body kBody, Returns kReturns = Returns::Value>
void add_function(Environment *environment, napi_value exports, const char *name) {
  napi_env env = environment->napi();
  napi_value function = nullptr;
  check(env, napi_create_function(env, name, NAPI_AUTO_LENGTH, entry<kBody, kReturns>, environment,
                                  &function));
  check(env, napi_set_named_property(env, exports, name, function));
}

template <Body kBody>
void add_promise_function(Environment *environment, napi_value exports, const char *name) {
  add_function<kBody, Returns::Promise>(environment, exports, name);
}

// Each adds its part of NativeBinding (core/src/native-binding.ts).
void add_plugin_functions(Environment *environment, napi_value exports);
void add_model_functions(Environment *environment, napi_value exports);
void add_task_functions(Environment *environment, napi_value exports);
void add_stream_functions(Environment *environment, napi_value exports);
void add_shared_memory_functions(Environment *environment, napi_value exports);
void add_lane_functions(Environment *environment, napi_value exports);

}  // namespace axle::host

#endif  // AXLE_HOST_ENTRY_H
