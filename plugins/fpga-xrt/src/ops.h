// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_FPGA_OPS_H
#define AXLE_FPGA_OPS_H

#include <axle/plugin.h>

#include <cstdint>

namespace axle::fpga {

// An op that this plugin runs.
struct OpEntry {
  uint32_t op;
  uint32_t version;
  uint32_t flags;
  const char *name;
  const char *doc;
};

uint32_t op_count();
const OpEntry &op_at(uint32_t index);  // 0 .. op_count() - 1

// Throws Failure (UNIMPLEMENTED) that says which part is not there: op, version or range.
const OpEntry &find_op(uint32_t op, uint32_t version, uint32_t chain_first, uint32_t chain_last);

}  // namespace axle::fpga

#endif
