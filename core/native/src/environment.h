// SPDX-License-Identifier: Apache-2.0
// What one Node environment (the main thread, or a worker) has of the plugin host.
#ifndef AXLE_HOST_ENVIRONMENT_H
#define AXLE_HOST_ENVIRONMENT_H

#include <node_api.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "args.h"
#include "blocking_job.h"
#include "completion_list.h"
#include "lane.h"
#include "log.h"
#include "plugin_table.h"
#include "status.h"
#include "task_pool.h"

namespace axle::host {

struct Queue {
  PluginInstance *instance;  // one reference
  uint32_t device;
  axle_queue *handle;
  uint64_t outstanding = 0;
  std::unique_ptr<BlockingJob> closing;  // waits for the last task
};

struct Model {
  PluginInstance *instance;
  uint32_t device;
  axle_model *handle;
  uint64_t outstanding = 0;
  std::unique_ptr<BlockingJob> closing;
};

struct Stream {
  PluginInstance *instance;
  uint32_t device;
  uint32_t op;
  uint32_t op_version;
  axle_stream *handle;
  Task *task = nullptr;  // the outstanding write
  bool failed = false;
  bool ending = false;    // a write carried END
  bool finished = false;  // everything is consumed and put out
  std::unique_ptr<BlockingJob> closing;
};

// Things that JavaScript names by number. A number is not used again.
template <typename T>
class IdTable {
 public:
  uint64_t add(std::shared_ptr<T> thing) {
    things_.emplace(++last_id_, std::move(thing));
    return last_id_;
  }
  // Throws StatusError INVALID_ARGUMENT.
  const std::shared_ptr<T> &get(uint64_t id, const char *what) const {
    const auto found = things_.find(id);
    if (found != things_.end()) return found->second;
    fail(AXLE_STATUS_INVALID_ARGUMENT, "there is no %s %llu here; it may be closed already", what,
         static_cast<unsigned long long>(id));
  }
  std::shared_ptr<T> remove(uint64_t id, const char *what) {
    std::shared_ptr<T> thing = get(id, what);
    things_.erase(id);
    return thing;
  }
  std::vector<std::shared_ptr<T>> take_all() {
    std::vector<std::shared_ptr<T>> all;
    for (auto &entry : things_) all.push_back(std::move(entry.second));
    things_.clear();
    return all;
  }

 private:
  std::unordered_map<uint64_t, std::shared_ptr<T>> things_;
  uint64_t last_id_ = 0;
};

// Counted: finalisers of output memory may come after the environment has ended.
class Environment final : public LogListener {
 public:
  // Of the calling JS thread. Throws when Node-API fails.
  static Environment *create(napi_env env);

  napi_env napi() const { return napi_; }

  // ---- any thread --------------------------------------------------------------------------------
  // A completed task; from the call on, it is the JS thread's.
  void push_completed(Task *task) noexcept;
  void add_output_bytes(uint64_t bytes) noexcept {
    output_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  }
  void sub_output_bytes(uint64_t bytes) noexcept {
    output_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
  }
  uint64_t output_bytes() const { return output_bytes_.load(std::memory_order_relaxed); }
  void on_log(const LogLine &line) noexcept override;
  void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept;

  // ---- JS thread ---------------------------------------------------------------------------------
  IdTable<PluginInstance> plugins;  // each with one reference in the PluginTable
  IdTable<Queue> queues;
  IdTable<Model> models;
  IdTable<Stream> streams;
  IdTable<ArgSet> args;
  IdTable<Lane> lanes;
  TaskPool tasks;
  std::vector<Task *> staged;

  // The arrays through which completions go (see completions.h) and tasks come (see inputs.h).
  void connect(const napi_value (&completions)[3], napi_value staging);
  bool is_connected() const { return staging_ != nullptr; }
  double *staging() const { return staging_; }
  void set_receiver(napi_value function);
  bool has_receiver() const { return receiver_ != nullptr; }
  void set_log_handler(napi_value function);
  // What lanes took and answered is told in `numbers`, and the frames are in `frames`; `receiver` is called for each
  // lane that has some. See native-lanes.ts.
  void connect_lanes(napi_value numbers, napi_value frames, napi_value receiver);
  // Of the lane functions; nullptr before connect_lanes.
  double *lane_numbers() const { return lane_numbers_; }

  // A task was taken by a plugin.
  void began();
  // A task is over: gives back all that it has, and starts what waited for it. `seen` by a plugin.
  void retire(Task *task, bool seen);
  uint64_t tasks_outstanding() const { return tasks_outstanding_; }

  // A promise for a call that may block, which is started at once, or later by start_job.
  napi_value run_job(std::unique_ptr<BlockingJob> job);
  napi_value promise_of(BlockingJob *job);
  void start_job(std::unique_ptr<BlockingJob> job);

  // Best effort.
  void cancel(Task *task) noexcept;

  // For process exit: cancels, waits at most so long, and closes what it can. No Node-API from here on.
  void shut_down_at_exit(std::chrono::milliseconds wait_max) noexcept;
  std::thread::id thread() const { return thread_; }

 private:
  explicit Environment(napi_env env) : napi_(env), thread_(std::this_thread::get_id()) {}
  ~Environment() = default;

  static void on_wake(napi_env env, napi_value, void *context, void *);
  static void on_teardown(void *self);

  void wake() noexcept;
  void hold();
  void drop();
  void deliver_completions();
  void deliver_plain();
  void deliver_lanes();
  void deliver_lane(Lane *lane);
  void deliver_jobs();
  void deliver_logs();
  void call_handler(napi_value function, size_t count, const napi_value *arguments);
  void finish_job(std::unique_ptr<BlockingJob> job) noexcept;
  void release_pins(std::vector<napi_ref> *pins) noexcept;
  void job_done(std::unique_ptr<BlockingJob> job) noexcept;

  bool shut_down(std::chrono::milliseconds wait_max) noexcept;
  void cancel_all() noexcept;
  bool wait_for_all(std::chrono::milliseconds wait_max) noexcept;
  void close_all() noexcept;

  const napi_env napi_;
  const std::thread::id thread_;
  napi_threadsafe_function wakeup_ = nullptr;
  napi_ref receiver_ = nullptr;
  napi_ref arrays_[4] = {};
  double *staging_ = nullptr;  // the last one's memory, which is only our own TypeScript's
  napi_ref log_handler_ = nullptr;
  napi_ref lane_references_[3] = {};
  double *lane_numbers_ = nullptr;
  uint8_t *lane_frames_ = nullptr;
  size_t lane_frames_size_ = 0;
  bool use_napi_ = true;
  uint64_t holds_ = 0;  // tasks and jobs for which the event loop stays alive
  uint64_t tasks_outstanding_ = 0;
  uint64_t jobs_outstanding_ = 0;
  Task *ready_ = nullptr;           // taken from completed_, not delivered yet
  std::vector<Task *> lane_ready_;  // of those, what came over lanes

  CompletionList completed_;
  std::atomic<uint64_t> pushers_{0};  // threads between a push and the last touch of this
  std::atomic<bool> ending_{false};
  std::atomic<uint64_t> output_bytes_{0};
  std::atomic<uint64_t> references_{1};

  std::mutex mutex_;
  std::condition_variable changed_;  // a completion or a job, while ending
  std::vector<std::unique_ptr<BlockingJob>> done_jobs_;
  std::deque<LogLine> log_lines_;
  uint64_t log_lines_lost_ = 0;
};

}  // namespace axle::host

#endif  // AXLE_HOST_ENVIRONMENT_H
