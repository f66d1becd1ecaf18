// SPDX-License-Identifier: Apache-2.0
#include "host_table.h"

#include <time.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

#include "environment.h"
#include "limits.h"
#include "log.h"
#include "names.h"
#include "status.h"
#include "task_memory.h"
#include "untouched.h"

namespace axle::host {
namespace {

thread_local bool inside_submit = false;

bool is_with_plugin(TaskState state) {
  return state == TaskState::Running || state == TaskState::Submitting;
}

// For the calls that use a task's memory.
bool check_open(Task *task, const char *slot) noexcept {
  if (is_with_plugin(task->state.load(std::memory_order_acquire))) return true;
  plugin_fault(task->library, std::string(slot) + " was called on a task that is not outstanding");
  return false;
}

void *host_alloc(axle_task *abi, uint64_t bytes, uint32_t kind) noexcept {
  Task *task = task_of(abi, "alloc");
  if (task == nullptr) return nullptr;
  TaskGuard guard(task);
  return check_open(task, "alloc") ? task_alloc(task, bytes, kind) : nullptr;
}

void *host_resize(axle_task *abi, void *data, uint64_t bytes) noexcept {
  Task *task = task_of(abi, "resize");
  if (task == nullptr) return nullptr;
  TaskGuard guard(task);
  return check_open(task, "resize") ? task_resize(task, data, bytes) : nullptr;
}

void host_release(axle_task *abi, void *data) noexcept {
  Task *task = task_of(abi, "release");
  if (task == nullptr) return;
  TaskGuard guard(task);
  if (check_open(task, "release")) task_release(task, data);
}

int32_t host_emit(axle_task *abi, const axle_chunk *chunk) noexcept {
  Task *task = task_of(abi, "emit");
  if (task == nullptr) return AXLE_STATUS_INVALID_ARGUMENT;
  TaskGuard guard(task);
  return check_open(task, "emit") ? task_emit(task, chunk) : AXLE_STATUS_INVALID_ARGUMENT;
}

// ---- completion ----------------------------------------------------------------------------------

uint64_t input_bytes(const Task *task) {
  return task->abi.input_count == 0 ? 0 : task->abi.inputs[0].bytes;
}

void set_message(Task *task, const std::string &text) noexcept try {
  task->message_bytes = text.size();
  task->message = task->arena.copy_text(text.data(), text.size());
} catch (...) {
  task->message_bytes = 0;
  task->message = "";
}

// A wrong number spoils what is measured, and not the task's result.
void check_batch_size(Task *task) noexcept {
  uint32_t &size = task->completion.batch_size;
  if (size == 0) size = 1;
  if (size <= task->submitted_with) return;
  size = task->submitted_with;
  plugin_fault(task->library, "completed a task with a batch_size over the tasks of its submit");
}

// Fills the task's completion from the plugin's, which may break rules.
void record_completion(Task *task, const axle_completion *given) noexcept try {
  axle_completion &completion = task->completion;
  completion = {};
  if (given == nullptr || given->struct_size < sizeof completion) {
    break_rule(task,
               "completed a task with no axle_completion or one whose struct_size is too small");
  } else {
    completion = *given;
  }
  if (!is_status(completion.status))
    break_rule(task, "completed a task with a number that is no status");
  if (task->stream != nullptr && completion.consumed_bytes > input_bytes(task)) {
    break_rule(task, "consumed more bytes of a stream than it was given");
  }
  check_batch_size(task);

  const char *name = task->library->name.c_str();
  if (!task->broken_rule.empty()) {
    completion.status = AXLE_STATUS_INTERNAL;
    set_message(task, format("plugin '%s' broke a rule of the ABI: it %s", name,
                             task->broken_rule.c_str()));
  } else if (completion.status != AXLE_STATUS_OK) {
    std::string text = cleaned(completion.message, AXLE_MESSAGE_BYTES_MAX);
    if (text.empty()) {
      text = format("plugin '%s' ended the task with %s and no message", name,
                    status_name(completion.status).c_str());
    }
    set_message(task, text);
  }
} catch (...) {
  task->completion.status = AXLE_STATUS_RESOURCE_EXHAUSTED;
}

// Returns whether the task is to be sent to its environment now.
bool finish(Task *task, const axle_completion *given) noexcept {
  TaskGuard guard(task);
  TaskState state = task->state.load(std::memory_order_acquire);
  if (!is_with_plugin(state)) {
    plugin_fault(task->library, "complete was called on a task that is not outstanding");
    return false;
  }
  if (state == TaskState::Submitting && inside_submit) {
    plugin_fault(task->library, "complete was called inside submit");
  }
  check_live_blocks(task);
  if (const char *problem = untouched_problem(task)) break_rule(task, problem);
  record_completion(task, given);
  free_live_blocks(task);
  if (task->completion.status != AXLE_STATUS_OK) free_outputs(task);

  // Another thread may be done before submit has returned; then the JS thread sends the task on.
  state = TaskState::Submitting;
  if (task->state.compare_exchange_strong(state, TaskState::CompletedEarly)) return false;
  task->state.store(TaskState::Completed);
  return true;
}

void host_complete(axle_task *abi, const axle_completion *completion) noexcept {
  Task *task = task_of(abi, "complete");
  // From the push on, the task is the JS thread's.
  if (task != nullptr && finish(task, completion)) task->environment->push_completed(task);
}

int32_t host_cancelled(const axle_task *abi) noexcept {
  const Task *task = task_of(abi, "cancelled");
  return task == nullptr || task->cancelled.load(std::memory_order_relaxed) ? 1 : 0;
}

// ---- log -----------------------------------------------------------------------------------------

// log() has no parameter that says who calls, so each plugin gets a function of its own. A plugin past
// the last one is logged without its name.
constexpr size_t kLogSlots = 64;
std::atomic<const char *> log_names[kLogSlots];
std::atomic<size_t> log_slots_used{0};

template <size_t kSlot>
void host_log(uint32_t level, const char *message) noexcept {
  log_write(level, log_names[kSlot].load(std::memory_order_acquire), message);
}

void host_log_unnamed(uint32_t level, const char *message) noexcept {
  log_write(level, "plugin", message);
}

using LogFunction = void (*)(uint32_t, const char *);

template <size_t... kSlot>
LogFunction log_function(size_t slot, std::index_sequence<kSlot...>) {
  static const LogFunction functions[] = {host_log<kSlot>...};
  return functions[slot];
}

LogFunction log_function_for(const std::string &name) {
  const size_t slot = log_slots_used.fetch_add(1);
  if (slot >= kLogSlots) return host_log_unnamed;
  char *copy = new char[name.size() + 1];
  std::memcpy(copy, name.c_str(), name.size() + 1);
  log_names[slot].store(copy, std::memory_order_release);
  return log_function(slot, std::make_index_sequence<kLogSlots>());
}

}  // namespace

uint64_t now_ns() noexcept {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(time.tv_nsec);
}

SubmitScope::SubmitScope() noexcept { inside_submit = true; }
SubmitScope::~SubmitScope() { inside_submit = false; }

const axle_host *make_host_table(const std::string &plugin_name) {
  auto *host = new axle_host{};
  host->struct_size = sizeof *host;
  host->abi_major = AXLE_ABI_MAJOR;
  host->abi_minor = AXLE_ABI_MINOR;
  host->alloc = host_alloc;
  host->resize = host_resize;
  host->release = host_release;
  host->emit = host_emit;
  host->complete = host_complete;
  host->cancelled = host_cancelled;
  host->now_ns = now_ns;
  host->log = log_function_for(plugin_name);
  return host;
}

}  // namespace axle::host
