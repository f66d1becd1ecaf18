// SPDX-License-Identifier: Apache-2.0
#include "environment.h"

#include <algorithm>

#include "blocking_threads.h"
#include "completions.h"
#include "environment_list.h"
#include "inputs.h"
#include "js.h"
#include "limits.h"
#include "plugin_call.h"
#include "task_memory.h"

namespace axle::host {

Environment *Environment::create(napi_env env) {
  auto *self = new Environment(env);
  napi_value name = make_string(env, "axle:completions");
  check(env, napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr,
                                             self, on_wake, &self->wakeup_));
  check(env, napi_unref_threadsafe_function(env, self->wakeup_));
  // Hooks run newest first: this one before that of the thread-safe function.
  check(env, napi_add_env_cleanup_hook(env, on_teardown, self));
  environment_add(self);
  return self;
}

void Environment::release() noexcept {
  if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

// ---- from other threads --------------------------------------------------------------------------

void Environment::wake() noexcept {
  if (!ending_.load()) napi_call_threadsafe_function(wakeup_, nullptr, napi_tsfn_nonblocking);
}

void Environment::push_completed(Task *task) noexcept {
  // The environment ends only after all of its tasks, and then after all pushers: see wait_for_all.
  pushers_.fetch_add(1);
  if (completed_.push(task)) wake();
  if (ending_.load()) {
    std::lock_guard<std::mutex> lock(mutex_);
    changed_.notify_all();
  }
  pushers_.fetch_sub(1);
}

void Environment::job_done(std::unique_ptr<BlockingJob> job) noexcept {
  pushers_.fetch_add(1);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    done_jobs_.push_back(std::move(job));
    changed_.notify_all();
  }
  wake();
  pushers_.fetch_sub(1);
}

void Environment::on_log(const LogLine &line) noexcept try {
  bool was_empty = false;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    was_empty = log_lines_.empty();
    if (log_lines_.size() < kLogLinesMax) {
      log_lines_.push_back(line);
    } else {
      ++log_lines_lost_;
    }
  }
  if (was_empty) wake();
} catch (...) {
  // No memory for a line of log; the next one may have it.
}

// ---- keeping the event loop alive ----------------------------------------------------------------

void Environment::hold() {
  if (holds_++ == 0 && use_napi_) napi_ref_threadsafe_function(napi_, wakeup_);
}

void Environment::drop() {
  if (--holds_ == 0 && use_napi_) napi_unref_threadsafe_function(napi_, wakeup_);
}

// ---- handlers ------------------------------------------------------------------------------------

void Environment::connect(const napi_value (&completions)[3], napi_value staging) {
  if (is_connected()) fail(AXLE_STATUS_FAILED_PRECONDITION, "the addon is connected already");
  size_t length = 0;
  void *memory = nullptr;
  check(napi_,
        napi_get_typedarray_info(napi_, staging, nullptr, &length, &memory, nullptr, nullptr));
  if (length < kStagingNumbers) fail(AXLE_STATUS_INVALID_ARGUMENT, "staging is too short");
  for (size_t i = 0; i < 3; ++i) arrays_[i] = make_reference(napi_, completions[i]);
  arrays_[3] = make_reference(napi_, staging);
  staging_ = static_cast<double *>(memory);
}

void Environment::set_receiver(napi_value function) {
  if (receiver_ != nullptr) {
    fail(AXLE_STATUS_FAILED_PRECONDITION, "the completion handler is set already");
  }
  receiver_ = make_reference(napi_, function);
}

void Environment::set_log_handler(napi_value function) {
  if (log_handler_ != nullptr) {
    napi_delete_reference(napi_, log_handler_);
  } else {
    log_listen(this);
  }
  log_handler_ = make_reference(napi_, function);
}

void Environment::connect_lanes(napi_value numbers, napi_value frames, napi_value receiver) {
  if (lane_numbers_ != nullptr) {
    fail(AXLE_STATUS_FAILED_PRECONDITION, "the lanes are connected already");
  }
  size_t count = 0;
  void *memory = nullptr;
  check(napi_,
        napi_get_typedarray_info(napi_, numbers, nullptr, &count, &memory, nullptr, nullptr));
  const ByteSpan span = read_bytes(napi_, frames, "frames");
  if (count < kLaneNumbers || span.bytes < kLaneFramesBytesMin) {
    fail(AXLE_STATUS_INVALID_ARGUMENT, "the arrays of the lanes are too short");
  }
  lane_references_[0] = make_reference(napi_, numbers);
  lane_references_[1] = make_reference(napi_, frames);
  lane_references_[2] = make_reference(napi_, receiver);
  lane_numbers_ = static_cast<double *>(memory);
  lane_frames_ = static_cast<uint8_t *>(const_cast<void *>(span.data));
  lane_frames_size_ = span.bytes;
}

// An exception that leaves a handler is uncaught, as one that leaves a listener of an EventEmitter is.
void Environment::call_handler(napi_value function, size_t count, const napi_value *arguments) {
  napi_value undefined = make_undefined(napi_);
  napi_value ignored = nullptr;
  if (napi_call_function(napi_, undefined, function, count, arguments, &ignored) == napi_ok) return;
  bool pending = false;
  napi_value error = nullptr;
  if (napi_is_exception_pending(napi_, &pending) == napi_ok && pending &&
      napi_get_and_clear_last_exception(napi_, &error) == napi_ok) {
    napi_fatal_exception(napi_, error);
  }
}

// ---- the event loop's turn -----------------------------------------------------------------------

void Environment::on_wake(napi_env env, napi_value, void *context, void *) {
  // Without an env the loop is being taken down; on_teardown does the rest.
  if (env == nullptr) return;
  auto *self = static_cast<Environment *>(context);
  try {
    self->deliver_logs();
    self->deliver_completions();
    self->deliver_jobs();
  } catch (...) {
    // The environment is being terminated: no JavaScript runs any more.
  }
}

void Environment::deliver_completions() {
  if (ready_ == nullptr) ready_ = completed_.take_all();
  Task *others = nullptr;
  Task **end = &others;
  while (ready_ != nullptr) {
    Task *task = ready_;
    ready_ = task->next;
    task->next = nullptr;
    if (task->lane != nullptr) {
      lane_ready_.push_back(task);
    } else {
      *end = task;
      end = &task->next;
    }
  }
  ready_ = others;
  if (ready_ != nullptr) deliver_plain();
  if (!lane_ready_.empty()) deliver_lanes();
}

void Environment::deliver_plain() {
  napi_value arrays[3];
  for (size_t i = 0; i < 3; ++i)
    check(napi_, napi_get_reference_value(napi_, arrays_[i], &arrays[i]));
  CompletionWriter writer(napi_, arrays[0], arrays[1], arrays[2]);
  uint64_t count = 0;
  while (ready_ != nullptr && count < kCompletionsPerCall && writer.write(ready_)) {
    Task *task = ready_;
    ready_ = task->next;
    ++count;
    retire(task, true);
  }
  // The rest has a turn of its own, so that microtasks run in between.
  if (ready_ != nullptr) wake();

  napi_value receiver = nullptr;
  check(napi_, napi_get_reference_value(napi_, receiver_, &receiver));
  const napi_value arguments[] = {make_number(napi_, static_cast<double>(count)), writer.values()};
  call_handler(receiver, 2, arguments);
  for (uint64_t i = 0; i < count; ++i) drop();
}

// A lane with calls in flight is not closed, whatever its receiver does.
void Environment::deliver_lanes() {
  while (!lane_ready_.empty()) deliver_lane(lane_ready_.back()->lane);
}

void Environment::deliver_lane(Lane *lane) {
  std::vector<Task *> completed;
  const auto is_other = [lane](const Task *task) { return task->lane != lane; };
  const auto its = std::stable_partition(lane_ready_.begin(), lane_ready_.end(), is_other);
  completed.assign(its, lane_ready_.end());
  lane_ready_.erase(its, lane_ready_.end());
  const size_t before = completed.size();
  const LaneAnswers answers = lane->answer(this, &completed, lane_frames_, lane_frames_size_);
  lane_ready_.insert(lane_ready_.end(), completed.begin(), completed.end());
  double *numbers = lane_numbers_;
  numbers[0] = static_cast<double>(answers.results);
  numbers[1] = static_cast<double>(answers.result_bytes);
  numbers[2] = static_cast<double>(answers.returned);
  numbers[3] = static_cast<double>(answers.returned_bytes);
  numbers[4] = static_cast<double>(answers.input_bytes);
  numbers[5] = static_cast<double>(answers.work_ns);
  numbers[6] = static_cast<double>(answers.dropped);
  for (size_t i = completed.size(); i < before; ++i) drop();
  napi_value receiver = nullptr;
  check(napi_, napi_get_reference_value(napi_, lane_references_[2], &receiver));
  const napi_value arguments[] = {make_number(napi_, static_cast<double>(lane->id))};
  call_handler(receiver, 1, arguments);
}

void Environment::deliver_jobs() {
  std::vector<std::unique_ptr<BlockingJob>> jobs;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    jobs.swap(done_jobs_);
  }
  for (auto &job : jobs) {
    finish_job(std::move(job));
    drop();
  }
}

void Environment::deliver_logs() {
  std::deque<LogLine> lines;
  uint64_t lost = 0;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    lines.swap(log_lines_);
    std::swap(lost, log_lines_lost_);
  }
  if (lines.empty() || log_handler_ == nullptr) return;
  if (lost > 0) {
    lines.push_back({AXLE_LOG_WARN, "axle",
                     format("%llu lines of log were lost here: too many at once",
                            static_cast<unsigned long long>(lost))});
  }
  napi_value handler = nullptr;
  check(napi_, napi_get_reference_value(napi_, log_handler_, &handler));
  for (const LogLine &line : lines) {
    const napi_value arguments[] = {make_number(napi_, line.level), make_string(napi_, line.plugin),
                                    make_string(napi_, line.message)};
    call_handler(handler, 3, arguments);
  }
}

// ---- tasks ---------------------------------------------------------------------------------------

void Environment::began() {
  ++tasks_outstanding_;
  hold();
}

namespace {

// Starts what was waiting for the last task.
template <typename Thing>
void finish_waiting(Environment *environment, Thing *thing) {
  if (thing->closing != nullptr) environment->start_job(std::move(thing->closing));
}

void record_write(Stream *stream, const Task &task) {
  stream->task = nullptr;
  const axle_completion &end = task.completion;
  if (end.status != AXLE_STATUS_OK) {
    stream->failed = true;
  } else if ((task.abi.stream_flags & AXLE_STREAM_END) != 0 && end.stream_more == 0 &&
             end.consumed_bytes == task.abi.inputs[0].bytes) {
    stream->finished = true;
  }
}

}  // namespace

void Environment::retire(Task *task, bool seen) {
  free_live_blocks(task);
  free_outputs(task);
  release_pins(&task->pins);
  free_input_copies(task);
  task->room = {};
  Queue *queue = task->queue;
  Stream *stream = task->stream;
  Model *model = task->model;
  if (stream != nullptr) record_write(stream, *task);
  if (task->args != nullptr) task->args->release();
  task->args = nullptr;
  task->queue = nullptr;
  task->stream = nullptr;
  task->model = nullptr;
  task->arena.reset();
  task->state.store(TaskState::Free);
  tasks.put(task, seen);
  if (queue != nullptr || stream != nullptr) --tasks_outstanding_;

  if (stream != nullptr) finish_waiting(this, stream);
  if (queue != nullptr && --queue->outstanding == 0) finish_waiting(this, queue);
  if (model != nullptr && --model->outstanding == 0) finish_waiting(this, model);
}

void Environment::release_pins(std::vector<napi_ref> *pins) noexcept {
  if (use_napi_) {
    for (napi_ref pin : *pins) napi_delete_reference(napi_, pin);
  }
  pins->clear();
}

void Environment::cancel(Task *task) noexcept {
  task->cancelled.store(true, std::memory_order_relaxed);
  // A task that completes meanwhile stays allocated: only this thread frees it.
  if (task->state.load(std::memory_order_acquire) != TaskState::Running) return;
  if (task->queue == nullptr || !task->library->has_cancel) return;
  const Queue &queue = *task->queue;
  call_plugin_void(task->library, "cancel", [&] {
    task->library->table.cancel(queue.instance->handle, queue.handle, &task->abi);
  });
}

// ---- jobs ----------------------------------------------------------------------------------------

napi_value Environment::promise_of(BlockingJob *job) {
  napi_value promise = nullptr;
  check(napi_, napi_create_promise(napi_, &job->deferred, &promise));
  return promise;
}

napi_value Environment::run_job(std::unique_ptr<BlockingJob> job) {
  napi_value promise = promise_of(job.get());
  start_job(std::move(job));
  return promise;
}

void Environment::start_job(std::unique_ptr<BlockingJob> job) {
  // A shared pointer, for std::function is copied; the job is one thread's at a time.
  auto shared = std::make_shared<std::unique_ptr<BlockingJob>>(std::move(job));
  const auto run = [this, shared] {
    std::unique_ptr<BlockingJob> mine = std::move(*shared);
    try {
      mine->work();
    } catch (const StatusError &error) {
      mine->error = error;
    } catch (const std::exception &error) {
      mine->error = StatusError(AXLE_STATUS_RESOURCE_EXHAUSTED, error.what());
    }
    job_done(std::move(mine));
  };
  ++jobs_outstanding_;
  hold();
  if (ending_.load()) {
    run();
    return;
  }
  try {
    BlockingThreads::get().post(run);
  } catch (const StatusError &) {
    // No thread at all can be had: late is better than never.
    run();
  }
}

void Environment::finish_job(std::unique_ptr<BlockingJob> job) noexcept {
  --jobs_outstanding_;
  release_pins(&job->pins);
  if (ending_.load()) {
    if (!job->error.has_value() && job->abandon != nullptr) job->abandon();
    return;
  }
  try {
    if (!job->error.has_value()) {
      try {
        napi_value value = job->result == nullptr ? make_undefined(napi_) : job->result(napi_);
        check(napi_, napi_resolve_deferred(napi_, job->deferred, value));
        return;
      } catch (const StatusError &error) {
        job->error = error;
      }
    }
    napi_value error = make_error(napi_, job->error->status(), job->error->what());
    check(napi_, napi_reject_deferred(napi_, job->deferred, error));
  } catch (...) {
    // No JavaScript runs any more: the environment is being terminated.
  }
}

}  // namespace axle::host
