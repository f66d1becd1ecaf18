// SPDX-License-Identifier: Apache-2.0
#include "arguments.h"

#include <cstring>
#include <string>

#include "failure.h"

namespace axle::fpga {

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

}  // namespace axle::fpga
