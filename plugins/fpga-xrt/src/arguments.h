// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_FPGA_ARGUMENTS_H
#define AXLE_FPGA_ARGUMENTS_H

#include <axle/plugin.h>

#include <cstdint>

namespace axle::fpga {

// The named arguments of an op. Getters return the fallback where there is no such argument, and throw
// Failure (INVALID_ARGUMENT) where it has another type.
class Arguments {
 public:
  Arguments(const axle_arg *args, uint64_t count) : args_(args), count_(count) {}

  int64_t integer(const char *name, int64_t fallback) const;

 private:
  const axle_arg *find(const char *name) const;
  const axle_arg *find(const char *name, uint32_t type, const char *type_name) const;

  const axle_arg *args_;
  uint64_t count_;
};

}  // namespace axle::fpga

#endif
