// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CUDA_OPS_H
#define AXLE_CUDA_OPS_H

#include <axle/plugin.h>

#include <cstdint>

namespace axle::cuda {

// An op that this plugin runs.
struct OpEntry {
  uint32_t op;
  uint32_t version;
  uint32_t flags;
  uint32_t chain_first;
  uint32_t chain_last;
  bool needs_model;
  const char *name;
  const char *doc;

  bool batchable() const { return (flags & AXLE_OP_FLAG_BATCHABLE) != 0; }
};

uint32_t op_count();
const OpEntry &op_at(uint32_t index);  // 0 .. op_count() - 1

// Throws Failure (UNIMPLEMENTED) that says which part is not there: op, version or range.
const OpEntry &find_op(uint32_t op, uint32_t version, uint32_t chain_first, uint32_t chain_last);

}  // namespace axle::cuda

#endif
