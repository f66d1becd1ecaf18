// SPDX-License-Identifier: Apache-2.0
#include "args.h"

#include <cstring>
#include <memory>
#include <set>

#include "js.h"
#include "limits.h"
#include "names.h"
#include "status.h"

namespace axle::host {
namespace {

// Of all values of one list together; an argument is a setting, not a payload.
constexpr uint64_t kArgBytesMax = 16 << 20;

int64_t read_int64(napi_env env, napi_value value, const char *what) {
  double number = 0;
  const auto max = static_cast<double>(kSafeIntegerMax);
  if (napi_get_value_double(env, value, &number) != napi_ok || !(number >= -max && number <= max) ||
      static_cast<double>(static_cast<int64_t>(number)) != number) {
    fail(AXLE_STATUS_INVALID_ARGUMENT, "%s must be a safe integer", what);
  }
  return static_cast<int64_t>(number);
}

std::string read_arg_name(napi_env env, napi_value value, uint32_t index) {
  const std::string what = format("the name of argument %u", index);
  std::string name = read_c_string(env, value, AXLE_NAME_BYTES_MAX, what.c_str());
  size_t bytes = 0;
  if (const char *problem = name_problem(name.c_str(), &bytes)) {
    fail(AXLE_STATUS_INVALID_ARGUMENT, "%s %s", what.c_str(), problem);
  }
  return name;
}

}  // namespace

ArgSet *ArgSet::read(napi_env env, napi_value list) {
  const uint32_t count = read_array_length(env, list, AXLE_ARGS_MAX, "args");
  struct Deleter {
    void operator()(ArgSet *set) const { set->release(); }
  };
  std::unique_ptr<ArgSet, Deleter> result(new ArgSet);
  std::set<std::string> names;
  for (uint32_t i = 0; i < count; ++i) {
    napi_value entry = read_element(env, list, i);
    const std::string place = format("argument %u", i);
    if (read_array_length(env, entry, 3, place.c_str()) != 3) {
      fail(AXLE_STATUS_INVALID_ARGUMENT, "%s must be [name, type, value]", place.c_str());
    }
    const std::string name = read_arg_name(env, read_element(env, entry, 0), i);
    if (!names.insert(name).second) {
      fail(AXLE_STATUS_INVALID_ARGUMENT, "argument '%s' is given twice", name.c_str());
    }
    const std::string what = format("argument '%s'", name.c_str());
    napi_value value = read_element(env, entry, 2);

    axle_arg arg{};
    arg.type = read_uint32(env, read_element(env, entry, 1), "an argument's type");
    arg.name = result->texts_.emplace_back(name).c_str();
    std::string content;
    switch (arg.type) {
      case AXLE_ARG_BOOL:
        arg.value.i = read_bool(env, value, what.c_str()) ? 1 : 0;
        break;
      case AXLE_ARG_INT:
        arg.value.i = read_int64(env, value, what.c_str());
        break;
      case AXLE_ARG_FLOAT:
        arg.value.f = read_number(env, value, what.c_str());
        break;
      case AXLE_ARG_STRING:
        content = read_string(env, value, kArgBytesMax, what.c_str());
        break;
      case AXLE_ARG_BYTES: {
        const ByteSpan span = read_bytes(env, value, what.c_str());
        if (span.bytes > kArgBytesMax) {
          fail(AXLE_STATUS_INVALID_ARGUMENT, "%s has more than %llu bytes", what.c_str(),
               static_cast<unsigned long long>(kArgBytesMax));
        }
        if (span.bytes > 0) content.assign(static_cast<const char *>(span.data), span.bytes);
        break;
      }
      default:
        fail(AXLE_STATUS_INVALID_ARGUMENT, "%s has the type %u, which is not known", what.c_str(),
             arg.type);
    }
    if (arg.type == AXLE_ARG_STRING || arg.type == AXLE_ARG_BYTES) {
      const std::string &kept = result->texts_.emplace_back(std::move(content));
      arg.value.data = kept.data();
      arg.bytes = kept.size();
    }
    result->args_.push_back(arg);
    // Unambiguous: the name ends with NUL, and the length stands before the bytes.
    std::string &whole = result->content_;
    whole.append(name.c_str(), name.size() + 1);
    whole += static_cast<char>(arg.type);
    if (arg.type == AXLE_ARG_STRING || arg.type == AXLE_ARG_BYTES) {
      whole.append(reinterpret_cast<const char *>(&arg.bytes), sizeof arg.bytes);
      whole.append(static_cast<const char *>(arg.value.data), arg.bytes);
    } else {
      whole.append(reinterpret_cast<const char *>(&arg.value), sizeof arg.value);
    }
    if (whole.size() > kArgBytesMax) {
      fail(AXLE_STATUS_INVALID_ARGUMENT, "the arguments have more than %llu bytes together",
           static_cast<unsigned long long>(kArgBytesMax));
    }
  }
  return result.release();
}

}  // namespace axle::host
