// SPDX-License-Identifier: Apache-2.0
#include "arguments.h"

#include <cstring>

#include "failure.h"

namespace axle {

const axle_arg *Arguments::find(const char *name) const {
  for (uint64_t i = 0; i < count_; i++) {
    if (std::strcmp(args_[i].name, name) == 0) return &args_[i];
  }
  return nullptr;
}

const axle_arg *Arguments::find(const char *name, uint32_t type, const char *type_name) const {
  const axle_arg *arg = find(name);
  if (arg != nullptr && arg->type != type) {
    throw Failure(AXLE_STATUS_INVALID_ARGUMENT, std::string("argument \"") + name + "\" has type " +
                                                    std::to_string(arg->type) + "; give it as " +
                                                    type_name);
  }
  return arg;
}

int64_t Arguments::integer(const char *name, int64_t fallback) const {
  const axle_arg *arg = find(name, AXLE_ARG_INT, "INT");
  return arg == nullptr ? fallback : arg->value.i;
}

bool Arguments::boolean(const char *name, bool fallback) const {
  const axle_arg *arg = find(name, AXLE_ARG_BOOL, "BOOL");
  return arg == nullptr ? fallback : arg->value.i != 0;
}

std::string Arguments::string(const char *name, const std::string &fallback) const {
  const axle_arg *arg = find(name, AXLE_ARG_STRING, "STRING");
  if (arg == nullptr) return fallback;
  return arg->bytes == 0 ? std::string()
                         : std::string(static_cast<const char *>(arg->value.data), arg->bytes);
}

std::vector<float> Arguments::floats(const char *name, size_t count, float fallback) const {
  const axle_arg *arg = find(name, AXLE_ARG_BYTES, "BYTES");
  std::vector<float> values(count, fallback);
  if (arg == nullptr) return values;
  if (arg->bytes != count * sizeof(float)) {
    throw Failure(AXLE_STATUS_INVALID_ARGUMENT, std::string("argument \"") + name + "\" has " +
                                                    std::to_string(arg->bytes) +
                                                    " bytes; give one FP32 for each of the " +
                                                    std::to_string(count) + " channels");
  }
  if (count > 0) std::memcpy(values.data(), arg->value.data, arg->bytes);
  return values;
}

}  // namespace axle
