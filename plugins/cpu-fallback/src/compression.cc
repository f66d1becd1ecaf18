// SPDX-License-Identifier: Apache-2.0
#include "compression.h"

#include <cstddef>

#include "common/arguments.h"
#include "tensor_data.h"

namespace axle::cpu {

namespace {

static_assert(static_cast<uint32_t>(Codec::kZstd) == AXLE_CODEC_ZSTD &&
                  static_cast<uint32_t>(Codec::kLz4) == AXLE_CODEC_LZ4 &&
                  static_cast<uint32_t>(Codec::kGzip) == AXLE_CODEC_GZIP,
              "codecs are numbered as in proto/registry.json");
static_assert(sizeof(Segment) == sizeof(axle_segment) &&
                  offsetof(Segment, data) == offsetof(axle_segment, data) &&
                  offsetof(Segment, bytes) == offsetof(axle_segment, bytes),
              "a Segment is laid out as an axle_segment");

// The task as the codecs see it. They emit the op's one output, piecemeal.
class CodecTask final : public Task {
 public:
  explicit CodecTask(TaskRun &run) : host_(run.host()), task_(run.raw()) {}

  uint8_t *alloc(uint64_t bytes) override {
    return static_cast<uint8_t *>(host_.alloc(task_, bytes, AXLE_MEMORY_HOST));
  }
  uint8_t *resize(uint8_t *data, uint64_t bytes) override {
    return static_cast<uint8_t *>(host_.resize(task_, data, bytes));
  }
  void release(uint8_t *data) override { host_.release(task_, data); }
  bool emit(uint8_t *data, uint64_t bytes) override {
    if (data == nullptr) data = alloc(0);  // the codecs emit an empty output without memory
    const auto dim = static_cast<int64_t>(bytes);
    axle_chunk chunk = {};
    chunk.struct_size = sizeof(chunk);
    chunk.dtype = AXLE_DTYPE_UINT8;
    chunk.dims = &dim;
    chunk.rank = 1;
    chunk.data = data;
    chunk.bytes = bytes;
    return host_.emit(task_, &chunk) == AXLE_STATUS_OK;
  }
  bool cancelled() const override { return host_.cancelled(task_) != 0; }

 private:
  const axle_host &host_;
  axle_task *task_;
};

struct CompressionArguments {
  Codec codec;
  int level;
};

CompressionArguments read_arguments(uint32_t op, const axle_arg *args, uint64_t arg_count) {
  const Arguments arguments(args, arg_count);
  const int64_t codec = arguments.integer("codec", 0);
  const int64_t first = op == AXLE_OP_DECOMPRESS ? 0 : AXLE_CODEC_ZSTD;
  if (codec < first || codec > AXLE_CODEC_GZIP) {
    throw Failure(AXLE_STATUS_INVALID_ARGUMENT,
                  arguments.has("codec")
                      ? "argument \"codec\" is " + std::to_string(codec) +
                            "; give 1 (zstd), 2 (lz4) or 3 (gzip)" +
                            (first == 0 ? ", or 0 to go by the first bytes" : "")
                      : "argument \"codec\" is missing; give 1 (zstd), 2 (lz4) or 3 (gzip)");
  }
  CompressionArguments read = {static_cast<Codec>(codec), 0};
  if (op == AXLE_OP_DECOMPRESS) return read;
  const LevelRange range = level_range(read.codec);
  const int64_t level = arguments.integer("level", range.preset);
  if (level < range.min || level > range.max) {
    throw Failure(AXLE_STATUS_INVALID_ARGUMENT, "argument \"level\" is " + std::to_string(level) +
                                                    "; give " + std::to_string(range.min) + " to " +
                                                    std::to_string(range.max));
  }
  read.level = static_cast<int>(level);
  return read;
}

Segments input_of(const TaskRun &run) {
  const axle_task &task = run.task();
  if (task.input_count != 1 || task.inputs[0].dtype != AXLE_DTYPE_UINT8) {
    throw Failure(AXLE_STATUS_INVALID_ARGUMENT, "the op takes one input, UINT8 [n]");
  }
  check_bytes(task.inputs[0], "the input");
  return {reinterpret_cast<const Segment *>(task.inputs[0].segments),
          static_cast<size_t>(task.inputs[0].segment_count)};
}

void check(const CodecResult &result) {
  if (!result.ok()) throw Failure(static_cast<int32_t>(result.status), result.message);
}

}  // namespace

void check_compression_arguments(uint32_t op, const axle_arg *args, uint64_t arg_count) {
  read_arguments(op, args, arg_count);
}

void run_compression(TaskRun &run, Executor &executor) {
  const axle_task &task = run.task();
  const CompressionArguments arguments = read_arguments(task.op, task.args, task.arg_count);
  const Segments input = input_of(run);
  CodecTask codec_task(run);
  Stopwatch watch(run.host());
  const CodecResult result =
      task.op == AXLE_OP_COMPRESS
          ? compress(arguments.codec, arguments.level, input, task.output_bytes_max, codec_task,
                     executor)
          : decompress(arguments.codec, input, task.output_bytes_max, codec_task, executor);
  run.compute_ns = watch.lap_ns();
  check(result);
}

std::unique_ptr<CodecStream> open_codec_stream(const axle_stream_config &config,
                                               Executor &executor) {
  const CompressionArguments arguments = read_arguments(config.op, config.args, config.arg_count);
  CodecResult result;
  std::unique_ptr<CodecStream> stream =
      config.op == AXLE_OP_COMPRESS
          ? open_compress_stream(arguments.codec, arguments.level, executor, &result)
          : open_decompress_stream(arguments.codec, &result);
  check(result);
  if (!stream) throw Failure(AXLE_STATUS_INTERNAL, "the codec opened no stream and gave no reason");
  return stream;
}

void write_codec_stream(CodecStream &stream, TaskRun &run) {
  const axle_task &task = run.task();
  CodecTask codec_task(run);
  const Segments input = input_of(run);
  const bool end = (task.stream_flags & AXLE_STREAM_END) != 0;
  Stopwatch watch(run.host());
  const StreamWriteResult written = stream.write(input, end, task.output_bytes_max, codec_task);
  run.compute_ns = watch.lap_ns();
  run.consumed_bytes = written.consumed_bytes;
  run.stream_more = written.more;
  check(written.result);
}

}  // namespace axle::cpu
