// SPDX-License-Identifier: Apache-2.0
//
// zstd, lz4 and gzip as a library: whole buffers and ordered streams. Knows nothing of plugins or of
// Node; what it needs of its surroundings comes in through Executor and Task.
#ifndef AXLE_CPU_CODECS_CODEC_H
#define AXLE_CPU_CODECS_CODEC_H

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace axle::cpu {

// Numbers of proto/registry.json (AXLE_CODEC_*). kAuto goes by the first bytes; decompress only.
enum class Codec : uint32_t { kAuto = 0, kZstd = 1, kLz4 = 2, kGzip = 3 };

// Levels that compress takes. lz4 from 3 on is its HC mode; gzip 10 to 12 are slower and smaller
// than those of the gzip tool.
struct LevelRange {
  int min;
  int max;
  int preset;
};
LevelRange level_range(Codec codec);

// Numbers of proto/registry.json (AXLE_STATUS_*), those that this library returns.
enum class CodecStatus : int32_t {
  kOk = 0,
  kCancelled = 1,
  // Level or codec out of range; input that is empty, of no known format, truncated, malformed,
  // followed by bytes that are no member, or in need of a dictionary or too large a window.
  kInvalidArgument = 3,
  kResourceExhausted = 8,  // output past the cap, or no memory
  kInternal = 13,
  kDataLoss = 15,  // a checksum does not match
};

struct CodecResult {
  CodecStatus status = CodecStatus::kOk;
  std::string message;  // what was wrong and what to do; empty when ok
  bool ok() const { return status == CodecStatus::kOk; }
};

// One piece of an input. May be empty, with any pointer. Laid out as axle_segment.
struct Segment {
  const void *data;
  uint64_t bytes;
};

// An input as a scatter list, borrowed: valid until the call that it is handed to returns.
struct Segments {
  const Segment *list;
  size_t count;
};

// Runs work on several threads.
class Executor {
 public:
  virtual ~Executor() = default;
  // How many threads parallel_for uses at best, the caller's included; at least 1.
  virtual unsigned threads() const = 0;
  // Calls fn(0) .. fn(n - 1), each once, in ascending order of their starts, and returns when all
  // have returned. The caller works along. `fn` does not throw.
  virtual void parallel_for(size_t n, const std::function<void(size_t)> &fn) = 0;
};

// The task that a call works for: where its output goes, and whether it is still wanted. Calls do not
// overlap, but they may come from any thread of the Executor; cancelled() comes at any time.
class Task {
 public:
  virtual ~Task() = default;
  // Uninitialised output memory. NULL when a cap or the memory itself would be passed.
  virtual uint8_t *alloc(uint64_t bytes) = 0;
  // Changes the size of memory from alloc, keeping its content up to the smaller size; it may move.
  // NULL as for alloc, and then the old memory stays valid.
  virtual uint8_t *resize(uint8_t *data, uint64_t bytes) = 0;
  virtual void release(uint8_t *data) = 0;
  // Takes over memory from alloc whose first `bytes` are the next output; `data` is NULL for an output
  // of 0 bytes. False when it is refused; the memory then stays the caller's.
  virtual bool emit(uint8_t *data, uint64_t bytes) = 0;
  virtual bool cancelled() const = 0;
};

// Compresses all of `input` into one archive that the codec's own tools read, emitted in one piece.
// Empty input makes a valid empty archive. At most `output_bytes_max` are emitted. On failure nothing
// is emitted and no memory of the task is held.
//
// The gzip output of a large input (past 2 MiB) has several members; that of zstd and lz4 is one
// frame. The same input may give other bytes with another number of threads, all of them valid.
CodecResult compress(Codec codec, int level, Segments input, uint64_t output_bytes_max, Task &task,
                     Executor &executor);

// Decompresses all members or frames of `input` into one piece. Empty input is an error. Sizes that
// the archive declares are used as hints only; at most `output_bytes_max` are allocated and emitted.
// Skippable frames of zstd and lz4, and zero padding after gzip members, are passed over.
CodecResult decompress(Codec codec, Segments input, uint64_t output_bytes_max, Task &task,
                       Executor &executor);

// What one write to a stream did.
struct StreamWriteResult {
  CodecResult result;
  uint64_t consumed_bytes = 0;
  // More output waits: write again, with the input that was not consumed, before there is new input.
  bool more = false;
};

// One ordered stream, in constant memory: of the order of `threads` chunks to compress, of the
// archive's window to decompress. Calls do not overlap; each may come from another thread, with
// another task.
class CodecStream {
 public:
  virtual ~CodecStream() = default;

  // Takes the next bytes, perhaps none, and emits what output is ready: at most `output_bytes_max`,
  // at least 1. With `end` no input comes after these; the stream is finished when a write with `end`
  // consumed everything and has no more output. After a failed write only destruction follows.
  virtual StreamWriteResult write(Segments input, bool end, uint64_t output_bytes_max,
                                  Task &task) = 0;
};

// NULL, with the reason in `result`, when codec or level is out of range or memory is short.
// `executor` outlives the stream.
std::unique_ptr<CodecStream> open_compress_stream(Codec codec, int level, Executor &executor,
                                                  CodecResult *result);
std::unique_ptr<CodecStream> open_decompress_stream(Codec codec, CodecResult *result);

// Work of libzstd cannot be interrupted: a cancelled zstd job returns at once, and what its threads
// were doing ends behind it, within seconds. Blocks until no such work is left, and frees the contexts
// that are kept for reuse. For a plugin's close and for leak checkers; never needed otherwise.
void release_codec_memory();

}  // namespace axle::cpu

#endif
