// SPDX-License-Identifier: Apache-2.0
// Tasks that are submitted together.
#ifndef AXLE_HOST_BATCH_H
#define AXLE_HOST_BATCH_H

#include <vector>

#include "environment.h"

namespace axle::host {

// Whether tasks of a BATCHABLE op with one set of arguments may be of one submit, by their inputs.
bool may_run_together(const axle_task &a, const axle_task &b);

// Submits them all to the queue, or throws StatusError, and then none was taken and all are retired.
void submit_batch(Environment *environment, Queue *queue, std::vector<Task *> *tasks);

// As submit_batch, for the one task of a write.
void submit_write(Environment *environment, Stream *stream, Task *task);

}  // namespace axle::host

#endif  // AXLE_HOST_BATCH_H
