// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CPU_COMPRESSION_H
#define AXLE_CPU_COMPRESSION_H

#include <axle/plugin.h>

#include <memory>

#include "codecs/codec.h"
#include "common/task_run.h"
#include "worker_pool.h"

namespace axle::cpu {

// The worker pool as the codecs see it.
class PoolExecutor final : public Executor {
 public:
  explicit PoolExecutor(WorkerPool &pool) : pool_(pool) {}
  unsigned threads() const override { return static_cast<unsigned>(pool_.thread_count()); }
  void parallel_for(size_t n, const std::function<void(size_t)> &fn) override {
    pool_.parallel_for(n, fn);
  }

 private:
  WorkerPool &pool_;
};

// Op "compress" or "decompress" on one task. Throws Failure.
void run_compression(TaskRun &run, Executor &executor);

// Opens a stream of one of the two. Throws Failure.
std::unique_ptr<CodecStream> open_codec_stream(const axle_stream_config &config,
                                               Executor &executor);

// One write to a stream. Throws Failure.
void write_codec_stream(CodecStream &stream, TaskRun &run);

// Throws Failure (INVALID_ARGUMENT) when codec or level are not of this op.
void check_compression_arguments(uint32_t op, const axle_arg *args, uint64_t arg_count);

}  // namespace axle::cpu

#endif
