// SPDX-License-Identifier: Apache-2.0
#include "js.h"

namespace axle::host {

void check(napi_env env, napi_status status) {
  if (status == napi_ok) return;
  bool pending = false;
  if (status == napi_pending_exception || status == napi_cannot_run_js ||
      (napi_is_exception_pending(env, &pending) == napi_ok && pending)) {
    throw JsPending();
  }
  fail(AXLE_STATUS_INTERNAL, "Node-API failed with %d", static_cast<int>(status));
}

double read_number(napi_env env, napi_value value, const char *what) {
  double number = 0;
  if (napi_get_value_double(env, value, &number) != napi_ok) {
    fail(AXLE_STATUS_INVALID_ARGUMENT, "%s must be a number", what);
  }
  return number;
}

uint64_t read_integer(napi_env env, napi_value value, uint64_t max, const char *what) {
  double number = 0;
  if (napi_get_value_double(env, value, &number) == napi_ok && number >= 0 &&
      number <= static_cast<double>(max)) {
    const auto integer = static_cast<uint64_t>(number);
    if (static_cast<double>(integer) == number) return integer;
  }
  fail(AXLE_STATUS_INVALID_ARGUMENT, "%s must be an integer from 0 to %llu", what,
       static_cast<unsigned long long>(max));
}

bool read_bool(napi_env env, napi_value value, const char *what) {
  bool result = false;
  if (napi_get_value_bool(env, value, &result) != napi_ok) {
    fail(AXLE_STATUS_INVALID_ARGUMENT, "%s must be true or false", what);
  }
  return result;
}

std::string read_string(napi_env env, napi_value value, uint64_t bytes_max, const char *what) {
  size_t bytes = 0;
  if (napi_get_value_string_utf8(env, value, nullptr, 0, &bytes) != napi_ok) {
    fail(AXLE_STATUS_INVALID_ARGUMENT, "%s must be a string", what);
  }
  if (bytes > bytes_max) {
    fail(AXLE_STATUS_INVALID_ARGUMENT, "%s is %zu bytes long, at most %llu are allowed", what,
         bytes, static_cast<unsigned long long>(bytes_max));
  }
  std::string text(bytes, '\0');
  // Room for the terminator is the string's own.
  check(env, napi_get_value_string_utf8(env, value, text.data(), bytes + 1, &bytes));
  return text;
}

std::string read_c_string(napi_env env, napi_value value, uint64_t bytes_max, const char *what) {
  std::string text = read_string(env, value, bytes_max, what);
  if (text.find('\0') != text.npos) {
    fail(AXLE_STATUS_INVALID_ARGUMENT, "%s must not contain NUL", what);
  }
  return text;
}

uint32_t read_array_length(napi_env env, napi_value value, uint64_t max, const char *what) {
  uint32_t length = 0;
  if (napi_get_array_length(env, value, &length) != napi_ok) {
    fail(AXLE_STATUS_INVALID_ARGUMENT, "%s must be an array", what);
  }
  if (length > max) {
    fail(AXLE_STATUS_INVALID_ARGUMENT, "%s has %u elements, at most %llu are allowed", what, length,
         static_cast<unsigned long long>(max));
  }
  return length;
}

napi_value read_element(napi_env env, napi_value array, uint32_t index) {
  napi_value value = nullptr;
  check(env, napi_get_element(env, array, index, &value));
  return value;
}

napi_value read_property(napi_env env, napi_value object, const char *name) {
  napi_value value = nullptr;
  const napi_status status = napi_get_named_property(env, object, name, &value);
  if (status == napi_object_expected) {
    fail(AXLE_STATUS_INVALID_ARGUMENT, "expected an object with a property '%s'", name);
  }
  check(env, status);
  return value;
}

bool is_nullish(napi_env env, napi_value value) {
  napi_valuetype type = napi_undefined;
  check(env, napi_typeof(env, value, &type));
  return type == napi_undefined || type == napi_null;
}

bool try_read_bytes(napi_env env, napi_value value, ByteSpan *span) {
  napi_typedarray_type type = napi_int8_array;
  size_t length = 0;
  void *data = nullptr;
  if (napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr) != napi_ok ||
      type != napi_uint8_array) {
    return false;
  }
  *span = {data, length};
  return true;
}

ByteSpan read_bytes(napi_env env, napi_value value, const char *what) {
  ByteSpan span{};
  if (!try_read_bytes(env, value, &span)) {
    fail(AXLE_STATUS_INVALID_ARGUMENT, "%s must be a Uint8Array", what);
  }
  return span;
}

napi_value make_number(napi_env env, double value) {
  napi_value result = nullptr;
  check(env, napi_create_double(env, value, &result));
  return result;
}

napi_value make_string(napi_env env, const std::string &text) {
  napi_value result = nullptr;
  check(env, napi_create_string_utf8(env, text.data(), text.size(), &result));
  return result;
}

napi_value make_array(napi_env env, size_t length) {
  napi_value result = nullptr;
  check(env, napi_create_array_with_length(env, length, &result));
  return result;
}

napi_value make_undefined(napi_env env) {
  napi_value result = nullptr;
  check(env, napi_get_undefined(env, &result));
  return result;
}

void set_element(napi_env env, napi_value array, uint32_t index, napi_value value) {
  check(env, napi_set_element(env, array, index, value));
}

napi_value make_error(napi_env env, int32_t status, const std::string &message) {
  napi_value error = nullptr;
  check(env, napi_create_error(env, nullptr, make_string(env, message), &error));
  check(env, napi_set_named_property(env, error, "status", make_number(env, status)));
  return error;
}

ObjectMaker::ObjectMaker(napi_env env) : env_(env) {
  check(env, napi_create_object(env, &object_));
}

ObjectMaker &ObjectMaker::set(const char *name, napi_value value) {
  check(env_, napi_set_named_property(env_, object_, name, value));
  return *this;
}

ObjectMaker &ObjectMaker::boolean(const char *name, bool value) {
  napi_value js = nullptr;
  check(env_, napi_get_boolean(env_, value, &js));
  return set(name, js);
}

napi_ref make_reference(napi_env env, napi_value value) {
  napi_ref reference = nullptr;
  check(env, napi_create_reference(env, value, 1, &reference));
  return reference;
}

}  // namespace axle::host
