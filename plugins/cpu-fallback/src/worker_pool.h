// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CPU_WORKER_POOL_H
#define AXLE_CPU_WORKER_POOL_H

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace axle::cpu {

// A fixed number of threads that take jobs from one bounded FIFO, which all queues share.
//
// Jobs must not throw: an exception out of one ends the process.
class WorkerPool {
 public:
  using Job = std::function<void()>;

  // Starts `threads` (at least 1) threads. At most `queued_max` jobs wait at once. The threads are
  // `nice` steps nicer than whoever starts them.
  // Throws std::system_error when the system refuses a thread.
  WorkerPool(size_t threads, size_t queued_max, int nice = 0);

  // Runs every job that still waits, then joins the threads.
  ~WorkerPool();

  WorkerPool(const WorkerPool &) = delete;
  WorkerPool &operator=(const WorkerPool &) = delete;

  size_t thread_count() const { return threads_.size(); }

  // Appends one job, or all of `jobs` in their order. Returns false, and takes none, when the FIFO
  // has no room for all of them. Never waits for a job. Any thread.
  [[nodiscard]] bool submit(Job job);
  [[nodiscard]] bool submit_all(std::vector<Job> jobs);

  // Calls fn(0) .. fn(n - 1), each once, in no order, and returns when all have returned. The caller
  // works along with threads that are idle or become so, so this finishes even when every thread of
  // the pool is inside a parallel_for of its own. May be nested. Any thread.
  //
  // When calls throw, the rest that has not begun is skipped and one of the exceptions is rethrown.
  void parallel_for(size_t n, const std::function<void(size_t)> &fn);

 private:
  struct Loop;

  void run_thread();
  void stop();

  const size_t queued_max_;
  const int nice_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> jobs_;
  // Loops that want help; taken before jobs, since a job that has begun should end first.
  std::deque<std::shared_ptr<Loop>> loops_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace axle::cpu

#endif
