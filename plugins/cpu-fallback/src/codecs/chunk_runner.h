// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CPU_CODECS_CHUNK_RUNNER_H
#define AXLE_CPU_CODECS_CHUNK_RUNNER_H

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "chunk_format.h"
#include "codec.h"
#include "scatter_input.h"

namespace axle::cpu {

// Compresses chunks on all threads and hands the results on in their order. Keeps its memory from
// one run to the next: about one chunk and its result for each thread.
class ChunkRunner {
 public:
  // Takes the next piece of output. One call at a time, from any thread of the executor.
  using Sink = std::function<CodecResult(const uint8_t *data, size_t bytes)>;

  ChunkRunner(ChunkFormat &format, Executor &executor) : format_(format), executor_(executor) {}

  // Compresses the first `bytes` of `input`; the last chunk may be short, and empty when `bytes` is 0.
  CodecResult run(const ScatterInput &input, uint64_t bytes, const Task &task, const Sink &sink);

 private:
  struct Slot {
    ScratchBuffer gathered;
    ScratchBuffer compressed;
    const uint8_t *data = nullptr;
    size_t data_bytes = 0;
    size_t compressed_bytes = 0;
  };
  struct Run;

  std::unique_ptr<Slot> take_slot();
  void compress_chunk(Run &run, size_t index);
  void deliver(Run &run, size_t index, std::unique_ptr<Slot> slot);
  void fail(Run &run, CodecResult result);

  ChunkFormat &format_;
  Executor &executor_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Slot>> idle_;
};

}  // namespace axle::cpu

#endif
