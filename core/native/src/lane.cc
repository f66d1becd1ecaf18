// SPDX-License-Identifier: Apache-2.0
#include "lane.h"

#include <algorithm>
#include <cstring>

#include "batch.h"
#include "environment.h"
#include "host_table.h"
#include "limits.h"
#include "staging.h"

namespace axle::host {
namespace {

constexpr uint64_t kNsPerUs = 1000;

uint32_t wire_us(uint64_t ns) {
  return static_cast<uint32_t>(std::min<uint64_t>((ns + kNsPerUs / 2) / kNsPerUs, UINT32_MAX));
}

// Whether it lies in the frame, and a plugin is given it as it is.
bool is_plain(const axle_wire_tensor &tensor, size_t names) {
  return tensor.source == AXLE_SOURCE_INLINE && tensor.dtype != AXLE_DTYPE_BYTES &&
         tensor.dtype <= AXLE_DTYPE_BF16 && tensor.slot < names;
}

// Of the frame that lies in the task's arena. False for inputs that are not plain ones.
bool use_inputs(const LaneSettings &settings, axle_wire_records records, Task *task) {
  const uint32_t count = records.count;
  auto *tensors = task->arena.array<axle_tensor>(count);
  for (uint32_t i = 0; i < count; ++i) {
    axle_wire_tensor read;
    if (axle_wire_next_tensor(&records, &read) == 0) return false;
    if (!is_plain(read, settings.input_names.size())) return false;
    auto *dims = task->arena.array<int64_t>(read.rank);
    for (unsigned k = 0; k < read.rank; ++k) dims[k] = static_cast<int64_t>(read.dims[k]);
    auto *segment = task->arena.array<axle_segment>(1);
    *segment = {read.data, read.bytes};
    const std::string &name = settings.input_names[read.slot];
    axle_tensor *tensor = &tensors[i];
    *tensor = {};
    tensor->name = name.empty() ? nullptr : task->arena.copy_text(name.data(), name.size());
    tensor->dtype = read.dtype;
    tensor->rank = read.rank;
    tensor->dims = dims;
    tensor->bytes = read.bytes;
    tensor->segments = segment;
    tensor->segment_count = 1;
    task->lane_input_bytes += read.bytes;
  }
  task->abi.inputs = tensors;
  task->abi.input_count = count;
  return true;
}

// All of it in one piece, as a frame has it.
bool is_in_one_piece(const Output &output) {
  if (output.chunk_count != 1 || output.rank > AXLE_WIRE_RANK_MAX) return false;
  return output.first->bytes <= kLaneTensorBytesMax;
}

}  // namespace

// ---- in ------------------------------------------------------------------------------------------

bool Lane::stage(Environment *environment, const uint8_t *frame, const axle_wire_header &header,
                 std::vector<Task *> *staged) {
  StagedTask made(environment);
  Task *task = made.get();
  // A copy: JavaScript may do with the chunk what it likes, and has the frame again if the device fails.
  task->lane_frame_bytes = AXLE_WIRE_HEADER_BYTES + header.payload_bytes;
  auto *copy = task->arena.array<uint8_t>(task->lane_frame_bytes);
  std::memcpy(copy, frame, task->lane_frame_bytes);
  task->lane_frame = copy;
  axle_wire_frame decoded;
  if (axle_wire_decode(&header, copy + AXLE_WIRE_HEADER_BYTES, &decoded) != 0) return false;
  const axle_wire_call &call = decoded.body.call;
  if (call.binding != settings_.binding || call.deadline_us != 0 || call.priority != 0)
    return false;
  task->lane_input_bytes = 0;
  if (!use_inputs(settings_, call.inputs, task)) return false;
  axle_task &abi = task->abi;
  abi.op = settings_.op;
  abi.op_version = settings_.op_version;
  abi.chain_first = settings_.chain_first;
  abi.chain_last = settings_.chain_last;
  abi.output_bytes_max = settings_.output_bytes_max;
  if (settings_.args != nullptr) {
    settings_.args->retain();
    task->args = settings_.args.get();
    abi.args = settings_.args->data();
    abi.arg_count = settings_.args->size();
  }
  if (!staged->empty() && !may_run_together(staged->front()->abi, abi)) return false;
  task->lane_handle = header.id;
  task->lane_began_ns = now_ns();
  staged->push_back(task);
  made.keep();
  return true;
}

bool Lane::try_stage(Environment *environment, const uint8_t *frame, const axle_wire_header &header,
                     std::vector<Task *> *staged) {
  try {
    return stage(environment, frame, header, staged);
  } catch (const StatusError &) {
    return false;  // JavaScript finds out why.
  } catch (const std::bad_alloc &) {
    return false;
  }
}

LaneTaken Lane::take(Environment *environment, const uint8_t *bytes, size_t size,
                     uint64_t calls_max, uint64_t handle_min) {
  LaneTaken taken;
  taken.last_handle = handle_min;
  std::vector<Task *> staged;
  size_t at = 0;
  for (bool more = true; more;) {
    LaneTaken next = taken;
    const uint64_t most = std::min<uint64_t>(calls_max - taken.calls, settings_.batch_max);
    while (staged.size() < most && size - at >= AXLE_WIRE_HEADER_BYTES) {
      axle_wire_header header;
      if (axle_wire_read_header(bytes + at, AXLE_WIRE_CLIENT, kLaneFrameBytesMax, &header) != 0)
        break;
      const size_t frame_bytes = AXLE_WIRE_HEADER_BYTES + header.payload_bytes;
      if (header.type != AXLE_FRAME_CALL || header.flags != 0 || size - at < frame_bytes) break;
      if (header.id <= next.last_handle || !try_stage(environment, bytes + at, header, &staged))
        break;
      at += frame_bytes;
      ++next.calls;
      next.last_handle = header.id;
      next.input_bytes += staged.back()->lane_input_bytes;
      next.frame_bytes = at;
    }
    // Only after a full batch there may be another one.
    more = !staged.empty() && staged.size() == most;
    if (staged.empty()) break;
    for (Task *task : staged) {
      task->lane = this;
      task->lane_place = calls_.size();
      calls_.push_back(task);
    }
    const size_t before = calls_.size() - staged.size();
    try {
      Queue *queue = environment->queues.get(settings_.queue_id, "queue").get();
      submit_batch(environment, queue, &staged);
    } catch (const StatusError &) {
      // JavaScript finds out why. Those of before the call of submit_batch are not retired yet.
      for (Task *task : staged) environment->retire(task, false);
      calls_.resize(before);
      break;
    }
    taken = next;
  }
  return taken;
}

// ---- out -----------------------------------------------------------------------------------------

void Lane::remove(Task *task) {
  Task *last = calls_.back();
  calls_[task->lane_place] = last;
  last->lane_place = task->lane_place;
  calls_.pop_back();
}

int64_t Lane::forget(Environment *environment, uint64_t handle) {
  for (Task *task : calls_) {
    if (task->lane_handle != handle || task->lane_dropped) continue;
    task->lane_dropped = true;
    environment->cancel(task);
    return static_cast<int64_t>(task->lane_input_bytes);
  }
  return -1;
}

void Lane::forget_all(Environment *environment) {
  for (Task *task : calls_) {
    task->lane_dropped = true;
    environment->cancel(task);
  }
}

bool Lane::write_result(const Task &task, axle_wire_writer *writer) const {
  const axle_completion &end = task.completion;
  axle_wire_frame frame;
  frame.type = AXLE_FRAME_RESULT;
  frame.flags = 0;
  frame.id = task.lane_handle;
  axle_wire_result &result = frame.body.result;
  result = {};
  result.queue_us = wire_us(end.queue_ns);
  result.transfer_us = wire_us(end.transfer_ns);
  result.compute_us = wire_us(end.compute_ns);
  result.total_us = wire_us(now_ns() - task.lane_began_ns);
  result.batch_size = static_cast<uint16_t>(std::min<uint32_t>(end.batch_size, UINT16_MAX));
  result.device = settings_.device;
  for (const Output *output = task.outputs; output != nullptr; output = output->next) {
    if (!is_in_one_piece(*output)) return false;
    ++result.outputs.count;
  }
  axle_wire_begin(writer, &frame);
  for (const Output *output = task.outputs; output != nullptr; output = output->next) {
    axle_wire_tensor tensor;
    std::memset(&tensor, 0, offsetof(axle_wire_tensor, dims));
    tensor.slot = static_cast<uint16_t>(output->index);
    tensor.dtype = static_cast<uint8_t>(output->dtype);
    tensor.rank = static_cast<uint8_t>(output->rank);
    tensor.source = AXLE_SOURCE_INLINE;
    tensor.bytes = output->first->bytes;
    tensor.data = output->first->block.data;
    if (settings_.names) {
      tensor.name = {reinterpret_cast<const uint8_t *>(output->name),
                     static_cast<uint32_t>(output->name_bytes)};
    }
    for (uint32_t i = 0; i < output->rank; ++i)
      tensor.dims[i] = static_cast<uint64_t>(output->dims[i]);
    axle_wire_put_tensor(writer, &tensor);
  }
  const size_t before = writer->bytes;
  if (axle_wire_end(writer) != 0) return false;
  if (writer->bytes - before <= AXLE_WIRE_HEADER_BYTES + settings_.payload_max) return true;
  writer->bytes = before;
  writer->at = before;
  return false;
}

LaneAnswers Lane::answer(Environment *environment, std::vector<Task *> *completed, uint8_t *memory,
                         size_t capacity) {
  LaneAnswers answers;
  axle_wire_writer writer;
  axle_wire_writer_init(&writer, memory, capacity);
  std::vector<Task *> returned;
  size_t done = 0;
  size_t returned_bytes = 0;
  for (Task *task : *completed) {
    // Room for what is longest: either way its frame fits.
    const size_t most = std::max<size_t>(settings_.payload_max + AXLE_WIRE_HEADER_BYTES,
                                         AXLE_WIRE_HEADER_BYTES + kLaneFrameBytesMax);
    if (writer.bytes + returned_bytes + most > capacity) break;
    ++done;
    remove(task);
    if (task->lane_dropped) {
      ++answers.dropped;
      continue;
    }
    answers.input_bytes += task->lane_input_bytes;
    const axle_completion &end = task->completion;
    if (end.status == AXLE_STATUS_OK && write_result(*task, &writer)) {
      ++answers.results;
      answers.work_ns += (end.transfer_ns + end.compute_ns) / std::max<uint32_t>(1, end.batch_size);
    } else {
      returned.push_back(task);
      returned_bytes += task->lane_frame_bytes;
    }
  }
  answers.result_bytes = writer.bytes;
  for (Task *task : returned) {
    std::memcpy(memory + answers.result_bytes + answers.returned_bytes, task->lane_frame,
                task->lane_frame_bytes);
    answers.returned_bytes += task->lane_frame_bytes;
    ++answers.returned;
  }
  for (size_t i = 0; i < done; ++i) {
    Task *task = (*completed)[i];
    task->lane = nullptr;
    environment->retire(task, true);
  }
  completed->erase(completed->begin(), completed->begin() + static_cast<std::ptrdiff_t>(done));
  return answers;
}

}  // namespace axle::host
