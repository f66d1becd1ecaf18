// SPDX-License-Identifier: Apache-2.0
#include "worker_pool.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <exception>
#include <utility>

namespace axle::cpu {

// One parallel_for. A thread claims an index by next++ and touches `fn` only while it holds an index
// below n; the caller waits until all n are done, so `fn` outlives every use of it. The Loop itself
// may outlive the call, inside a thread that comes too late to claim anything.
struct WorkerPool::Loop {
  Loop(size_t count, const std::function<void(size_t)> &function) : n(count), fn(&function) {}

  void work() {
    for (;;) {
      const size_t index = next.fetch_add(1, std::memory_order_relaxed);
      if (index >= n) return;
      if (!failed.load(std::memory_order_relaxed)) call(index);
      finish_one();
    }
  }

  void wait() {
    std::unique_lock<std::mutex> lock(mutex);
    all_done.wait(lock, [this] { return done == n; });
    if (error) std::rethrow_exception(error);
  }

  bool exhausted() const { return next.load(std::memory_order_relaxed) >= n; }

 private:
  void call(size_t index) {
    try {
      (*fn)(index);
    } catch (...) {
      std::lock_guard<std::mutex> lock(mutex);
      if (!error) error = std::current_exception();
      failed.store(true, std::memory_order_relaxed);
    }
  }

  void finish_one() {
    std::lock_guard<std::mutex> lock(mutex);
    if (++done == n) all_done.notify_all();
  }

  const size_t n;
  const std::function<void(size_t)> *fn;
  std::atomic<size_t> next{0};
  std::atomic<bool> failed{false};
  std::mutex mutex;
  std::condition_variable all_done;
  size_t done = 0;
  std::exception_ptr error;
};

WorkerPool::WorkerPool(size_t threads, size_t queued_max, int nice)
    : queued_max_(queued_max), nice_(nice) {
  try {
    threads_.reserve(std::max<size_t>(threads, 1));
    for (size_t i = 0; i < std::max<size_t>(threads, 1); i++) {
      threads_.emplace_back([this] { run_thread(); });
    }
  } catch (...) {
    stop();
    throw;
  }
}

WorkerPool::~WorkerPool() { stop(); }

void WorkerPool::stop() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread &thread : threads_) thread.join();
  threads_.clear();
}

bool WorkerPool::submit(Job job) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (jobs_.size() >= queued_max_) return false;
    jobs_.push_back(std::move(job));
  }
  wake_.notify_one();
  return true;
}

bool WorkerPool::submit_all(std::vector<Job> jobs) {
  const size_t count = jobs.size();
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (count > queued_max_ - std::min(queued_max_, jobs_.size())) return false;
    const size_t before = jobs_.size();
    try {
      for (Job &job : jobs) jobs_.push_back(std::move(job));
    } catch (...) {
      jobs_.resize(before);
      throw;
    }
  }
  if (count == 1) {
    wake_.notify_one();
  } else if (count > 1) {
    wake_.notify_all();
  }
  return true;
}

void WorkerPool::parallel_for(size_t n, const std::function<void(size_t)> &fn) {
  if (n == 0) return;
  if (n == 1) {
    fn(0);
    return;
  }
  auto loop = std::make_shared<Loop>(n, fn);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    loops_.push_back(loop);
  }
  wake_.notify_all();
  loop->work();
  {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = std::find(loops_.begin(), loops_.end(), loop);
    if (found != loops_.end()) loops_.erase(found);
  }
  loop->wait();
}

void WorkerPool::run_thread() {
  // Of this thread alone, on Linux. An event loop that shares its cores with long computations is then
  // not kept waiting for them.
  if (nice_ > 0 && ::nice(nice_) == -1) errno = 0;
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !jobs_.empty() || !loops_.empty(); });
    if (!loops_.empty()) {
      const std::shared_ptr<Loop> loop = loops_.front();
      if (loop->exhausted()) {
        loops_.pop_front();
        continue;
      }
      lock.unlock();
      loop->work();
      lock.lock();
      continue;
    }
    if (!jobs_.empty()) {
      Job job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      job();
      job = nullptr;  // what it captured goes outside the lock
      lock.lock();
      continue;
    }
    if (stopping_) return;
  }
}

}  // namespace axle::cpu
