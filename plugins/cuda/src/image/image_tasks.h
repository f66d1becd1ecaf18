// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CUDA_IMAGE_IMAGE_TASKS_H
#define AXLE_CUDA_IMAGE_IMAGE_TASKS_H

#include <string>
#include <utility>
#include <vector>

#include "image_ops.h"

namespace axle::cuda {

// Throws Failure (INVALID_ARGUMENT) unless the task has one.
inline const axle_tensor &only_input(const TaskRun &run) {
  const axle_task &task = run.task();
  if (task.input_count == 1) return task.inputs[0];
  throw Failure(AXLE_STATUS_INVALID_ARGUMENT,
                "the op takes one input, not " + std::to_string(task.input_count));
}

// Runs `body` with consecutive parts of `items`, each as long as `cost(item)` adds up to at most `cost_max`, and one
// item at least: what goes through a lane at once has to fit its pinned memory.
template <class Item, class Cost, class Body>
void in_parts(const std::vector<Item> &items, uint64_t cost_max, Cost cost, Body body) {
  std::vector<Item> part;
  uint64_t sum = 0;
  for (const Item &item : items) {
    const uint64_t own = cost(item);
    if (!part.empty() && own > cost_max - std::min(sum, cost_max)) {
      body(part);
      part.clear();
      sum = 0;
    }
    part.push_back(item);
    sum += own;
  }
  if (!part.empty()) body(part);
}

// Runs `body`; what it throws fails all of `runs`, and the device is told.
template <class Body>
void failing_all(const TaskRuns &runs, Gpu &gpu, Body body) {
  try {
    body();
  } catch (...) {
    gpu.note_failure();
    for (TaskRun *run : runs) {
      run->fail(current_reason());
      run->batch_size = static_cast<uint32_t>(runs.size());
    }
  }
}

}  // namespace axle::cuda

#endif
