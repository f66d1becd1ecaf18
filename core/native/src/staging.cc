// SPDX-License-Identifier: Apache-2.0
#include "staging.h"

#include "host_table.h"
#include "inputs.h"
#include "js.h"

namespace axle::host {
namespace {

constexpr double kNsPerMs = 1e6;
constexpr double kDeadlineMsMax = 1e12;  // 30 years, which nanoseconds in 64 bits still hold

}  // namespace

StagedTask::StagedTask(Environment *environment)
    : environment_(environment), task_(environment->tasks.take()) {
  task_->abi = {};
  task_->abi.struct_size = sizeof task_->abi;
  task_->abi.host_data = task_;
  task_->environment = environment;
  task_->library = nullptr;
  task_->cancelled.store(false, std::memory_order_relaxed);
  task_->room = {};
  task_->copies_inputs = false;
  task_->lane = nullptr;
  task_->lane_dropped = false;
  task_->allocated_bytes = 0;
  task_->chunk_count = 0;
  task_->broken_rule.clear();
  task_->message = "";
  task_->message_bytes = 0;
  task_->state.store(TaskState::Staged, std::memory_order_relaxed);
}

StagedTask::~StagedTask() {
  if (!kept_) environment_->retire(task_, false);
}

void StagedTask::use_numbers(const double *numbers) {
  axle_task &abi = task_->abi;
  const auto uint32 = [numbers](size_t at, const char *what) {
    return static_cast<uint32_t>(checked_integer(numbers[at], UINT32_MAX, what));
  };
  abi.op = uint32(staging::kOp, "op");
  abi.op_version = uint32(staging::kOpVersion, "opVersion");
  abi.chain_first = uint32(staging::kChainFirst, "chainFirst");
  abi.chain_last = uint32(staging::kChainLast, "chainLast");
  use_model(checked_integer(numbers[staging::kModelId], kSafeIntegerMax, "modelId"));
  use_args(checked_integer(numbers[staging::kArgsId], kSafeIntegerMax, "argsId"));
  use_limits(numbers[staging::kOutputBytesMax], numbers[staging::kDeadlineMs]);
  task_->copies_inputs = checked_integer(numbers[staging::kCopiesInputs], 1, "copiesInputs") == 1;
}

void StagedTask::use_model(uint64_t id) {
  if (id == 0) return;
  Model *model = environment_->models.get(id, "model").get();
  task_->model = model;
  task_->abi.model = model->handle;
  ++model->outstanding;
}

void StagedTask::use_args(uint64_t id) {
  if (id == 0) return;
  ArgSet *args = environment_->args.get(id, "argument list").get();
  args->retain();
  task_->args = args;
  task_->abi.args = args->data();
  task_->abi.arg_count = args->size();
}

void StagedTask::use_limits(double output_bytes_max, double deadline_ms) {
  task_->abi.output_bytes_max =
      checked_integer(output_bytes_max, kSafeIntegerMax, "outputBytesMax");
  if (!(deadline_ms >= 0)) {
    fail(AXLE_STATUS_INVALID_ARGUMENT,
         "deadlineMs is the time left, a number that is not negative");
  }
  // Past the limit there is no deadline to speak of.
  if (deadline_ms > 0 && deadline_ms < kDeadlineMsMax) {
    task_->abi.deadline_ns = now_ns() + static_cast<uint64_t>(deadline_ms * kNsPerMs);
  }
}

}  // namespace axle::host
