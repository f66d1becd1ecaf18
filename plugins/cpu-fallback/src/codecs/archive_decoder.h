// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CPU_CODECS_ARCHIVE_DECODER_H
#define AXLE_CPU_CODECS_ARCHIVE_DECODER_H

#include <cstddef>
#include <cstdint>
#include <memory>

#include "archive_head.h"
#include "codec.h"
#include "member_decoder.h"
#include "scatter_input.h"

namespace axle::cpu {

// Decodes an archive of any number of members, in pieces of any size: finds the members, passes over
// what is to be skipped, and says what is wrong with the rest.
class ArchiveDecoder {
 public:
  // Starts at byte `offset` of the archive, after whole members when that is not 0.
  explicit ArchiveDecoder(Codec wanted, uint64_t offset = 0)
      : wanted_(wanted), offset_(offset), members_(offset > 0 ? 1 : 0) {}

  // Goes on until `in` is used up or `out` is full, and moves `in` past what it used.
  CodecResult decode(Span &in, uint8_t *out, size_t out_bytes, size_t *produced);

  // Whether more output may wait, without more input.
  bool output_pending() const { return output_pending_; }

  // To be asked when all input was used and no output is pending.
  CodecResult finish() const;

 private:
  enum class State { kHead, kSkip, kBody, kPadding };

  CodecResult take_head(Span &in);
  CodecResult begin_member(const ArchiveHead &head);
  CodecResult take_body(Span &in, uint8_t *&out, size_t &out_bytes);
  CodecResult take_padding(Span &in);
  CodecResult decode_failure(DecodeError error, const char *detail) const;
  CodecResult not_a_member(const uint8_t *data, size_t bytes) const;
  void skip(Span &in, size_t bytes);

  Codec wanted_;
  uint64_t offset_;  // of the next byte that was not used
  uint64_t members_;
  State state_ = State::kHead;
  // A head that came in several pieces, and how much of it the member's decoder has had.
  uint8_t head_[kHeadBytesMax];
  size_t head_bytes_ = 0;
  size_t head_used_ = 0;
  uint64_t skip_bytes_ = 0;
  uint64_t member_declared_ = kUndeclared;
  uint64_t member_produced_ = 0;
  bool output_pending_ = false;
  std::unique_ptr<MemberDecoder> member_;
};

}  // namespace axle::cpu

#endif
