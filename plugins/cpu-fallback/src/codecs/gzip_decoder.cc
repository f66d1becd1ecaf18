// SPDX-License-Identifier: Apache-2.0
#include "gzip_decoder.h"

#include <isa-l/igzip_lib.h>
#include <libdeflate.h>

#include <algorithm>
#include <memory>
#include <new>

#include "archive_head.h"
#include "gzip_head.h"
#include "member_decoder.h"
#include "object_pool.h"

namespace axle::cpu {
namespace {

constexpr size_t kIdleContextsMax = 32;
// libdeflate cannot be interrupted: what is larger goes the sequential way, piece by piece.
constexpr uint64_t kWholeMemberBytesMax = 32 << 20;
constexpr uint64_t kDeflateRatioMax = 1032;
constexpr uint64_t kMemberBytesMin = 18;
constexpr size_t kFlagsAt = 3;
constexpr uint64_t kFirstGuessBytesMin = 4 << 10;
constexpr uint64_t kFirstGuessBytesMax = 4 << 20;
// isal_inflate counts in 32 bits.
constexpr size_t kStepBytesMax = 1 << 30;

struct FreeDecompressor {
  void operator()(libdeflate_decompressor *decompressor) const {
    libdeflate_free_decompressor(decompressor);
  }
};

struct WholeContext {
  WholeContext() : libdeflate(libdeflate_alloc_decompressor()) {
    if (!libdeflate) throw std::bad_alloc();
  }
  std::unique_ptr<libdeflate_decompressor, FreeDecompressor> libdeflate;
};

// Both are never destroyed: threads may still use them while the process ends.
ObjectPool<WholeContext> &whole_contexts() {
  static auto &pool = *new ObjectPool<WholeContext>(kIdleContextsMax);
  return pool;
}

ObjectPool<inflate_state> &stream_contexts() {
  static auto &pool = *new ObjectPool<inflate_state>(kIdleContextsMax);
  return pool;
}

class GzipDecoder : public MemberDecoder {
 public:
  GzipDecoder() : state_(stream_contexts(), [] { return std::make_unique<inflate_state>(); }) {
    begin();
  }

  void begin() override {
    isal_inflate_init(&*state_);
    state_->crc_flag = ISAL_GZIP_NO_HDR_VER;
    head_ = GzipHead();
  }

  DecodeStep step(Span in, uint8_t *out, size_t out_bytes) override {
    DecodeStep step;
    if (!head_.done()) {
      step.consumed = head_.take(in);
      step.error = head_.error();
      step.detail = "wrong CRC of the head";
      if (!head_.done() || step.error != DecodeError::kNone) return step;
    }
    // isal_inflate may return before it has used what it was given.
    while (step.consumed < in.bytes || in.bytes == 0) {
      const size_t in_bytes = std::min(in.bytes - step.consumed, kStepBytesMax);
      const size_t room = std::min(out_bytes - step.produced, kStepBytesMax);
      state_->next_in = const_cast<uint8_t *>(in.data) + step.consumed;
      state_->avail_in = static_cast<uint32_t>(in_bytes);
      state_->next_out = out + step.produced;
      state_->avail_out = static_cast<uint32_t>(room);
      const isal_block_state before = state_->block_state;
      const int code = isal_inflate(&*state_);
      // On damaged data ISA-L's count of what is left may end below 0.
      if (state_->avail_in > in_bytes) state_->avail_in = 0;
      if (state_->avail_out > room) state_->avail_out = 0;
      step.consumed += in_bytes - state_->avail_in;
      step.produced += room - state_->avail_out;
      if (code < 0) {
        step.error =
            code == ISAL_INCORRECT_CHECKSUM ? DecodeError::kChecksum : DecodeError::kDamaged;
        step.detail = detail_of(code);
        return step;
      }
      step.done = state_->block_state == ISAL_BLOCK_FINISH;
      const bool stuck = in_bytes == state_->avail_in && room == state_->avail_out &&
                         before == state_->block_state;
      if (step.done || stuck || step.produced == out_bytes || step.consumed == in.bytes) {
        return step;
      }
    }
    return step;
  }

 private:
  static const char *detail_of(int code) {
    switch (code) {
      case ISAL_INVALID_BLOCK:
        return "invalid deflate block";
      case ISAL_INVALID_SYMBOL:
        return "invalid deflate symbol";
      case ISAL_INVALID_LOOKBACK:
        return "invalid distance";
      case ISAL_INCORRECT_CHECKSUM:
        return "wrong CRC or length";
      default:
        return "invalid deflate data";
    }
  }

  Pooled<inflate_state> state_;
  GzipHead head_;
};

// The length that the last member declares, modulo 2^32; a guess for any other.
uint64_t declared_bytes(Span archive) {
  const uint8_t *end = archive.data + archive.bytes;
  return end[-4] | end[-3] << 8 | end[-2] << 16 | static_cast<uint64_t>(end[-1]) << 24;
}

uint64_t first_guess(Span archive) {
  const uint64_t possible = archive.bytes * kDeflateRatioMax;
  const uint64_t declared = declared_bytes(archive);
  const uint64_t usual = std::min(archive.bytes * 4, kFirstGuessBytesMax);
  if (declared > possible) return usual;
  // Few archives shrink by less than they gain from this floor.
  return std::max({declared, archive.bytes, kFirstGuessBytesMin});
}

}  // namespace

std::unique_ptr<MemberDecoder> make_gzip_decoder() { return std::make_unique<GzipDecoder>(); }

void release_gzip_decoders() {
  whole_contexts().clear();
  stream_contexts().clear();
}

uint64_t inflate_gzip_members(Span archive, OutputBuffer &out, const Task &task) {
  const size_t total = archive.bytes;
  if (total < kMemberBytesMin) return 0;
  Pooled<WholeContext> context(whole_contexts(), [] { return std::make_unique<WholeContext>(); });
  uint64_t guess = first_guess(archive);
  while (archive.bytes >= kMemberBytesMin && !task.cancelled()) {
    const ArchiveHead head = inspect_head(Codec::kGzip, archive.data, archive.bytes);
    if (head.kind != ArchiveHead::Kind::kMember) break;
    // libdeflate does not verify the head's own CRC.
    if ((archive.data[kFlagsAt] & kGzipFlagHeadCrc) != 0) break;
    if (guess > kWholeMemberBytesMax) break;
    out.reserve_up_to(guess);
    const uint64_t room = std::min(out.spare(), kWholeMemberBytesMax);
    size_t consumed = 0, produced = 0;
    const libdeflate_result code =
        libdeflate_gzip_decompress_ex(context->libdeflate.get(), archive.data, archive.bytes,
                                      out.tail(), room, &consumed, &produced);
    if (code == LIBDEFLATE_INSUFFICIENT_SPACE) {
      if (room < guess || room == kWholeMemberBytesMax) break;
      guess = room * 2;
      continue;
    }
    if (code != LIBDEFLATE_SUCCESS) break;
    out.advance(produced);
    archive = {archive.data + consumed, archive.bytes - consumed};
    // Members of one archive tend to be of one size.
    guess = std::max<uint64_t>(produced, kFirstGuessBytesMin);
  }
  return total - archive.bytes;
}

}  // namespace axle::cpu
