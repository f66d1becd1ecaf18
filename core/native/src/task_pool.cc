// SPDX-License-Identifier: Apache-2.0
#include "task_pool.h"

#include <memory>
#include <mutex>

#include "limits.h"
#include "status.h"

namespace axle::host {
namespace {

constexpr uint64_t kGrowth = 32;
constexpr double kSlots = kTasksMax;  // an id is generation * kSlots + slot

// Tasks of environments that have ended.
struct Left {
  std::mutex mutex;
  std::vector<Task *> tasks;
};

Left &left_tasks() {
  static auto *left = new Left;
  return *left;
}

Task *take_left() {
  Left &left = left_tasks();
  std::lock_guard<std::mutex> lock(left.mutex);
  if (left.tasks.empty()) return nullptr;
  Task *task = left.tasks.back();
  left.tasks.pop_back();
  return task;
}

}  // namespace

TaskPool::~TaskPool() {
  Left &left = left_tasks();
  std::lock_guard<std::mutex> lock(left.mutex);
  left.tasks.insert(left.tasks.end(), slots_.begin(), slots_.end());
}

Task *TaskPool::take() {
  if (fresh_ == nullptr && lying_ <= kTaskReuseDelay) grow();
  Task *task = fresh_;
  if (task != nullptr) {
    fresh_ = task->next;
  } else {
    task = oldest_;
    oldest_ = task->next;
    if (oldest_ == nullptr) youngest_ = nullptr;
    --lying_;
  }
  task->next = nullptr;
  ++task->generation;
  task->id = task->generation * kTasksMax + task->slot;
  return task;
}

void TaskPool::put(Task *task, bool seen) noexcept {
  task->id = 0;
  task->next = nullptr;
  if (!seen) {
    task->next = fresh_;
    fresh_ = task;
    return;
  }
  (youngest_ == nullptr ? oldest_ : youngest_->next) = task;
  youngest_ = task;
  ++lying_;
}

Task *TaskPool::find(double id) const {
  if (!(id >= kSlots && id <= 9007199254740991.0)) return nullptr;
  const auto number = static_cast<uint64_t>(id);
  const uint64_t slot = number % kTasksMax;
  if (static_cast<double>(number) != id || slot >= slots_.size()) return nullptr;
  Task *task = slots_[slot];
  return task->id == number ? task : nullptr;
}

void TaskPool::grow() {
  if (slots_.size() + kGrowth > kTasksMax) {
    fail(AXLE_STATUS_RESOURCE_EXHAUSTED,
         "%llu tasks are outstanding in this environment; wait for some to complete",
         static_cast<unsigned long long>(kTasksMax));
  }
  slots_.reserve(slots_.size() + kGrowth);
  for (uint64_t i = 0; i < kGrowth; ++i) {
    Task *task = take_left();
    if (task == nullptr) task = new Task;
    task->slot = static_cast<uint32_t>(slots_.size());
    slots_.push_back(task);
    task->next = fresh_;
    fresh_ = task;
  }
}

}  // namespace axle::host
