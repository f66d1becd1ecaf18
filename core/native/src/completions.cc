// SPDX-License-Identifier: Apache-2.0
#include "completions.h"

#include <cstring>
#include <memory>

#include "environment.h"
#include "js.h"
#include "limits.h"

namespace axle::host {
namespace {

// What a finaliser needs to give output memory back.
struct ExternalBlock {
  Block block;
  uint64_t bytes;
  Environment *environment;
};

void give_back(const ExternalBlock &external) {
  external.environment->sub_output_bytes(external.bytes);
  MemoryPool::get().release(external.block);
  external.environment->release();
}

void finalize_external(napi_env, void *, void *hint) {
  std::unique_ptr<ExternalBlock> external(static_cast<ExternalBlock *>(hint));
  give_back(*external);
}

// Hands the chunk's memory over; nullptr, with nothing handed over, where external memory is not
// allowed.
napi_value make_external(napi_env env, Task *task, OutputChunk *chunk) {
  auto external = std::make_unique<ExternalBlock>();
  *external = {chunk->block, chunk->bytes, task->environment};
  napi_value buffer = nullptr;
  if (napi_create_external_arraybuffer(env, chunk->block.data, chunk->bytes, finalize_external,
                                       external.get(), &buffer) != napi_ok) {
    return nullptr;
  }
  external.release();
  task->environment->retain();
  chunk->block = {};
  return buffer;
}

// A view of the caller's own memory.
napi_value make_view(napi_env env, const OutputRoom &room, const OutputChunk &chunk) {
  napi_value whole = nullptr;
  napi_value buffer = nullptr;
  size_t start = 0;
  check(env, napi_get_reference_value(env, room.array, &whole));
  check(env, napi_get_typedarray_info(env, whole, nullptr, nullptr, nullptr, &buffer, &start));
  start += static_cast<size_t>(chunk.block.data - room.data);
  napi_value view = nullptr;
  check(env, napi_create_typedarray(env, napi_uint8_array, chunk.bytes, buffer, start, &view));
  return view;
}

napi_value make_copy(napi_env env, const OutputChunk &chunk) {
  napi_value buffer = nullptr;
  void *data = nullptr;
  check(env, napi_create_arraybuffer(env, chunk.bytes, &data, &buffer));
  if (chunk.bytes > 0) std::memcpy(data, chunk.block.data, chunk.bytes);
  return buffer;
}

uint64_t aligned(uint64_t bytes) {
  return (bytes + kScratchAlignment - 1) / kScratchAlignment * kScratchAlignment;
}

template <typename T>
void read_array(napi_env env, napi_value value, T **data, uint64_t *room) {
  size_t length = 0;
  void *start = nullptr;
  check(env, napi_get_typedarray_info(env, value, nullptr, &length, &start, nullptr, nullptr));
  *data = static_cast<T *>(start);
  *room = length;
}

}  // namespace

CompletionWriter::CompletionWriter(napi_env env, napi_value numbers, napi_value shapes,
                                   napi_value bytes)
    : env_(env) {
  read_array(env, numbers, &numbers_, &numbers_room_);
  read_array(env, shapes, &shapes_, &shapes_room_);
  read_array(env, bytes, &bytes_, &bytes_room_);
  values_ = make_array(env, 0);
}

bool CompletionWriter::has_room(const Task &task) const {
  if ((count_ + 1) * kNumbersPerCompletion > numbers_room_) return false;
  uint64_t shapes = 1;
  uint64_t bytes = 0;
  for (const Output *output = task.outputs; output != nullptr; output = output->next) {
    shapes += 5 + output->rank + 2 * output->chunk_count;
    for (const OutputChunk *chunk = output->first; chunk != nullptr; chunk = chunk->next) {
      if (chunk->bytes <= kScratchChunkBytesMax) bytes += aligned(chunk->bytes);
    }
  }
  // A task whose small chunks would not fit even alone has them as values: see write_chunk.
  if (shapes_used_ + shapes > shapes_room_) return false;
  return count_ == 0 || bytes_used_ + bytes <= bytes_room_;
}

bool CompletionWriter::write(Task *task) {
  if (!has_room(*task)) return false;
  const axle_completion &end = task->completion;
  double *numbers = numbers_ + count_ * kNumbersPerCompletion;
  numbers[0] = static_cast<double>(task->id);
  numbers[1] = end.status;
  numbers[2] = end.batch_size;
  numbers[3] = static_cast<double>(end.queue_ns);
  numbers[4] = static_cast<double>(end.transfer_ns);
  numbers[5] = static_cast<double>(end.compute_ns);
  numbers[6] = static_cast<double>(end.consumed_bytes);
  numbers[7] = end.stream_more != 0 ? 1 : 0;
  ++count_;
  if (end.status != AXLE_STATUS_OK) {
    push_value(make_string(env_, std::string(task->message, task->message_bytes)));
    return true;
  }
  const uint64_t count_at = shapes_used_;
  number(0);
  for (Output *output = task->outputs; output != nullptr; output = output->next) {
    write_output(task, output);
    shapes_[count_at] += 1;
  }
  return true;
}

void CompletionWriter::write_output(Task *task, Output *output) {
  number(output->index);
  number(output->dtype);
  number(output->name_bytes > 0 ? 1 : 0);
  number(output->chunk_count);
  number(output->rank);
  for (uint32_t i = 0; i < output->rank; ++i) number(static_cast<double>(output->dims[i]));
  if (output->name_bytes > 0) {
    napi_value name = nullptr;
    check(env_, napi_create_string_utf8(env_, output->name, output->name_bytes, &name));
    push_value(name);
  }
  for (OutputChunk *chunk = output->first; chunk != nullptr; chunk = chunk->next) {
    write_chunk(task, chunk);
  }
}

void CompletionWriter::write_chunk(Task *task, OutputChunk *chunk) {
  number(static_cast<double>(chunk->bytes));
  if (chunk->bytes <= kScratchChunkBytesMax && bytes_used_ + chunk->bytes <= bytes_room_) {
    if (chunk->bytes > 0) std::memcpy(bytes_ + bytes_used_, chunk->block.data, chunk->bytes);
    number(static_cast<double>(bytes_used_));
    bytes_used_ += aligned(chunk->bytes);
    return;
  }
  number(-1);
  if (chunk->in_room) {
    push_value(make_view(env_, task->room, *chunk));
    return;
  }
  napi_value buffer = nullptr;
  if (chunk->bytes >= kExternalBytesMin) buffer = make_external(env_, task, chunk);
  if (buffer == nullptr) buffer = make_copy(env_, *chunk);
  napi_value array = nullptr;
  check(env_, napi_create_typedarray(env_, napi_uint8_array, chunk->bytes, buffer, 0, &array));
  push_value(array);
}

void CompletionWriter::push_value(napi_value value) {
  set_element(env_, values_, values_used_++, value);
}

}  // namespace axle::host
