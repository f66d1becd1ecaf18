// SPDX-License-Identifier: Apache-2.0
#include "common/arguments.h"
#include "common/byte_input.h"
#include "common/failure.h"
#include "lz4_ops.h"
#include "tensor_checks.h"

namespace axle::cuda {

void check_codec_arguments(uint32_t op, const axle_arg *args, uint64_t arg_count) {
  const Arguments arguments(args, arg_count);
  const int64_t codec = arguments.integer("codec", 0);
  if (codec < 0 || codec > AXLE_CODEC_GZIP || (codec == 0 && op == AXLE_OP_COMPRESS)) {
    throw Failure(AXLE_STATUS_INVALID_ARGUMENT, "argument \"codec\" is " + std::to_string(codec) +
                                                    "; give 1 (zstd), 2 (lz4) or 3 (gzip)");
  }
  if (codec != AXLE_CODEC_LZ4) {
    throw Failure(AXLE_STATUS_UNIMPLEMENTED,
                  codec == 0
                      ? "cuda decompresses lz4 only, and has to be told: give codec 2"
                      : "cuda has kernels for codec 2 (lz4) only, not " + std::to_string(codec));
  }
  if (op == AXLE_OP_DECOMPRESS) return;
  const int64_t level = arguments.integer("level", AXLE_CODEC_LZ4_LEVEL_DEFAULT);
  if (level < AXLE_CODEC_LZ4_LEVEL_MIN || level > AXLE_CODEC_LZ4_LEVEL_MAX) {
    throw Failure(AXLE_STATUS_INVALID_ARGUMENT,
                  "argument \"level\" is " + std::to_string(level) + "; give " +
                      std::to_string(AXLE_CODEC_LZ4_LEVEL_MIN) + " to " +
                      std::to_string(AXLE_CODEC_LZ4_LEVEL_MAX));
  }
  if (level > kLz4LevelMax) {
    throw Failure(AXLE_STATUS_UNIMPLEMENTED,
                  "cuda compresses lz4 with levels 1 and 2, not " + std::to_string(level));
  }
}

void run_codec(TaskRun &run, const Gpu &gpu, GpuContext &context, Quota &quota) {
  const axle_task &task = run.task();
  check_codec_arguments(task.op, task.args, task.arg_count);
  check_byte_input(task);
  if (task.op == AXLE_OP_COMPRESS) {
    lz4_compress(run, gpu, context, quota);
  } else {
    lz4_decompress(run, gpu, context, quota);
  }
}

}  // namespace axle::cuda
