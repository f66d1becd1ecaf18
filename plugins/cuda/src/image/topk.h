// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CUDA_IMAGE_TOPK_H
#define AXLE_CUDA_IMAGE_TOPK_H

#include "../gpu.h"
#include "../kernels/image_layout.h"
#include "common/arguments.h"
#include "common/task_run.h"

namespace axle::cuda {

// The k best of rows of scores, as the op "topk" says. Up to kTopkMax of them are found on the device, and nothing
// else comes back; for more the scores do, and the host ranks them.
class TopK {
 public:
  // Reads the arguments k and softmax. Throws Failure (INVALID_ARGUMENT).
  explicit TopK(const Arguments &arguments);

  bool on_device() const { return k_ <= kernels::kTopkMax; }
  // Of each row, in the memory that launch() fills: indices of all rows, then their scores.
  uint64_t result_bytes(uint64_t rows) const {
    return rows * k_ * (sizeof(int32_t) + sizeof(float));
  }

  // `rows` is a table of as many ScoreRows on the device.
  void launch(Lane &lane, const Kernels &with, cu::Ptr rows, uint32_t row_count, cu::Ptr scores,
              cu::Ptr results) const;
  // Emits the row's part of what launch() made, copied to `results`. Throws Failure.
  void emit(const uint8_t *results, uint64_t row, uint64_t row_count, uint64_t scores,
            TaskRun &run) const;
  // The same of scores themselves. Throws Failure.
  void rank_on_host(const float *scores, uint64_t count, TaskRun &run) const;

 private:
  void emit(const int32_t *indices, const float *best, uint64_t count, TaskRun &run) const;

  uint64_t k_;
  bool softmax_;
};

}  // namespace axle::cuda

#endif
