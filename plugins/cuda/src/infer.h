// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CUDA_INFER_H
#define AXLE_CUDA_INFER_H

#include "common/task_run.h"
#include "gpu.h"
#include "model.h"

namespace axle::cuda {

// Runs `model` on the tasks: in one go where the model takes batches and the shapes agree, else one by one. What
// is wrong with one task fails that task alone; when the device fails, every task of the run has failed, and
// `gpu` is told.
void infer(const Model &model, const TaskRuns &runs, Gpu &gpu, GpuContext &context, Quota &quota);

}  // namespace axle::cuda

#endif
