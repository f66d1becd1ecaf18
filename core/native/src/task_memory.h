// SPDX-License-Identifier: Apache-2.0
// Output memory of tasks: what host->alloc, resize, release and emit do.
#ifndef AXLE_HOST_TASK_MEMORY_H
#define AXLE_HOST_TASK_MEMORY_H

#include "task.h"

namespace axle::host {

// The caller holds the task's guard, and the task is the plugin's.
void *task_alloc(Task *task, uint64_t bytes, uint32_t kind) noexcept;
void *task_resize(Task *task, void *data, uint64_t bytes) noexcept;
void task_release(Task *task, void *data) noexcept;
// Returns a status: INVALID_ARGUMENT for a chunk that breaks a rule.
int32_t task_emit(Task *task, const axle_chunk *chunk) noexcept;

// Breaks a rule where the plugin wrote beside memory that it did not emit.
void check_live_blocks(Task *task) noexcept;
// Frees what was allocated and not emitted.
void free_live_blocks(Task *task) noexcept;
// Frees what was emitted and not handed on.
void free_outputs(Task *task) noexcept;
void free_input_copies(Task *task) noexcept;

}  // namespace axle::host

#endif  // AXLE_HOST_TASK_MEMORY_H
