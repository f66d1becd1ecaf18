// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CPU_INFER_H
#define AXLE_CPU_INFER_H

#include "common/task_run.h"
#include "model.h"

namespace axle::cpu {

// Runs `model` on the tasks: in one go where the model takes batches and the shapes agree, else one
// by one. What is wrong with one task fails that task alone; when the run itself fails, every task of
// it has failed. Throws Failure only for what all tasks share.
void infer(const Model &model, const TaskRuns &runs);

}  // namespace axle::cpu

#endif
