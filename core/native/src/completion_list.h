// SPDX-License-Identifier: Apache-2.0
// Completed tasks on their way to the JS thread: pushed by any thread, taken all at once by one.
#ifndef AXLE_HOST_COMPLETION_LIST_H
#define AXLE_HOST_COMPLETION_LIST_H

#include <atomic>

#include "task.h"

namespace axle::host {

class CompletionList {
 public:
  // Any thread, without a lock. True when the list was empty: then the taker has to be woken.
  bool push(Task *task) noexcept {
    Task *head = head_.load(std::memory_order_relaxed);
    do {
      task->next = head;
    } while (!head_.compare_exchange_weak(head, task, std::memory_order_release,
                                          std::memory_order_relaxed));
    return head == nullptr;
  }

  // One thread. All tasks, oldest first, or nullptr.
  Task *take_all() noexcept {
    Task *newest_first = head_.exchange(nullptr, std::memory_order_acquire);
    Task *oldest_first = nullptr;
    while (newest_first != nullptr) {
      Task *next = newest_first->next;
      newest_first->next = oldest_first;
      oldest_first = newest_first;
      newest_first = next;
    }
    return oldest_first;
  }

 private:
  std::atomic<Task *> head_{nullptr};
};

}  // namespace axle::host

#endif  // AXLE_HOST_COMPLETION_LIST_H
