// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CPU_IMAGE_OPS_H
#define AXLE_CPU_IMAGE_OPS_H

#include "common/task_run.h"
#include "model.h"
#include "worker_pool.h"

namespace axle::cpu {

// The ops around a model that classifies images. What is wrong with one task fails that task alone.

// Op "preprocess". Tasks with much to do are shared among idle threads.
void run_preprocess(const TaskRuns &runs, WorkerPool &pool);

// Op "topk".
void run_topk(const TaskRuns &runs);

// Steps 1 to 3 of "classify": preprocess, infer and topk without a copy in between.
void run_classify(const Model &model, const TaskRuns &runs);

}  // namespace axle::cpu

#endif
