// SPDX-License-Identifier: Apache-2.0
// The end of an environment: memory that plugins work on stays until they are done with it.
#include "environment.h"
#include "environment_list.h"
#include "limits.h"
#include "plugin_call.h"
#include "resources.h"
#include "task_memory.h"

namespace axle::host {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kForever = std::chrono::hours(24 * 365);

}  // namespace

void Environment::on_teardown(void *context) {
  auto *self = static_cast<Environment *>(context);
  environment_remove(self);
  self->shut_down(kForever);
  for (napi_ref reference : {self->receiver_, self->arrays_[0], self->arrays_[1], self->arrays_[2],
                             self->arrays_[3], self->log_handler_, self->lane_references_[0],
                             self->lane_references_[1], self->lane_references_[2]}) {
    if (reference != nullptr) napi_delete_reference(self->napi_, reference);
  }
  self->release();
}

void Environment::shut_down_at_exit(std::chrono::milliseconds wait_max) noexcept {
  use_napi_ = false;
  if (shut_down(wait_max)) return;
  log_write(AXLE_LOG_WARN, "axle", "the process exits while plugins still work on tasks of it");
}

// Returns whether all tasks and jobs were done in time; if not, nothing is closed.
bool Environment::shut_down(std::chrono::milliseconds wait_max) noexcept {
  if (log_handler_ != nullptr) log_unlisten(this);
  ending_.store(true);
  for (Task *task : staged) retire(task, false);
  staged.clear();
  cancel_all();
  if (!wait_for_all(wait_max)) return false;
  close_all();
  // Closing has started jobs, which ran here and are done.
  return wait_for_all(wait_max);
}

void Environment::cancel_all() noexcept {
  tasks.for_each([this](Task *task) {
    if (task->id != 0) cancel(task);
  });
}

bool Environment::wait_for_all(std::chrono::milliseconds wait_max) noexcept {
  const auto end = Clock::now() + wait_max;
  auto complain = Clock::now() + std::chrono::milliseconds(kTeardownComplainMs);
  for (;;) {
    for (Task *task : lane_ready_) retire(task, true);
    lane_ready_.clear();
    if (ready_ == nullptr) ready_ = completed_.take_all();
    while (ready_ != nullptr) {
      Task *task = ready_;
      ready_ = task->next;
      retire(task, true);
    }
    std::unique_lock<std::mutex> lock(mutex_);
    std::vector<std::unique_ptr<BlockingJob>> jobs;
    jobs.swap(done_jobs_);
    if (!jobs.empty()) {
      lock.unlock();
      for (auto &job : jobs) finish_job(std::move(job));
      continue;
    }
    if (tasks_outstanding_ == 0 && jobs_outstanding_ == 0) break;
    if (Clock::now() > end) return false;
    if (Clock::now() > complain) {
      complain += std::chrono::milliseconds(kTeardownComplainMs);
      log_write(AXLE_LOG_ERROR, "axle",
                "an environment cannot end: a plugin has not completed its cancelled tasks");
    }
    // A push just before `ending_` was set may not notify, hence no longer wait than this.
    changed_.wait_for(lock, std::chrono::milliseconds(10));
  }
  while (pushers_.load() != 0) std::this_thread::yield();
  return true;
}

void Environment::close_all() noexcept {
  for (const auto &stream : streams.take_all()) close_stream(*stream);
  for (const auto &queue : queues.take_all()) close_queue(*queue);
  for (const auto &model : models.take_all()) unload_model(*model);
  for (const auto &instance : plugins.take_all()) PluginTable::get().release(instance.get());
  lanes.take_all();
  args.take_all();
}

}  // namespace axle::host
