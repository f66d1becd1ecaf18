// SPDX-License-Identifier: Apache-2.0
#include "chunk_runner.h"

#include <algorithm>
#include <atomic>
#include <new>
#include <utility>

#include "result.h"

namespace axle::cpu {

// Guarded by mutex_, but for what is const and `stopped`.
struct ChunkRunner::Run {
  Run(const ScatterInput &input_, uint64_t bytes_, const Task &task_, const Sink &sink_,
      size_t count)
      : input(input_), bytes(bytes_), task(task_), sink(sink_), ready(count) {}

  const ScatterInput &input;
  const uint64_t bytes;
  const Task &task;
  const Sink &sink;
  std::vector<std::unique_ptr<Slot>> ready;  // by index
  size_t next = 0;                           // the chunk that the sink waits for
  bool delivering = false;
  std::atomic<bool> stopped{false};
  CodecResult result;
};

CodecResult ChunkRunner::run(const ScatterInput &input, uint64_t bytes, const Task &task,
                             const Sink &sink) {
  const size_t chunk = format_.chunk_bytes();
  const size_t count = std::max<size_t>(static_cast<size_t>((bytes + chunk - 1) / chunk), 1);
  Run run(input, bytes, task, sink, count);
  executor_.parallel_for(count, [&](size_t index) { compress_chunk(run, index); });
  return run.result;
}

std::unique_ptr<ChunkRunner::Slot> ChunkRunner::take_slot() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (idle_.empty()) return std::make_unique<Slot>();
  std::unique_ptr<Slot> slot = std::move(idle_.back());
  idle_.pop_back();
  return slot;
}

void ChunkRunner::compress_chunk(Run &run, size_t index) {
  if (run.stopped.load(std::memory_order_relaxed)) return;
  if (run.task.cancelled()) return fail(run, cancelled_result());
  try {
    std::unique_ptr<Slot> slot = take_slot();
    const uint64_t offset = uint64_t{index} * format_.chunk_bytes();
    slot->data_bytes =
        static_cast<size_t>(std::min<uint64_t>(format_.chunk_bytes(), run.bytes - offset));
    slot->data = run.input.view(offset, slot->data_bytes, slot->gathered);
    uint8_t *out = slot->compressed.at_least(format_.compressed_bytes_max(slot->data_bytes));
    slot->compressed_bytes = format_.compress(slot->data, slot->data_bytes, out);
    deliver(run, index, std::move(slot));
  } catch (const std::bad_alloc &) {
    fail(run, out_of_memory());
  }
}

void ChunkRunner::deliver(Run &run, size_t index, std::unique_ptr<Slot> done) {
  std::unique_lock<std::mutex> lock(mutex_);
  run.ready[index] = std::move(done);
  // Whoever delivers now will see this chunk too.
  if (run.delivering) return;
  run.delivering = true;
  while (run.next < run.ready.size() && run.ready[run.next] && !run.stopped) {
    std::unique_ptr<Slot> slot = std::move(run.ready[run.next]);
    run.next++;
    lock.unlock();
    CodecResult result;
    try {
      format_.account(slot->data, slot->data_bytes);
      result = run.sink(slot->compressed.data(), slot->compressed_bytes);
    } catch (const std::bad_alloc &) {
      result = out_of_memory();
    }
    if (!result.ok()) fail(run, std::move(result));
    lock.lock();
    idle_.push_back(std::move(slot));
  }
  run.delivering = false;
}

void ChunkRunner::fail(Run &run, CodecResult result) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!run.stopped.exchange(true)) run.result = std::move(result);
}

}  // namespace axle::cpu
