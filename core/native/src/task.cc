// SPDX-License-Identifier: Apache-2.0
#include "task.h"

#include <sched.h>

#include <type_traits>

#include "log.h"

namespace axle::host {

static_assert(std::is_standard_layout_v<Task>, "a plugin's axle_task is the start of a Task");

TaskGuard::TaskGuard(Task *task) noexcept : task_(task) {
  if (!task->busy.exchange(true, std::memory_order_acquire)) return;
  plugin_fault(task->library, "calls to the host on one task overlapped");
  while (task->busy.exchange(true, std::memory_order_acquire)) sched_yield();
}

Task *task_of(const axle_task *task, const char *slot) noexcept {
  const auto address = reinterpret_cast<uintptr_t>(task);
  auto *result = reinterpret_cast<Task *>(address);
  if (address != 0 && address % alignof(Task) == 0 && result->magic == Task::kMagic) return result;
  plugin_fault(nullptr, std::string(slot) + " was called with a pointer that is no task");
  return nullptr;
}

void break_rule(Task *task, const char *rule) noexcept {
  plugin_fault(task->library, rule);
  try {
    if (task->broken_rule.empty()) task->broken_rule = rule;
  } catch (...) {
    // Rules are short enough for no memory to be needed, or nearly so; the fault is counted.
  }
}

}  // namespace axle::host
