// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CUDA_IMAGE_IMAGE_OPS_H
#define AXLE_CUDA_IMAGE_IMAGE_OPS_H

#include "../gpu.h"
#include "../model.h"
#include "common/task_run.h"

namespace axle::cuda {

// What tasks of the ops "preprocess" and "topk", and of steps 1 to 3 of "classify", take of a device. What is wrong with
// one task fails that task alone.
struct ImageOpPlace {
  Gpu &gpu;  // told of what the device fails with
  GpuContext &context;
  Quota &quota;
};

void run_preprocess(const TaskRuns &runs, const ImageOpPlace &place);
void run_topk(const TaskRuns &runs, const ImageOpPlace &place);
// Pixels in, the best labels out: images go straight into the network's input, and its scores stay on the device.
void run_classify(const Model &model, const TaskRuns &runs, const ImageOpPlace &place);

}  // namespace axle::cuda

#endif
