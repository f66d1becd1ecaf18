// SPDX-License-Identifier: Apache-2.0
// The tasks of one environment. A freed task lies still for a while, so that a plugin that still uses
// it is noticed rather than given somebody else's; its memory is never returned to the system.
#ifndef AXLE_HOST_TASK_POOL_H
#define AXLE_HOST_TASK_POOL_H

#include <cstdint>
#include <vector>

#include "task.h"

namespace axle::host {

// JS thread only.
class TaskPool {
 public:
  TaskPool() = default;
  TaskPool(const TaskPool &) = delete;
  TaskPool &operator=(const TaskPool &) = delete;
  // Every task must be free.
  ~TaskPool();

  // A free task with a new id. Throws StatusError RESOURCE_EXHAUSTED past kTasksMax.
  Task *take();
  // `seen` by a plugin: then it is not reused at once.
  void put(Task *task, bool seen) noexcept;
  // nullptr for an id that is not in use.
  Task *find(double id) const;

  template <typename Visit>
  void for_each(Visit visit) {
    for (Task *task : slots_) visit(task);
  }

 private:
  void grow();

  std::vector<Task *> slots_;
  Task *fresh_ = nullptr;   // not seen by a plugin lately
  Task *oldest_ = nullptr;  // lying still, oldest first
  Task *youngest_ = nullptr;
  uint64_t lying_ = 0;
};

}  // namespace axle::host

#endif  // AXLE_HOST_TASK_POOL_H
