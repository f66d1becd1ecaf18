// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CPU_CODECS_ZSTD_ENCODER_H
#define AXLE_CPU_CODECS_ZSTD_ENCODER_H

#include <cstddef>
#include <cstdint>
#include <memory>

#include "codec.h"
#include "output_buffer.h"
#include "scatter_input.h"

namespace axle::cpu {

struct ZstdContext;

// Makes one zstd frame, with a content checksum, on libzstd's own worker threads where there is
// enough to do for several. Not for several threads.
class ZstdEncoder {
 public:
  // For content of a known length. Throws std::bad_alloc.
  ZstdEncoder(int level, uint64_t content_bytes, unsigned threads);
  // For content of any length, in constant memory. Uses fewer threads and a smaller window where the
  // level would take too much. Throws std::bad_alloc.
  ZstdEncoder(int level, unsigned threads);
  ~ZstdEncoder();
  ZstdEncoder(const ZstdEncoder &) = delete;
  ZstdEncoder &operator=(const ZstdEncoder &) = delete;

  // Takes from `in`, and moves it past what was taken, until it is used up or `out` is at its cap.
  // Output comes when it is ready; the workers may still be at what was taken when this returns.
  CodecResult write(Span &in, OutputBuffer &out, const Task &task);

  // Ends the frame, after all input. `done` when all output is out; else `out` is at its cap.
  CodecResult end(OutputBuffer &out, const Task &task, bool *done);

 private:
  void set_up(int level, int workers, int job_bytes);
  CodecResult await_progress(const Task &task) const;

  const bool slow_;
  std::unique_ptr<ZstdContext> context_;
  bool mid_frame_ = false;
};

// The quick way for an input in one piece that is not worth several threads, nor an interruption.
bool zstd_is_quick(int level, uint64_t content_bytes);
CodecResult compress_zstd_quickly(int level, Span input, OutputBuffer &out);

// Blocks until the threads of abandoned contexts have ended, and frees idle contexts.
void release_zstd_encoders();

}  // namespace axle::cpu

#endif
