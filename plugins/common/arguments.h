// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_PLUGINS_COMMON_ARGUMENTS_H
#define AXLE_PLUGINS_COMMON_ARGUMENTS_H

#include <axle/plugin.h>

#include <string>
#include <vector>

namespace axle {

// The named arguments of an op. Getters return the fallback where there is no such argument, and throw
// Failure (INVALID_ARGUMENT) where it has another type.
class Arguments {
 public:
  Arguments(const axle_arg *args, uint64_t count) : args_(args), count_(count) {}
  explicit Arguments(const axle_task &task) : Arguments(task.args, task.arg_count) {}

  bool has(const char *name) const { return find(name) != nullptr; }
  int64_t integer(const char *name, int64_t fallback) const;
  bool boolean(const char *name, bool fallback) const;
  std::string string(const char *name, const std::string &fallback) const;

  // BYTES that hold `count` FP32 values, or nothing for `fallback` in each.
  std::vector<float> floats(const char *name, size_t count, float fallback) const;

 private:
  const axle_arg *find(const char *name) const;
  const axle_arg *find(const char *name, uint32_t type, const char *type_name) const;

  const axle_arg *args_;
  uint64_t count_;
};

}  // namespace axle

#endif
