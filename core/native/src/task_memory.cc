// SPDX-License-Identifier: Apache-2.0
#include "task_memory.h"

#include <algorithm>
#include <cstring>

#include "dtype.h"
#include "environment.h"
#include "fence.h"
#include "limits.h"
#include "log.h"
#include "names.h"

namespace axle::host {
namespace {

void check_fences(Task *task, const LiveBlock &live) {
  if (const char *problem = fence_problem(live)) break_rule(task, problem);
}

// The newest is the likeliest.
LiveBlock *find_live(Task *task, const void *data) {
  for (size_t i = task->live.size(); i-- > 0;) {
    if (fenced_data(task->live[i]) == data) return &task->live[i];
  }
  return nullptr;
}

// What counts as output memory of the environment: the room is its owner's.
uint64_t counted_bytes(const LiveBlock &live) { return live.in_room ? 0 : live.bytes; }

void give_back(const LiveBlock &live) {
  if (!live.in_room) MemoryPool::get().release(live.block);
}

uint64_t aligned(uint64_t bytes) { return (bytes + kRoomAlignment - 1) & ~(kRoomAlignment - 1); }

// Its part of the room, from its start on, is to have so many bytes.
void use_room(OutputRoom *room, const LiveBlock &live, uint64_t bytes) {
  const auto start = static_cast<uint64_t>(live.block.data - room->data);
  room->used = std::min(room->bytes, start + aligned(bytes));
}

bool take_room(Task *task, uint64_t bytes, LiveBlock *live) {
  OutputRoom &room = task->room;
  if (bytes == 0 || bytes > room.bytes - room.used) return false;
  *live = {{room.data + room.used, 0}, bytes, true};
  use_room(&room, *live, bytes);
  return true;
}

// Whether nothing of the room was taken after it.
bool is_last_in_room(const Task &task, const LiveBlock &live) {
  return live.in_room && live.block.data + aligned(live.bytes) >= task.room.data + task.room.used;
}

// Within the room if it may grow there, else out of it. False, and as it was, when there is no memory.
bool resize_in_room(Task *task, LiveBlock *live, uint64_t bytes) {
  const auto start = static_cast<uint64_t>(live->block.data - task->room.data);
  if (is_last_in_room(*task, *live) && bytes <= task->room.bytes - start) {
    use_room(&task->room, *live, bytes);
    return true;
  }
  if (bytes <= live->bytes) return true;
  LiveBlock moved{{}, bytes, false};
  if (!MemoryPool::get().acquire(fenced_bytes(bytes), &moved.block)) return false;
  std::memcpy(fenced_data(moved), live->block.data, live->bytes);
  *live = moved;
  return true;
}

bool resize_private(LiveBlock *live, uint64_t bytes) {
  const uint64_t kept = std::min(bytes, live->bytes);
  return MemoryPool::get().resize(&live->block, fence_bytes_before() + kept, fenced_bytes(bytes));
}

void remove_live(Task *task, LiveBlock *live) {
  *live = task->live.back();
  task->live.pop_back();
}

// What is wrong with the chunk in itself, or nullptr.
const char *shape_problem(const axle_chunk &chunk, uint64_t *elements) {
  if (chunk.output >= AXLE_OUTPUTS_MAX) return "emitted an output whose position is over 255";
  if (!is_dtype(chunk.dtype)) return "emitted a chunk whose dtype is not known";
  if (chunk.rank > AXLE_RANK_MAX) return "emitted a chunk whose rank is over 16";
  if (chunk.rank > 0 && chunk.dims == nullptr) return "emitted a chunk whose dims is NULL";
  for (uint32_t i = 0; i < chunk.rank; ++i) {
    if (chunk.dims[i] < 0 || chunk.dims[i] > (int64_t{1} << 53)) {
      return "emitted a chunk with a dimension that is negative or over 2^53";
    }
  }
  if (!element_count(chunk.dims, chunk.rank, elements)) {
    return "emitted a chunk whose dimensions overflow";
  }
  return nullptr;
}

const char *content_problem(const axle_chunk &chunk, uint64_t elements) {
  if (chunk.dtype == AXLE_DTYPE_BYTES) {
    const axle_segment segment{chunk.data, chunk.bytes};
    bool exact = false;
    if (count_bytes_elements(&segment, 1, elements, &exact) != elements || !exact) {
      return "emitted a BYTES chunk whose lengths do not cover its data";
    }
    return nullptr;
  }
  uint64_t bytes = 0;
  if (__builtin_mul_overflow(elements, element_bytes(chunk.dtype), &bytes) ||
      bytes != chunk.bytes) {
    return "emitted a chunk whose bytes are not its dimensions times its dtype";
  }
  return nullptr;
}

// Chunks are joined end to end, which has a meaning in one dimension only.
const char *join_problem(const Output &output, const axle_chunk &chunk, const char *name,
                         size_t name_bytes) {
  if (output.rank != 1 || chunk.rank != 1) {
    return "emitted several chunks for an output that does not have one dimension";
  }
  if (output.dtype != chunk.dtype) return "emitted chunks of different dtypes for one output";
  if (output.name_bytes != name_bytes || std::memcmp(output.name, name, name_bytes) != 0) {
    return "emitted chunks of different names for one output";
  }
  return nullptr;
}

// Where the output with this index is, or is to be.
Output **find_output(Task *task, uint32_t index) {
  Output **at = &task->outputs;
  while (*at != nullptr && (*at)->index < index) at = &(*at)->next;
  return at;
}

Output *make_output(Task *task, const axle_chunk &chunk, const char *name, size_t name_bytes) {
  auto *output = task->arena.array<Output>(1);
  auto *dims = task->arena.array<int64_t>(chunk.rank);
  if (chunk.rank > 0) std::memcpy(dims, chunk.dims, chunk.rank * sizeof *dims);
  *output = {nullptr,
             chunk.output,
             chunk.dtype,
             chunk.rank,
             0,
             dims,
             task->arena.copy_text(name, name_bytes),
             name_bytes,
             nullptr,
             nullptr};
  return output;
}

int32_t refuse(Task *task, const char *rule) {
  break_rule(task, rule);
  return AXLE_STATUS_INVALID_ARGUMENT;
}

}  // namespace

void *task_alloc(Task *task, uint64_t bytes, uint32_t kind) noexcept try {
  const uint64_t cap = task->abi.output_bytes_max;
  if (bytes > cap || task->allocated_bytes > cap - bytes) return nullptr;
  if (task->live.size() >= AXLE_ALLOCATIONS_MAX) {
    plugin_fault(task->library, "a task holds more than 4096 allocations that it did not emit");
    return nullptr;
  }
  task->live.reserve(task->live.size() + 1);
  LiveBlock live{{}, bytes};
  const bool in_room = kind == AXLE_MEMORY_SHARED && take_room(task, bytes, &live);
  if (!in_room && !MemoryPool::get().acquire(fenced_bytes(bytes), &live.block)) return nullptr;
  write_fences(live);
  write_litter(live, 0);
  task->live.push_back(live);
  task->allocated_bytes += bytes;
  task->environment->add_output_bytes(counted_bytes(live));
  return fenced_data(live);
} catch (...) {
  return nullptr;
}

void *task_resize(Task *task, void *data, uint64_t bytes) noexcept {
  LiveBlock *live = find_live(task, data);
  if (live == nullptr) {
    break_rule(task, "resized memory that is not allocated for this task");
    return nullptr;
  }
  check_fences(task, *live);
  const uint64_t others = task->allocated_bytes - live->bytes;
  const uint64_t cap = task->abi.output_bytes_max;
  if (bytes > cap || others > cap - bytes) return nullptr;
  const uint64_t counted = counted_bytes(*live);
  const uint64_t kept = live->bytes;
  if (!(live->in_room ? resize_in_room(task, live, bytes) : resize_private(live, bytes))) {
    return nullptr;
  }
  live->bytes = bytes;
  task->environment->add_output_bytes(counted_bytes(*live) - counted);
  task->allocated_bytes = others + bytes;
  write_fences(*live);
  write_litter(*live, kept);
  return fenced_data(*live);
}

void task_release(Task *task, void *data) noexcept {
  if (data == nullptr) return;
  LiveBlock *live = find_live(task, data);
  if (live == nullptr) {
    break_rule(task, "released memory that is not allocated for this task");
    return;
  }
  check_fences(task, *live);
  task->allocated_bytes -= live->bytes;
  task->environment->sub_output_bytes(counted_bytes(*live));
  if (is_last_in_room(*task, *live)) use_room(&task->room, *live, 0);
  give_back(*live);
  remove_live(task, live);
}

int32_t task_emit(Task *task, const axle_chunk *given) noexcept try {
  if (given == nullptr) return refuse(task, "emitted a NULL chunk");
  if (given->struct_size < sizeof(axle_chunk)) {
    return refuse(task, "emitted a chunk whose struct_size is too small");
  }
  const axle_chunk chunk = *given;
  if (task->chunk_count >= AXLE_CHUNKS_MAX) return refuse(task, "emitted more than 16384 chunks");

  const char *name = "";
  size_t name_bytes = 0;
  if (chunk.name != nullptr && chunk.name[0] != '\0') {
    name = chunk.name;
    if (name_problem(name, &name_bytes) != nullptr) {
      return refuse(task, "emitted a chunk whose name is too long or not UTF-8");
    }
  }
  uint64_t elements = 0;
  if (const char *problem = shape_problem(chunk, &elements)) return refuse(task, problem);

  // Without bytes there may be no memory either.
  LiveBlock *live = nullptr;
  if (chunk.data != nullptr || chunk.bytes != 0) {
    live = find_live(task, chunk.data);
    if (live == nullptr) return refuse(task, "emitted memory that is not allocated for this task");
    if (chunk.bytes > live->bytes) return refuse(task, "emitted more bytes than were allocated");
    if (const char *problem = fence_problem(*live)) {
      write_fences(*live);  // Said once is enough.
      return refuse(task, problem);
    }
  }
  if (const char *problem = content_problem(chunk, elements)) return refuse(task, problem);

  Output **at = find_output(task, chunk.output);
  const bool exists = *at != nullptr && (*at)->index == chunk.output;
  if (exists) {
    if (const char *problem = join_problem(**at, chunk, name, name_bytes)) {
      return refuse(task, problem);
    }
  }
  auto *piece = task->arena.array<OutputChunk>(1);
  Output *output = exists ? *at : make_output(task, chunk, name, name_bytes);

  // Nothing fails from here on.
  *piece = {nullptr, {}, chunk.bytes, live != nullptr && live->in_room};
  if (live != nullptr) {
    drop_fences(*live, chunk.bytes);
    piece->block = live->block;
    // What was allocated in vain is nobody's any more; the cap counts it until the task ends.
    if (!live->in_room) {
      task->environment->sub_output_bytes(live->bytes - chunk.bytes);
      MemoryPool::get().trim(&piece->block, chunk.bytes);
    } else if (is_last_in_room(*task, *live)) {
      use_room(&task->room, *live, chunk.bytes);
    }
    remove_live(task, live);
  }
  if (!exists) {
    output->next = *at;
    *at = output;
  } else {
    output->dims[0] += chunk.dims[0];
  }
  (output->last == nullptr ? output->first : output->last->next) = piece;
  output->last = piece;
  ++output->chunk_count;
  ++task->chunk_count;
  return AXLE_STATUS_OK;
} catch (...) {
  return AXLE_STATUS_RESOURCE_EXHAUSTED;
}

void check_live_blocks(Task *task) noexcept {
  for (const LiveBlock &live : task->live) check_fences(task, live);
}

void free_live_blocks(Task *task) noexcept {
  for (const LiveBlock &live : task->live) {
    task->environment->sub_output_bytes(counted_bytes(live));
    give_back(live);
  }
  task->live.clear();
}

void free_outputs(Task *task) noexcept {
  for (Output *output = task->outputs; output != nullptr; output = output->next) {
    for (OutputChunk *chunk = output->first; chunk != nullptr; chunk = chunk->next) {
      if (chunk->block.data == nullptr || chunk->in_room) continue;
      task->environment->sub_output_bytes(chunk->bytes);
      MemoryPool::get().release(chunk->block);
    }
  }
  task->outputs = nullptr;
}

void free_input_copies(Task *task) noexcept {
  for (const Block &copy : task->input_copies) MemoryPool::get().release(copy);
  task->input_copies.clear();
}

}  // namespace axle::host
