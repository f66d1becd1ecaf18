// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CPU_CODECS_GZIP_HEAD_H
#define AXLE_CPU_CODECS_GZIP_HEAD_H

#include <cstddef>
#include <cstdint>

#include "member_decoder.h"
#include "scatter_input.h"

namespace axle::cpu {

constexpr uint8_t kGzipFlagHeadCrc = 0x02;

// Passes over the head of a gzip member (RFC 1952), in pieces of any size, and verifies its CRC where
// it has one. ISA-L's own reader takes a head with a CRC for damaged when it comes in pieces.
class GzipHead {
 public:
  // Returns how many bytes of `in` are head, as far as they go.
  size_t take(Span in);
  bool done() const { return part_ == Part::kDone; }
  DecodeError error() const { return error_; }

 private:
  enum class Part { kFixed, kExtraLength, kExtra, kName, kComment, kCrc, kDone };

  void take_byte(uint8_t byte);
  void next_part();
  bool has(Part part) const;

  Part part_ = Part::kFixed;
  size_t left_ = 10;  // bytes of this part that are to come; unused for the terminated parts
  uint8_t flags_ = 0;
  uint32_t number_ = 0;  // of a little-endian part, as far as it came
  uint32_t crc_ = 0;
  DecodeError error_ = DecodeError::kNone;
};

}  // namespace axle::cpu

#endif
