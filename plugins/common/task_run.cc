// SPDX-License-Identifier: Apache-2.0
#include "task_run.h"

#include <algorithm>

namespace axle {

void TaskRun::fail(const Reason &reason) noexcept {
  reason_.status = reason.status;
  try {
    reason_.message = reason.message;
  } catch (const std::bad_alloc &) {
    reason_.message.clear();
  }
}

bool TaskRun::begin(const char *late) noexcept {
  const uint64_t now_ns = host_.now_ns();
  queue_ns_ = now_ns - std::min(now_ns, submitted_ns_);
  if (host_.cancelled(task_)) {
    reason_.status = AXLE_STATUS_CANCELLED;
    fixed_message_ = "cancelled before work on it began";
    return false;
  }
  if (task_->deadline_ns != 0 && now_ns >= task_->deadline_ns) {
    reason_.status = AXLE_STATUS_DEADLINE_EXCEEDED;
    fixed_message_ = late;
    return false;
  }
  return true;
}

void TaskRun::check_wanted() const {
  if (host_.cancelled(task_)) throw Failure(AXLE_STATUS_CANCELLED, "cancelled while it ran");
}

void *TaskRun::allocate(uint64_t bytes, uint32_t kind) {
  void *data = host_.alloc(task_, bytes, kind);
  if (data == nullptr) {
    throw Failure(AXLE_STATUS_RESOURCE_EXHAUSTED,
                  "an output of " + std::to_string(bytes) +
                      " bytes more does not fit: the call's limit is " +
                      std::to_string(task_->output_bytes_max) +
                      " bytes in all, or the host is out of memory");
  }
  return data;
}

void TaskRun::emit(uint32_t output, const char *name, uint32_t dtype, const int64_t *dims,
                   size_t rank, void *data, uint64_t bytes) {
  axle_chunk chunk = {};
  chunk.struct_size = sizeof(chunk);
  chunk.output = output;
  chunk.dtype = dtype;
  chunk.name = name;
  chunk.dims = dims;
  chunk.rank = static_cast<uint32_t>(rank);
  chunk.data = data;
  chunk.bytes = bytes;
  const int32_t status = host_.emit(task_, &chunk);
  if (status != AXLE_STATUS_OK) {
    throw Failure(status, "the host refused output " + std::to_string(output));
  }
}

void TaskRun::complete() noexcept {
  axle_completion completion = {};
  completion.struct_size = sizeof(completion);
  completion.status = reason_.status;
  completion.batch_size = batch_size;
  if (failed()) completion.message = fixed_message_ ? fixed_message_ : reason_.message.c_str();
  completion.queue_ns = queue_ns_;
  completion.transfer_ns = transfer_ns;
  completion.compute_ns = compute_ns;
  completion.consumed_bytes = consumed_bytes;
  completion.stream_more = stream_more ? 1 : 0;
  host_.complete(task_, &completion);
}

}  // namespace axle
