// SPDX-License-Identifier: Apache-2.0
// argsCreate, argsFree, queueOpen, queueClose, stage, submit, cancel.
#include <memory>

#include "batch.h"
#include "device_argument.h"
#include "entry.h"
#include "host_table.h"
#include "inputs.h"
#include "limits.h"
#include "plugin_call.h"
#include "resources.h"
#include "staging.h"

namespace axle::host {
namespace {

napi_value args_create(const Call &call) {
  std::shared_ptr<ArgSet> args(ArgSet::read(call.env, call[0]),
                               [](ArgSet *set) { set->release(); });
  return make_number(call.env, static_cast<double>(call.environment->args.add(std::move(args))));
}

napi_value args_free(const Call &call) {
  const uint64_t id = read_integer(call.env, call[0], kSafeIntegerMax, "argsId");
  call.environment->args.remove(id, "argument list");
  return nullptr;
}

napi_value queue_open(const Call &call) {
  const auto [instance, device] = read_device(call, call[0], call[1]);
  auto queue = std::make_shared<Queue>(Queue{instance, device, nullptr, 0, nullptr});
  const PluginLibrary *library = instance->library;
  call_plugin_checked(library, "queue_open", [&](axle_error *error) {
    return library->table.queue_open(queue->instance->handle, queue->device, &queue->handle, error);
  });
  PluginTable::get().retain(instance);
  return make_number(call.env, static_cast<double>(call.environment->queues.add(std::move(queue))));
}

napi_value queue_close(const Call &call) {
  const uint64_t id = read_integer(call.env, call[0], kSafeIntegerMax, "queueId");
  std::shared_ptr<Queue> queue = call.environment->queues.remove(id, "queue");
  auto job = std::make_unique<BlockingJob>();
  job->work = [queue] { close_queue(*queue); };
  napi_value promise = call.environment->promise_of(job.get());
  if (queue->outstanding == 0) {
    call.environment->start_job(std::move(job));
  } else {
    queue->closing = std::move(job);
  }
  return promise;
}

// Stages the task that the numbers in the staging array describe, with the inputs that `read` reads,
// and puts its id into the first place of that array.
template <typename Read>
void stage_task(Environment *environment, Read read) {
  if (!environment->is_connected()) {
    fail(AXLE_STATUS_FAILED_PRECONDITION, "the addon is not connected");
  }
  if (environment->staged.size() >= AXLE_SUBMIT_MAX) {
    fail(AXLE_STATUS_INVALID_ARGUMENT, "%u tasks are staged already, as many as a submit may have",
         AXLE_SUBMIT_MAX);
  }
  StagedTask staged(environment);
  staged.use_numbers(environment->staging());
  read(environment->staging(), staged.get());
  environment->staging()[0] = static_cast<double>(staged.get()->id);
  environment->staged.push_back(staged.get());
  staged.keep();
}

// (inputs)
napi_value stage(const Call &call) {
  stage_task(call.environment, [&call](const double *numbers, Task *task) {
    read_inputs(call.env, numbers, call[0], task);
  });
  return nullptr;
}

// (name, data)
napi_value stage_one(const Call &call) {
  stage_task(call.environment, [&call](const double *numbers, Task *task) {
    read_one_input(call.env, numbers, call[0], call[1], task);
  });
  return nullptr;
}

// (into)
napi_value stage_into(const Call &call) {
  Environment *environment = call.environment;
  if (environment->staged.empty()) fail(AXLE_STATUS_INVALID_ARGUMENT, "no task is staged");
  read_output_room(call.env, call[0], environment->staged.back());
  return nullptr;
}

napi_value submit(const Call &call) {
  Environment *environment = call.environment;
  try {
    const uint64_t id = read_integer(call.env, call[0], kSafeIntegerMax, "queueId");
    Queue *queue = environment->queues.get(id, "queue").get();
    if (!environment->has_receiver()) {
      fail(AXLE_STATUS_FAILED_PRECONDITION, "call onCompletions before the first submit");
    }
    if (environment->staged.empty()) fail(AXLE_STATUS_INVALID_ARGUMENT, "no task is staged");
    submit_batch(environment, queue, &environment->staged);
  } catch (...) {
    for (Task *task : environment->staged) environment->retire(task, false);
    environment->staged.clear();
    throw;
  }
  return nullptr;
}

napi_value unstage(const Call &call) {
  Environment *environment = call.environment;
  for (Task *task : environment->staged) environment->retire(task, false);
  environment->staged.clear();
  return nullptr;
}

napi_value cancel(const Call &call) {
  const double id = read_number(call.env, call[0], "taskId");
  if (Task *task = call.environment->tasks.find(id)) call.environment->cancel(task);
  return nullptr;
}

}  // namespace

void add_task_functions(Environment *environment, napi_value exports) {
  add_function<args_create>(environment, exports, "argsCreate");
  add_function<args_free>(environment, exports, "argsFree");
  add_function<queue_open>(environment, exports, "queueOpen");
  add_promise_function<queue_close>(environment, exports, "queueClose");
  add_function<stage>(environment, exports, "stage");
  add_function<stage_one>(environment, exports, "stageOne");
  add_function<stage_into>(environment, exports, "stageInto");
  add_function<unstage>(environment, exports, "unstage");
  add_function<submit>(environment, exports, "submit");
  add_function<cancel>(environment, exports, "cancel");
}

}  // namespace axle::host
