// SPDX-License-Identifier: Apache-2.0
#include "archive_decoder.h"

#include <algorithm>
#include <string>

#include "result.h"

namespace axle::cpu {
namespace {

using Kind = ArchiveHead::Kind;

std::unique_ptr<MemberDecoder> make_decoder(Codec codec) {
  switch (codec) {
    case Codec::kZstd:
      return make_zstd_decoder();
    case Codec::kLz4:
      return make_lz4_decoder();
    case Codec::kGzip:
      return make_gzip_decoder();
    case Codec::kAuto:
      break;
  }
  return nullptr;
}

}  // namespace

void ArchiveDecoder::skip(Span &in, size_t bytes) {
  in = {in.data + bytes, in.bytes - bytes};
  offset_ += bytes;
}

CodecResult ArchiveDecoder::decode(Span &in, uint8_t *out, size_t out_bytes, size_t *produced) {
  uint8_t *const begin = out;
  CodecResult result;
  while (result.ok()) {
    const bool head_waits = state_ == State::kBody && head_used_ < head_bytes_;
    if (in.bytes == 0 && !head_waits && !output_pending_) break;
    if (state_ == State::kBody) {
      if (out_bytes == 0) break;
      result = take_body(in, out, out_bytes);
    } else if (state_ == State::kSkip) {
      const size_t bytes = static_cast<size_t>(std::min<uint64_t>(skip_bytes_, in.bytes));
      skip(in, bytes);
      skip_bytes_ -= bytes;
      if (skip_bytes_ == 0) state_ = State::kHead;
    } else if (state_ == State::kPadding) {
      result = take_padding(in);
    } else {
      result = take_head(in);
    }
  }
  *produced = static_cast<size_t>(out - begin);
  return result;
}

CodecResult ArchiveDecoder::take_head(Span &in) {
  if (head_bytes_ == 0 && members_ > 0 && wanted_ == Codec::kGzip && in.data[0] == 0) {
    state_ = State::kPadding;
    return {};
  }
  if (head_bytes_ == 0) {
    const ArchiveHead head = inspect_head(wanted_, in.data, in.bytes);
    if (head.kind == Kind::kUnknown) return not_a_member(in.data, in.bytes);
    if (head.kind != Kind::kNeedMore) return begin_member(head);
  }
  while (in.bytes > 0) {
    head_[head_bytes_++] = in.data[0];
    skip(in, 1);
    const ArchiveHead head = inspect_head(wanted_, head_, head_bytes_);
    if (head.kind == Kind::kUnknown) return not_a_member(head_, head_bytes_);
    if (head.kind != Kind::kNeedMore) return begin_member(head);
  }
  return {};
}

CodecResult ArchiveDecoder::begin_member(const ArchiveHead &head) {
  if (head.kind == Kind::kRefused) return invalid(head.message);
  if (head.kind == Kind::kSkippable) {
    skip_bytes_ = head.skip_bytes - head_bytes_;
    head_bytes_ = 0;
    state_ = skip_bytes_ > 0 ? State::kSkip : State::kHead;
    return {};
  }
  if (member_ == nullptr) {
    wanted_ = head.codec;
    member_ = make_decoder(head.codec);
  }
  member_->begin();
  member_declared_ = head.declared_bytes;
  member_produced_ = 0;
  head_used_ = 0;
  state_ = State::kBody;
  return {};
}

CodecResult ArchiveDecoder::take_body(Span &in, uint8_t *&out, size_t &out_bytes) {
  const bool from_head = head_used_ < head_bytes_;
  const Span source = from_head ? Span{head_ + head_used_, head_bytes_ - head_used_} : in;
  const bool was_pending = output_pending_;
  const DecodeStep step = member_->step(source, out, out_bytes);
  if (from_head) {
    head_used_ += step.consumed;
  } else {
    skip(in, step.consumed);
  }
  out += step.produced;
  out_bytes -= step.produced;
  output_pending_ = out_bytes == 0 && !step.done;
  if (step.error != DecodeError::kNone) return decode_failure(step.error, step.detail);
  member_produced_ += step.produced;
  if (step.done) {
    // libzstd lets a frame pass that ends early with an empty block.
    if (member_declared_ != kUndeclared && member_declared_ != member_produced_) {
      return decode_failure(DecodeError::kDamaged, "not of the length that it declares");
    }
    // A head is shorter than any member, so nothing of it is left.
    head_bytes_ = head_used_ = 0;
    members_++;
    state_ = State::kHead;
    return {};
  }
  if (step.consumed == 0 && step.produced == 0 && source.bytes > 0 && !was_pending) {
    return decode_failure(DecodeError::kDamaged, "no progress");
  }
  return {};
}

CodecResult ArchiveDecoder::decode_failure(DecodeError error, const char *detail) const {
  if (error == DecodeError::kNoMemory) return out_of_memory();
  // A checksum tells of damage on the way; what does not decode may never have been an archive.
  return failure(
      error == DecodeError::kChecksum ? CodecStatus::kDataLoss : CodecStatus::kInvalidArgument,
      "the " + std::string(codec_name(wanted_)) + " archive is damaged before byte " +
          std::to_string(offset_) + " (" + detail + "): fetch or make it again");
}

CodecResult ArchiveDecoder::take_padding(Span &in) {
  while (in.bytes > 0 && in.data[0] == 0) skip(in, 1);
  return in.bytes == 0 ? CodecResult{} : not_a_member(in.data, in.bytes);
}

CodecResult ArchiveDecoder::not_a_member(const uint8_t *data, size_t bytes) const {
  const std::string found = hex_of(data, bytes);
  if (members_ == 0) {
    return invalid("the input is no " +
                   std::string(wanted_ == Codec::kAuto ? "known" : codec_name(wanted_)) +
                   " archive: it has " + found + " where a member should begin, and " +
                   expected_magic(wanted_));
  }
  return invalid("the " + std::string(codec_name(wanted_)) +
                 " archive is followed by other bytes (" + found + ") at byte " +
                 std::to_string(offset_) + ": pass the archive without what comes after it");
}

CodecResult ArchiveDecoder::finish() const {
  if (offset_ == 0) {
    return invalid(
        "the input is empty, and no archive is: pass the bytes of a zstd, lz4 or gzip archive");
  }
  const bool between = state_ == State::kPadding || (state_ == State::kHead && head_bytes_ == 0);
  if (between) return {};
  return invalid("the " + std::string(codec_name(wanted_)) + " archive is truncated after " +
                 std::to_string(offset_) + " bytes: pass all of it");
}

}  // namespace axle::cpu
