// SPDX-License-Identifier: Apache-2.0
#include "zstd_decoder.h"

#include <zstd.h>
#include <zstd_errors.h>

#include <atomic>
#include <new>
#include <vector>

#include "archive_head.h"
#include "member_decoder.h"
#include "object_pool.h"

namespace axle::cpu {
namespace {

// A context that once held a large window is not worth keeping.
constexpr size_t kKeptContextBytesMax = 16 << 20;
constexpr size_t kIdleContextsMax = 32;
// Below this the threads cost more than they give.
constexpr uint64_t kParallelBytesMin = 1 << 20;
// A frame is decoded without interruption.
constexpr uint64_t kFrameBytesMax = 64 << 20;
// What no real archive passes is not worth an allocation up front.
constexpr uint64_t kDeclaredRatioMax = 1100;

struct DecoderContext {
  DecoderContext() : zstd(ZSTD_createDCtx()) {
    if (zstd == nullptr) throw std::bad_alloc();
    ZSTD_DCtx_setParameter(zstd, ZSTD_d_windowLogMax, kZstdWindowLogMax);
  }
  ~DecoderContext() { ZSTD_freeDCtx(zstd); }
  DecoderContext(const DecoderContext &) = delete;
  DecoderContext &operator=(const DecoderContext &) = delete;

  ZSTD_DCtx *const zstd;
};

// Never destroyed: threads may still use it while the process ends.
ObjectPool<DecoderContext> &contexts() {
  static auto &pool = *new ObjectPool<DecoderContext>(kIdleContextsMax);
  return pool;
}

std::unique_ptr<DecoderContext> take_context() {
  std::unique_ptr<DecoderContext> context = contexts().take();
  return context ? std::move(context) : std::make_unique<DecoderContext>();
}

void give_context(std::unique_ptr<DecoderContext> context) {
  if (ZSTD_sizeof_DCtx(context->zstd) > kKeptContextBytesMax) return;
  ZSTD_DCtx_reset(context->zstd, ZSTD_reset_session_only);
  contexts().give(std::move(context));
}

class ZstdDecoder : public MemberDecoder {
 public:
  ZstdDecoder() : context_(take_context()) {}
  ~ZstdDecoder() override { give_context(std::move(context_)); }

  void begin() override { ZSTD_DCtx_reset(context_->zstd, ZSTD_reset_session_only); }

  DecodeStep step(Span in, uint8_t *out, size_t out_bytes) override {
    ZSTD_inBuffer source{in.data, in.bytes, 0};
    ZSTD_outBuffer target{out, out_bytes, 0};
    DecodeStep step;
    // One call may stop at a block's end.
    while (step.error == DecodeError::kNone && !step.done) {
      const size_t before = source.pos + target.pos;
      const size_t rest = ZSTD_decompressStream(context_->zstd, &target, &source);
      if (ZSTD_isError(rest)) {
        step.error = error_of(rest);
        step.detail = ZSTD_getErrorName(rest);
      }
      step.done = rest == 0;
      const bool stuck = source.pos + target.pos == before;
      if (stuck || target.pos == out_bytes || source.pos == in.bytes) break;
    }
    step.consumed = source.pos;
    step.produced = target.pos;
    return step;
  }

 private:
  static DecodeError error_of(size_t code) {
    switch (ZSTD_getErrorCode(code)) {
      case ZSTD_error_checksum_wrong:
        return DecodeError::kChecksum;
      case ZSTD_error_memory_allocation:
        return DecodeError::kNoMemory;
      default:
        return DecodeError::kDamaged;
    }
  }

  std::unique_ptr<DecoderContext> context_;
};

struct Frame {
  Span compressed;
  uint64_t output_offset;
  uint64_t output_bytes;
};

// False when not all frames declare their size, or anything is amiss.
bool list_frames(Span archive, std::vector<Frame> &frames, uint64_t &output_bytes) {
  output_bytes = 0;
  while (archive.bytes > 0) {
    const ArchiveHead head = inspect_head(Codec::kZstd, archive.data, archive.bytes);
    uint64_t bytes = head.skip_bytes;
    if (head.kind == ArchiveHead::Kind::kMember) {
      if (head.declared_bytes > kFrameBytesMax) return false;  // or not declared
      bytes = ZSTD_findFrameCompressedSize(archive.data, archive.bytes);
      if (ZSTD_isError(bytes)) return false;
      // Also keeps the sum below from wrapping around.
      if (head.declared_bytes / kDeclaredRatioMax > archive.bytes) return false;
      frames.push_back({{archive.data, bytes}, output_bytes, head.declared_bytes});
      output_bytes += head.declared_bytes;
    } else if (head.kind != ArchiveHead::Kind::kSkippable || bytes > archive.bytes) {
      return false;
    }
    archive = {archive.data + bytes, archive.bytes - bytes};
  }
  return true;
}

}  // namespace

std::unique_ptr<MemberDecoder> make_zstd_decoder() { return std::make_unique<ZstdDecoder>(); }

void release_zstd_decoders() { contexts().clear(); }

bool decompress_zstd_frames(Span archive, OutputBuffer &out, const Task &task, Executor &executor) {
  if (executor.threads() < 2) return false;
  std::vector<Frame> frames;
  uint64_t output_bytes;
  if (!list_frames(archive, frames, output_bytes)) return false;
  if (frames.size() < 2 || output_bytes < kParallelBytesMin) return false;
  if (output_bytes / kDeclaredRatioMax > archive.bytes || !out.reserve(output_bytes)) return false;

  uint8_t *const target = out.tail();
  std::atomic<bool> failed{false};
  executor.parallel_for(frames.size(), [&](size_t i) {
    if (failed.load(std::memory_order_relaxed) || task.cancelled()) {
      failed = true;
      return;
    }
    const Frame &frame = frames[i];
    try {
      std::unique_ptr<DecoderContext> context = take_context();
      const size_t bytes =
          ZSTD_decompressDCtx(context->zstd, target + frame.output_offset, frame.output_bytes,
                              frame.compressed.data, frame.compressed.bytes);
      if (ZSTD_isError(bytes) || bytes != frame.output_bytes) failed = true;
      give_context(std::move(context));
    } catch (const std::bad_alloc &) {
      failed = true;
    }
  });
  if (failed) return false;
  out.advance(output_bytes);
  return true;
}

}  // namespace axle::cpu
