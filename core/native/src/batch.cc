// SPDX-License-Identifier: Apache-2.0
#include "batch.h"

#include "dtype.h"
#include "fence.h"
#include "host_table.h"
#include "plugin_call.h"
#include "untouched.h"

namespace axle::host {
namespace {

// ---- what tasks of one submit must have in common ------------------------------------------------

bool same_op(const axle_task &a, const axle_task &b) {
  return a.op == b.op && a.op_version == b.op_version && a.chain_first == b.chain_first &&
         a.chain_last == b.chain_last;
}

bool same_text(const char *a, const char *b) {
  if (a == nullptr || b == nullptr) return a == b;
  return strcmp(a, b) == 0;
}

// But for dimension 0.
bool same_shape(const axle_tensor &a, const axle_tensor &b) {
  if (a.dtype != b.dtype || a.rank != b.rank || !same_text(a.name, b.name)) return false;
  for (uint32_t i = 1; i < a.rank; ++i) {
    if (a.dims[i] != b.dims[i]) return false;
  }
  return true;
}

bool same_inputs(const axle_task &a, const axle_task &b) {
  if (a.input_count != b.input_count) return false;
  for (uint64_t i = 0; i < a.input_count; ++i) {
    if (!same_shape(a.inputs[i], b.inputs[i])) return false;
  }
  return true;
}

}  // namespace

bool may_run_together(const axle_task &a, const axle_task &b) { return same_inputs(a, b); }

namespace {

// Returns the op that they are of.
const OpInfo *check_batch(const Queue &queue, const std::vector<Task *> &tasks) {
  const Task &first = *tasks.front();
  const OpInfo *op = queue.instance->find_op(first.abi.op, first.abi.op_version,
                                             first.abi.chain_first, first.abi.chain_last);
  if (op == nullptr) {
    fail(AXLE_STATUS_UNIMPLEMENTED, "plugin '%s' has no op %u version %u, steps %u to %u",
         queue.instance->library->name.c_str(), first.abi.op, first.abi.op_version,
         first.abi.chain_first, first.abi.chain_last);
  }
  for (const Task *task : tasks) {
    if (task->model != nullptr &&
        (task->model->instance != queue.instance || task->model->device != queue.device)) {
      fail(AXLE_STATUS_INVALID_ARGUMENT,
           "a task's model is loaded on another device than the queue's");
    }
  }
  const bool is_batchable = (op->flags & AXLE_OP_FLAG_BATCHABLE) != 0;
  for (size_t i = 1; i < tasks.size(); ++i) {
    const Task &task = *tasks[i];
    if (!same_op(first.abi, task.abi)) {
      fail(AXLE_STATUS_INVALID_ARGUMENT,
           "tasks of one submit must be of one op, version and range");
    }
    if (is_batchable && (task.model != first.model || !same_args(task.args, first.args) ||
                         !same_inputs(first.abi, task.abi))) {
      fail(AXLE_STATUS_INVALID_ARGUMENT,
           "tasks of one submit of a BATCHABLE op must share model, arguments, and the shape and "
           "type "
           "of every input but for dimension 0");
    }
  }
  return op;
}

// ---- handing over --------------------------------------------------------------------------------

void hand_over(Task *task, const PluginLibrary *library, size_t submitted_with, bool may_change) {
  note_untouched(task, may_change);
  task->library = library;
  task->submitted_with = static_cast<uint32_t>(submitted_with);
  task->state.store(TaskState::Submitting, std::memory_order_release);
}

// After submit returned: the list is the host's.
void check_list(const PluginLibrary *library, axle_task *const *list,
                const std::vector<Task *> &tasks) {
  if (!process_checks_rules()) return;
  for (size_t i = 0; i < tasks.size(); ++i) {
    if (list[i] == &tasks[i]->abi) continue;
    plugin_fault(library, "wrote to submit's list of tasks, which it may only read");
    return;
  }
}

// After submit returned OK.
void settle(Task *task) {
  TaskState state = TaskState::Submitting;
  if (task->state.compare_exchange_strong(state, TaskState::Running)) return;
  task->state.store(TaskState::Completed);
  task->environment->push_completed(task);
}

// After submit returned something else: the plugin must not have the task.
void take_back(Environment *environment, Task *task) {
  {
    TaskGuard guard(task);
    if (task->state.load() == TaskState::CompletedEarly) {
      plugin_fault(task->library, "a task was completed whose submit failed");
    }
    if (const char *problem = untouched_problem(task)) plugin_fault(task->library, problem);
    task->state.store(TaskState::Staged);
  }
  task->queue = nullptr;
  task->stream = nullptr;
  environment->retire(task, true);
}

}  // namespace

void submit_batch(Environment *environment, Queue *queue, std::vector<Task *> *tasks) {
  const OpInfo *op = nullptr;
  try {
    op = check_batch(*queue, *tasks);
  } catch (...) {
    for (Task *task : *tasks) environment->retire(task, false);
    tasks->clear();
    throw;
  }
  const PluginLibrary *library = queue->instance->library;
  axle_task *list[AXLE_SUBMIT_MAX];
  size_t count = 0;
  const bool may_change = (op->flags & AXLE_OP_FLAG_INPUTS_MAY_CHANGE) != 0;
  for (Task *task : *tasks) {
    task->queue = queue;
    hand_over(task, library, tasks->size(), may_change);
    list[count++] = &task->abi;
  }
  try {
    const SubmitScope scope;
    call_plugin_checked(library, "submit", [&](axle_error *error) {
      return library->table.submit(queue->instance->handle, queue->handle, list, count, error);
    });
  } catch (...) {
    for (Task *task : *tasks) take_back(environment, task);
    tasks->clear();
    throw;
  }
  check_list(library, list, *tasks);
  for (Task *task : *tasks) {
    ++queue->outstanding;
    environment->began();
    settle(task);
  }
  tasks->clear();
}

void submit_write(Environment *environment, Stream *stream, Task *task) {
  const PluginLibrary *library = stream->instance->library;
  task->stream = stream;
  hand_over(task, library, 1, false);
  try {
    const SubmitScope scope;
    call_plugin_checked(library, "stream_write", [&](axle_error *error) {
      return library->table.stream_write(stream->instance->handle, stream->handle, &task->abi,
                                         error);
    });
  } catch (...) {
    stream->failed = true;
    take_back(environment, task);
    throw;
  }
  stream->task = task;
  environment->began();
  settle(task);
}

}  // namespace axle::host
