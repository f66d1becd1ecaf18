// SPDX-License-Identifier: Apache-2.0
#include "codec.h"

#include <algorithm>
#include <new>
#include <string>

#include "archive_decoder.h"
#include "chunk_runner.h"
#include "gzip_decoder.h"
#include "output_buffer.h"
#include "result.h"
#include "scatter_input.h"
#include "stream.h"
#include "zstd_decoder.h"
#include "zstd_encoder.h"

namespace axle::cpu {
namespace {

// How much is decoded between two looks at task.cancelled(). A zstd frame that fits is decoded in
// place, without a window to copy from.
constexpr size_t kSliceBytes = 32 << 20;
// An archive that declares more than this many times its own size does not get it up front.
constexpr uint64_t kTrustedRatio = 1100;
constexpr uint64_t kFirstOutputBytesMin = 64 << 10;
// Heads and tails around chunks are shorter.
constexpr uint64_t kFrameBytesMax = 64;

CodecResult check_codec(Codec codec, bool auto_allowed) {
  const bool known = codec == Codec::kZstd || codec == Codec::kLz4 || codec == Codec::kGzip;
  if (known || (auto_allowed && codec == Codec::kAuto)) return {};
  return invalid("codec " + std::to_string(static_cast<uint32_t>(codec)) +
                 " is not known: use zstd, lz4 or gzip" +
                 (auto_allowed ? ", or 0 to go by the first bytes" : ""));
}

CodecResult check_level(Codec codec, int level) {
  const LevelRange range = level_range(codec);
  if (level >= range.min && level <= range.max) return {};
  return invalid("level " + std::to_string(level) + " of " + codec_name(codec) +
                 " is out of range: use " + std::to_string(range.min) + " to " +
                 std::to_string(range.max));
}

CodecResult compress_zstd(int level, const ScatterInput &input, OutputBuffer &out, const Task &task,
                          unsigned threads) {
  if (input.contiguous() && zstd_is_quick(level, input.bytes())) {
    return compress_zstd_quickly(level, input.piece_at(0), out);
  }
  ZstdEncoder encoder(level, input.bytes(), threads);
  // A guess; the buffer doubles where it is too low.
  out.reserve_up_to(std::max(input.bytes() / 2, kFirstOutputBytesMin));
  for (uint64_t offset = 0; offset < input.bytes();) {
    Span piece = input.piece_at(offset);
    offset += piece.bytes;
    const CodecResult result = encoder.write(piece, out, task);
    if (!result.ok()) return result;
    if (piece.bytes > 0) return out.past_cap();
  }
  bool done;
  const CodecResult result = encoder.end(out, task, &done);
  if (!result.ok()) return result;
  return done ? CodecResult{} : out.past_cap();
}

CodecResult append(OutputBuffer &out, const std::string &bytes) {
  const auto *data = reinterpret_cast<const uint8_t *>(bytes.data());
  return out.append(data, bytes.size()) ? CodecResult{} : out.why_not();
}

// Compresses an input of one chunk straight into `out`. False when there is no room for the worst case.
bool compress_one_chunk(ChunkFormat &format, Span data, OutputBuffer &out) {
  const size_t bytes_max = format.compressed_bytes_max(data.bytes);
  out.reserve_up_to(bytes_max);
  if (out.spare() < bytes_max) return false;
  out.advance(format.compress(data.data, data.bytes, out.tail()));
  format.account(data.data, data.bytes);
  return true;
}

CodecResult compress_chunks(ChunkFormat &format, const ScatterInput &input, OutputBuffer &out,
                            const Task &task, Executor &executor) {
  const uint64_t bytes = input.bytes();
  if (bytes == 0 && !format.needs_a_chunk()) return {};
  if (bytes <= format.chunk_bytes() && input.contiguous() &&
      compress_one_chunk(format, input.piece_at(0), out)) {
    return {};
  }
  // A guess; the buffer doubles where it is too low.
  out.reserve_up_to(std::max(bytes / 2, kFirstOutputBytesMin));
  ChunkRunner runner(format, executor);
  return runner.run(input, bytes, task, [&out](const uint8_t *data, size_t n) {
    return out.append(data, n) ? CodecResult{} : out.why_not();
  });
}

CodecResult compress_in_chunks(ChunkFormat &format, const ScatterInput &input, OutputBuffer &out,
                               const Task &task, Executor &executor) {
  if (input.bytes() <= format.chunk_bytes()) {
    out.reserve_up_to(format.compressed_bytes_max(input.bytes()) + kFrameBytesMax);
  }
  CodecResult result = append(out, format.head());
  if (result.ok()) result = compress_chunks(format, input, out, task, executor);
  return result.ok() ? append(out, format.tail()) : result;
}

std::unique_ptr<ChunkFormat> make_format(Codec codec, int level, uint64_t bytes, unsigned threads) {
  if (codec == Codec::kLz4) return make_lz4_format(level, bytes, threads);
  return make_gzip_format(level);
}

// How much memory is worth having before the first byte is decoded.
uint64_t first_output_bytes(Codec codec, const ScatterInput &input, uint64_t offset) {
  const Span piece = input.piece_at(offset);
  const ArchiveHead head = inspect_head(codec, piece.data, piece.bytes);
  const uint64_t rest = input.bytes() - offset;
  const uint64_t guess = head.declared_bytes != kUndeclared ? head.declared_bytes : rest * 2;
  return std::max(std::min(guess, rest * kTrustedRatio), kFirstOutputBytesMin);
}

// At the cap, what follows must make no more output.
CodecResult decode_past_cap(ArchiveDecoder &decoder, Span &piece, const OutputBuffer &out) {
  uint8_t excess;
  size_t produced;
  const CodecResult result = decoder.decode(piece, &excess, 1, &produced);
  if (produced > 0) return out.past_cap();
  return result;
}

CodecResult decode_sequentially(Codec codec, const ScatterInput &input, uint64_t offset,
                                OutputBuffer &out, const Task &task) {
  ArchiveDecoder decoder(codec, offset);
  if (offset < input.bytes() && out.spare() == 0) {
    out.reserve_up_to(first_output_bytes(codec, input, offset));
  }
  while (offset < input.bytes() || decoder.output_pending()) {
    if (task.cancelled()) return cancelled_result();
    Span piece = input.piece_at(offset);
    piece.bytes = std::min(piece.bytes, kSliceBytes);
    const size_t offered = piece.bytes;
    CodecResult result;
    if (out.spare() > 0 || out.grow()) {
      size_t produced;
      const auto room = static_cast<size_t>(std::min<uint64_t>(out.spare(), kSliceBytes));
      result = decoder.decode(piece, out.tail(), room, &produced);
      out.advance(produced);
    } else if (out.size() == out.bytes_max()) {
      result = decode_past_cap(decoder, piece, out);
    } else {
      result = out.why_not();
    }
    if (!result.ok()) return result;
    offset += offered - piece.bytes;
  }
  return decoder.finish();
}

CodecResult decompress_all(Codec codec, const ScatterInput &input, OutputBuffer &out,
                           const Task &task, Executor &executor) {
  uint64_t offset = 0;
  if (input.contiguous()) {
    const Span archive = input.piece_at(0);
    const ArchiveHead head = inspect_head(codec, archive.data, archive.bytes);
    if (head.codec == Codec::kZstd && decompress_zstd_frames(archive, out, task, executor)) {
      return {};
    }
    if (head.codec == Codec::kGzip) offset = inflate_gzip_members(archive, out, task);
    if (offset > 0) codec = Codec::kGzip;
  }
  return decode_sequentially(codec, input, offset, out, task);
}

template <class Work>
CodecResult guarded(const Work &work) {
  try {
    return work();
  } catch (const std::bad_alloc &) {
    return out_of_memory();
  }
}

template <class Open>
std::unique_ptr<CodecStream> open_guarded(CodecResult *result, const Open &open) {
  if (!result->ok()) return nullptr;
  try {
    return open();
  } catch (const std::bad_alloc &) {
    *result = out_of_memory();
    return nullptr;
  }
}

}  // namespace

LevelRange level_range(Codec codec) {
  switch (codec) {
    case Codec::kZstd:
      return {1, 22, 3};
    case Codec::kLz4:
      return {1, 12, 1};
    case Codec::kGzip:
      return {1, 12, 6};
    case Codec::kAuto:
      break;
  }
  return {0, 0, 0};
}

CodecResult compress(Codec codec, int level, Segments segments, uint64_t output_bytes_max,
                     Task &task, Executor &executor) {
  return guarded([&] {
    CodecResult result = check_codec(codec, false);
    if (result.ok()) result = check_level(codec, level);
    if (!result.ok()) return result;
    const ScatterInput input(segments);
    OutputBuffer out(task, output_bytes_max);
    const unsigned threads = executor.threads();
    if (codec == Codec::kZstd) {
      result = compress_zstd(level, input, out, task, threads);
    } else {
      result = compress_in_chunks(*make_format(codec, level, input.bytes(), threads), input, out,
                                  task, executor);
    }
    return result.ok() ? out.emit() : result;
  });
}

CodecResult decompress(Codec codec, Segments segments, uint64_t output_bytes_max, Task &task,
                       Executor &executor) {
  return guarded([&] {
    CodecResult result = check_codec(codec, true);
    if (!result.ok()) return result;
    const ScatterInput input(segments);
    OutputBuffer out(task, output_bytes_max);
    result = decompress_all(codec, input, out, task, executor);
    return result.ok() ? out.emit() : result;
  });
}

std::unique_ptr<CodecStream> open_compress_stream(Codec codec, int level, Executor &executor,
                                                  CodecResult *result) {
  *result = check_codec(codec, false);
  if (result->ok()) *result = check_level(codec, level);
  return open_guarded(result, [&]() -> std::unique_ptr<CodecStream> {
    if (codec == Codec::kZstd) return make_zstd_compress_stream(level, executor.threads());
    return make_chunk_compress_stream(make_format(codec, level, UINT64_MAX, executor.threads()),
                                      executor);
  });
}

std::unique_ptr<CodecStream> open_decompress_stream(Codec codec, CodecResult *result) {
  *result = check_codec(codec, true);
  return open_guarded(result, [&] { return make_decompress_stream(codec); });
}

void release_codec_memory() {
  release_zstd_encoders();
  release_zstd_decoders();
  release_gzip_compressors();
  release_gzip_decoders();
  release_lz4_compressors();
}

}  // namespace axle::cpu
