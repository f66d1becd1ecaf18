// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_PLUGINS_COMMON_TASK_RUN_H
#define AXLE_PLUGINS_COMMON_TASK_RUN_H

#include <axle/plugin.h>

#include <cstdint>
#include <vector>

#include "failure.h"

namespace axle {

// Time since the last lap, on the host's clock.
class Stopwatch {
 public:
  explicit Stopwatch(const axle_host &host) : host_(host), last_ns_(host.now_ns()) {}

  uint64_t lap_ns() {
    const uint64_t now_ns = host_.now_ns();
    const uint64_t lap_ns = now_ns - last_ns_;
    last_ns_ = now_ns;
    return lap_ns;
  }

 private:
  const axle_host &host_;
  uint64_t last_ns_;
};

// One task while a thread of a device works on it, and what has become of it so far.
class TaskRun {
 public:
  TaskRun(const axle_host &host, axle_task *task, uint64_t submitted_ns)
      : host_(host), task_(task), submitted_ns_(submitted_ns) {}

  const axle_host &host() const { return host_; }
  const axle_task &task() const { return *task_; }

  // Notes that work begins. False when nobody wants the result any more; the task then has failed. `late` is its
  // message where the deadline passed before, and lives as long as the run.
  bool begin(const char *late = kLate) noexcept;
  // Throws Failure (CANCELLED) once nobody waits for the task.
  void check_wanted() const;

  // Output memory; not NULL for 0 bytes either. Throws Failure (RESOURCE_EXHAUSTED).
  void *allocate(uint64_t bytes, uint32_t kind = AXLE_MEMORY_HOST);
  // The same, but NULL where there is no room.
  void *try_allocate(uint64_t bytes) { return host_.alloc(task_, bytes, AXLE_MEMORY_HOST); }
  void release(void *data) { host_.release(task_, data); }
  // Hands memory over. Throws Failure when the host refuses it.
  void emit(uint32_t output, const char *name, uint32_t dtype, const int64_t *dims, size_t rank,
            void *data, uint64_t bytes);

  void fail(const Reason &reason) noexcept;  // without its message where memory is short
  bool failed() const { return reason_.status != AXLE_STATUS_OK; }

  // Ends the task; at most once, and nothing else is called afterwards.
  void complete() noexcept;

  axle_task *raw() const { return task_; }

  uint32_t batch_size = 1;
  uint64_t transfer_ns = 0;
  uint64_t compute_ns = 0;
  uint64_t consumed_bytes = 0;
  bool stream_more = false;

 private:
  static constexpr const char *kLate =
      "the deadline passed while the task waited for the device; allow more time";

  const axle_host &host_;
  axle_task *task_;
  uint64_t submitted_ns_;
  uint64_t queue_ns_ = 0;
  Reason reason_;
  const char *fixed_message_ = nullptr;  // instead of the reason's own
};

// Tasks that are worked on together.
using TaskRuns = std::vector<TaskRun *>;

// Runs `body` with each; what it throws fails that task alone.
template <class Body>
void for_each_run(const TaskRuns &runs, Body &&body) {
  for (TaskRun *run : runs) {
    try {
      body(*run);
    } catch (...) {
      run->fail(current_reason());
    }
  }
}

}  // namespace axle

#endif
