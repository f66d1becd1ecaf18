// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CPU_TOPK_H
#define AXLE_CPU_TOPK_H

#include <axle/plugin.h>

#include <cstdint>
#include <vector>

#include "common/arguments.h"
#include "common/task_run.h"

namespace axle::cpu {

// The k best of a row of scores, as the op "topk" says.
class TopK {
 public:
  // Reads the arguments k and softmax. Throws Failure (INVALID_ARGUMENT).
  explicit TopK(const Arguments &arguments);

  // Emits indices as output 0 and scores as output 1. `scores` has `count` values. Throws Failure.
  void run(const float *scores, uint64_t count, TaskRun &run) const;

 private:
  uint64_t k_;
  bool softmax_;
};

// Replaces logits by their softmax, computed relative to the largest so that nothing overflows. NaN
// stays NaN and takes no part; infinite logits share the whole.
void softmax(std::vector<float> *logits);

}  // namespace axle::cpu

#endif
