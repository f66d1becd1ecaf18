// SPDX-License-Identifier: Apache-2.0
#include "stream.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "archive_decoder.h"
#include "chunk_runner.h"
#include "output_buffer.h"
#include "result.h"
#include "scatter_input.h"
#include "zstd_encoder.h"

namespace axle::cpu {
namespace {

// What is common to one write of any stream.
class GuardedStream : public CodecStream {
 public:
  StreamWriteResult write(Segments segments, bool end, uint64_t output_bytes_max,
                          Task &task) override {
    StreamWriteResult written;
    try {
      const ScatterInput input(segments);
      OutputBuffer out(task, output_bytes_max);
      written.result = write_input(input, end, out, task, written);
      if (written.result.ok() && out.size() > 0) written.result = out.emit();
    } catch (const std::bad_alloc &) {
      written.result = out_of_memory();
    }
    return written;
  }

 protected:
  // Fills consumed_bytes and more.
  virtual CodecResult write_input(const ScatterInput &input, bool end, OutputBuffer &out,
                                  Task &task, StreamWriteResult &written) = 0;
};

class ZstdCompressStream : public GuardedStream {
 public:
  ZstdCompressStream(int level, unsigned threads) : encoder_(level, threads) {}

 protected:
  CodecResult write_input(const ScatterInput &input, bool end, OutputBuffer &out, Task &task,
                          StreamWriteResult &written) override {
    uint64_t &offset = written.consumed_bytes;
    while (offset < input.bytes()) {
      Span piece = input.piece_at(offset);
      const size_t offered = piece.bytes;
      const CodecResult result = encoder_.write(piece, out, task);
      offset += offered - piece.bytes;
      if (!result.ok()) return result;
      if (piece.bytes > 0) {  // `out` is full
        written.more = true;
        return {};
      }
    }
    if (!end || ended_) return {};
    const CodecResult result = encoder_.end(out, task, &ended_);
    written.more = !ended_;
    return result;
  }

 private:
  ZstdEncoder encoder_;
  bool ended_ = false;
};

// Gathers input until there is a chunk for every thread, and compresses these at once.
class ChunkCompressStream : public GuardedStream {
 public:
  ChunkCompressStream(std::unique_ptr<ChunkFormat> format, Executor &executor)
      : format_(std::move(format)),
        runner_(*format_, executor),
        batch_bytes_(format_->chunk_bytes() * std::min(executor.threads(), kBatchChunksMax)) {
    append_waiting(format_->head());
  }

 protected:
  CodecResult write_input(const ScatterInput &input, bool end, OutputBuffer &out, Task &task,
                          StreamWriteResult &written) override {
    CodecResult result = drain(out);
    while (result.ok() && waiting_.empty() && !ended_) {
      const uint64_t rest = input.bytes() - written.consumed_bytes;
      if (held_bytes_ + rest >= batch_bytes_) {
        result = compress_batch(input, out, task, written);
      } else if (rest > 0) {
        hold(input, written, static_cast<size_t>(rest));
      } else if (end) {
        result = compress_last(input, out, task, written);
      } else {
        break;
      }
    }
    written.more = !waiting_.empty();
    return result;
  }

 private:
  static constexpr unsigned kBatchChunksMax = 16;
  // Bounds the output that waits when the caller takes little at a time.
  static constexpr uint64_t kBatchesPerRun = 4;

  void append_waiting(const std::string &bytes) {
    waiting_.insert(waiting_.end(), bytes.begin(), bytes.end());
  }

  // Moves output that waits to `out`, as far as its cap allows.
  CodecResult drain(OutputBuffer &out) {
    const size_t rest = waiting_.size() - drained_;
    const auto n = static_cast<size_t>(std::min<uint64_t>(rest, out.bytes_max() - out.size()));
    if (n > 0 && !out.append(waiting_.data() + drained_, n)) return out.why_not();
    drained_ += n;
    if (drained_ == waiting_.size()) {
      waiting_.clear();
      drained_ = 0;
    }
    return {};
  }

  CodecResult take_output(OutputBuffer &out, const uint8_t *data, size_t bytes) {
    if (waiting_.empty()) {
      const auto n = static_cast<size_t>(std::min<uint64_t>(bytes, out.bytes_max() - out.size()));
      if (!out.append(data, n)) return out.why_not();
      data += n;
      bytes -= n;
    }
    waiting_.insert(waiting_.end(), data, data + bytes);
    return {};
  }

  void hold(const ScatterInput &input, StreamWriteResult &written, size_t bytes) {
    uint8_t *held = held_.at_least(batch_bytes_);
    input.copy(written.consumed_bytes, bytes, held + held_bytes_);
    held_bytes_ += bytes;
    written.consumed_bytes += bytes;
  }

  // Compresses whole chunks of what is held and what follows it in `input`.
  CodecResult compress_batch(const ScatterInput &input, OutputBuffer &out, Task &task,
                             StreamWriteResult &written) {
    const uint64_t rest = input.bytes() - written.consumed_bytes;
    const uint64_t all = std::min(held_bytes_ + rest, batch_bytes_ * kBatchesPerRun);
    return compress_bytes(all - all % format_->chunk_bytes(), input, out, task, written);
  }

  CodecResult compress_last(const ScatterInput &input, OutputBuffer &out, Task &task,
                            StreamWriteResult &written) {
    if (held_bytes_ > 0 || (!any_chunk_ && format_->needs_a_chunk())) {
      const CodecResult result = compress_bytes(held_bytes_, input, out, task, written);
      if (!result.ok()) return result;
    }
    ended_ = true;
    append_waiting(format_->tail());
    return drain(out);
  }

  CodecResult compress_bytes(uint64_t bytes, const ScatterInput &input, OutputBuffer &out,
                             Task &task, StreamWriteResult &written) {
    std::vector<Segment> segments;
    segments.push_back({held_.data(), held_bytes_});
    uint64_t listed = held_bytes_;
    for (uint64_t offset = written.consumed_bytes; listed < bytes;) {
      const Span piece = input.piece_at(offset);
      segments.push_back({piece.data, piece.bytes});
      offset += piece.bytes;
      listed += piece.bytes;
    }
    const ScatterInput joined({segments.data(), segments.size()});
    written.consumed_bytes += bytes - held_bytes_;
    held_bytes_ = 0;
    any_chunk_ = true;
    return runner_.run(joined, bytes, task,
                       [&](const uint8_t *data, size_t n) { return take_output(out, data, n); });
  }

  const std::unique_ptr<ChunkFormat> format_;
  ChunkRunner runner_;
  const uint64_t batch_bytes_;
  ScratchBuffer held_;  // consumed input that is not compressed yet, less than a batch
  uint64_t held_bytes_ = 0;
  std::vector<uint8_t> waiting_;  // output past the cap of the write that made it
  size_t drained_ = 0;
  bool any_chunk_ = false;
  bool ended_ = false;
};

class DecompressStream : public GuardedStream {
 public:
  explicit DecompressStream(Codec codec) : decoder_(codec) {}

 protected:
  CodecResult write_input(const ScatterInput &input, bool end, OutputBuffer &out, Task &task,
                          StreamWriteResult &written) override {
    uint64_t &offset = written.consumed_bytes;
    out.reserve_up_to(std::min(input.bytes() * 4, kFirstOutputBytesMax));
    while (offset < input.bytes() || decoder_.output_pending()) {
      if (task.cancelled()) return cancelled_result();
      if (out.size() == out.bytes_max()) {
        written.more = true;
        return {};
      }
      if (out.spare() == 0 && !out.grow()) return out.why_not();
      Span piece = input.piece_at(offset);
      const size_t offered = piece.bytes;
      const auto room = static_cast<size_t>(std::min<uint64_t>(out.spare(), kSliceBytes));
      size_t produced;
      const CodecResult result = decoder_.decode(piece, out.tail(), room, &produced);
      out.advance(produced);
      offset += offered - piece.bytes;
      if (!result.ok()) return result;
    }
    return end ? decoder_.finish() : CodecResult{};
  }

 private:
  // How much is decoded between two looks at task.cancelled().
  static constexpr uint64_t kSliceBytes = 16 << 20;
  static constexpr uint64_t kFirstOutputBytesMax = 4 << 20;

  ArchiveDecoder decoder_;
};

}  // namespace

std::unique_ptr<CodecStream> make_zstd_compress_stream(int level, unsigned threads) {
  return std::make_unique<ZstdCompressStream>(level, threads);
}

std::unique_ptr<CodecStream> make_chunk_compress_stream(std::unique_ptr<ChunkFormat> format,
                                                        Executor &executor) {
  return std::make_unique<ChunkCompressStream>(std::move(format), executor);
}

std::unique_ptr<CodecStream> make_decompress_stream(Codec codec) {
  return std::make_unique<DecompressStream>(codec);
}

}  // namespace axle::cpu
