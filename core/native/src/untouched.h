// SPDX-License-Identifier: Apache-2.0
// Whether a plugin left alone what it may only read of a task: its fields, its inputs and its arguments. Looked at in
// processes that hold a plugin against its rules; elsewhere nothing is compared.
#ifndef AXLE_HOST_UNTOUCHED_H
#define AXLE_HOST_UNTOUCHED_H

#include "task.h"

namespace axle::host {

// Notes what the task is like before the plugin has it.
// may_change: others may write to the bytes of its inputs.
void note_untouched(Task *task, bool may_change) noexcept;
// The rule that the plugin broke since then, or nullptr. Follows no pointer that the plugin changed.
const char *untouched_problem(const Task *task) noexcept;

}  // namespace axle::host

#endif  // AXLE_HOST_UNTOUCHED_H
