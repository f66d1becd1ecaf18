// SPDX-License-Identifier: Apache-2.0
// Reading JavaScript values with messages that say what was expected, and making them. JS thread only.
#ifndef AXLE_HOST_JS_H
#define AXLE_HOST_JS_H

#include <node_api.h>

#include <string>

#include "status.h"

namespace axle::host {

constexpr uint64_t kSafeIntegerMax = (uint64_t{1} << 53) - 1;

// A JavaScript exception is pending: unwinds to the entry point, which returns to let it be thrown.
struct JsPending {};

// Throws JsPending or StatusError when a call of Node-API did not succeed.
void check(napi_env env, napi_status status);

// ---- reading -------------------------------------------------------------------------------------
// Each throws StatusError INVALID_ARGUMENT that names the value by `what`.

uint64_t read_integer(napi_env env, napi_value value, uint64_t max, const char *what);
inline uint32_t read_uint32(napi_env env, napi_value value, const char *what) {
  return static_cast<uint32_t>(read_integer(env, value, UINT32_MAX, what));
}
double read_number(napi_env env, napi_value value, const char *what);
bool read_bool(napi_env env, napi_value value, const char *what);
// UTF-8; `bytes_max` bounds it before it is copied.
std::string read_string(napi_env env, napi_value value, uint64_t bytes_max, const char *what);
// A string with no NUL in it.
std::string read_c_string(napi_env env, napi_value value, uint64_t bytes_max, const char *what);
uint32_t read_array_length(napi_env env, napi_value value, uint64_t max, const char *what);
napi_value read_element(napi_env env, napi_value array, uint32_t index);
napi_value read_property(napi_env env, napi_value object, const char *name);
bool is_nullish(napi_env env, napi_value value);

// The memory under a Uint8Array, shared or not; valid as long as the array is referenced.
struct ByteSpan {
  const void *data;
  uint64_t bytes;
};
// False when it is no Uint8Array.
bool try_read_bytes(napi_env env, napi_value value, ByteSpan *span);
ByteSpan read_bytes(napi_env env, napi_value value, const char *what);

// ---- making --------------------------------------------------------------------------------------

napi_value make_number(napi_env env, double value);
napi_value make_string(napi_env env, const std::string &text);
napi_value make_array(napi_env env, size_t length);
napi_value make_undefined(napi_env env);
void set_element(napi_env env, napi_value array, uint32_t index, napi_value value);
napi_value make_error(napi_env env, int32_t status, const std::string &message);

class ObjectMaker {
 public:
  explicit ObjectMaker(napi_env env);
  ObjectMaker &set(const char *name, napi_value value);
  ObjectMaker &number(const char *name, double value) {
    return set(name, make_number(env_, value));
  }
  ObjectMaker &text(const char *name, const std::string &value) {
    return set(name, make_string(env_, value));
  }
  ObjectMaker &boolean(const char *name, bool value);
  napi_value done() const { return object_; }

 private:
  napi_env env_;
  napi_value object_ = nullptr;
};

napi_ref make_reference(napi_env env, napi_value value);

}  // namespace axle::host

#endif  // AXLE_HOST_JS_H
