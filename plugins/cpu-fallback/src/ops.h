// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CPU_OPS_H
#define AXLE_CPU_OPS_H

#include <axle/plugin.h>

#include <cstdint>

namespace axle::cpu {

// Steps of "classify" that one task does: preprocess, infer and topk. decode is the host's.
constexpr uint32_t kClassifyFirst = 1;
constexpr uint32_t kClassifyLast = 3;

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
  bool streamable() const { return (flags & AXLE_OP_FLAG_STREAMABLE) != 0; }
};

uint32_t op_count();
const OpEntry &op_at(uint32_t index);  // 0 .. op_count() - 1

// Throws Failure (UNIMPLEMENTED) that says which part is not there: op, version or range.
const OpEntry &find_op(uint32_t op, uint32_t version, uint32_t chain_first, uint32_t chain_last);

}  // namespace axle::cpu

#endif
