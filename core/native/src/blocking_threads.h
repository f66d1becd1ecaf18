// SPDX-License-Identifier: Apache-2.0
// Threads for calls that may block. libuv's own four are left to those who count on them.
#ifndef AXLE_HOST_BLOCKING_THREADS_H
#define AXLE_HOST_BLOCKING_THREADS_H

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>

namespace axle::host {

// One per process, never destroyed. Threads start when all others are busy, up to
// kBlockingThreadsMax, and end after a while with nothing to do.
class BlockingThreads {
 public:
  static BlockingThreads &get();

  // Runs `work`, which must not throw, on one of the threads. Throws StatusError when there is none
  // and none can be started. Any thread.
  void post(std::function<void()> work);

 private:
  BlockingThreads() = default;
  void start_thread();
  void run() noexcept;

  std::mutex mutex_;
  std::condition_variable posted_;
  std::deque<std::function<void()>> waiting_;
  uint64_t threads_ = 0;
  uint64_t idle_ = 0;
};

}  // namespace axle::host

#endif  // AXLE_HOST_BLOCKING_THREADS_H
