// SPDX-License-Identifier: Apache-2.0
#include "blocking_threads.h"

#include <pthread.h>
#include <signal.h>

#include <chrono>
#include <system_error>
#include <thread>

#include "limits.h"
#include "status.h"

namespace axle::host {

BlockingThreads &BlockingThreads::get() {
  static auto *threads = new BlockingThreads;
  return *threads;
}

void BlockingThreads::post(std::function<void()> work) {
  std::lock_guard<std::mutex> lock(mutex_);
  waiting_.push_back(std::move(work));
  if (idle_ >= waiting_.size() || threads_ >= kBlockingThreadsMax) {
    posted_.notify_one();
    return;
  }
  try {
    start_thread();
  } catch (const std::system_error &error) {
    if (threads_ > 0) {
      posted_.notify_one();
      return;
    }
    waiting_.pop_back();
    fail(AXLE_STATUS_RESOURCE_EXHAUSTED, "no thread can be started: %s", error.what());
  }
}

void BlockingThreads::start_thread() {
  // Signals are Node's; a new thread inherits the mask.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  // What a thread does wrong is its own: with these blocked, no handler would hear of it.
  for (const int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP}) sigdelset(&all, own);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    std::thread([this] { run(); }).detach();
    ++threads_;
  } catch (...) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void BlockingThreads::run() noexcept {
  pthread_setname_np(pthread_self(), "axle-blocking");
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    ++idle_;
    const bool posted = posted_.wait_for(lock, std::chrono::milliseconds(kBlockingThreadIdleMs),
                                         [this] { return !waiting_.empty(); });
    --idle_;
    if (!posted) break;
    {
      const std::function<void()> work = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      work();
    }
    lock.lock();
  }
  --threads_;
}

}  // namespace axle::host
