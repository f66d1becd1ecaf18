// SPDX-License-Identifier: Apache-2.0
#include "gzip_head.h"

#include <libdeflate.h>

namespace axle::cpu {
namespace {

constexpr uint8_t kFlagExtra = 0x04, kFlagName = 0x08, kFlagComment = 0x10;
// The flags are the byte before the last six of the fixed part.
constexpr size_t kLeftAtFlags = 7;

}  // namespace

size_t GzipHead::take(Span in) {
  size_t used = 0;
  while (used < in.bytes && !done() && error_ == DecodeError::kNone) {
    const uint8_t byte = in.data[used++];
    if (part_ != Part::kCrc) crc_ = libdeflate_crc32(crc_, &byte, 1);
    take_byte(byte);
  }
  return used;
}

void GzipHead::take_byte(uint8_t byte) {
  if (part_ == Part::kName || part_ == Part::kComment) {
    if (byte == 0) next_part();
    return;
  }
  if (part_ == Part::kFixed && left_ == kLeftAtFlags) flags_ = byte;
  if (part_ == Part::kExtraLength || part_ == Part::kCrc) {
    number_ |= static_cast<uint32_t>(byte) << (left_ == 2 ? 0 : 8);
  }
  if (--left_ == 0) next_part();
}

bool GzipHead::has(Part part) const {
  switch (part) {
    case Part::kExtraLength:
      return (flags_ & kFlagExtra) != 0;
    case Part::kExtra:
      return (flags_ & kFlagExtra) != 0 && number_ > 0;
    case Part::kName:
      return (flags_ & kFlagName) != 0;
    case Part::kComment:
      return (flags_ & kFlagComment) != 0;
    case Part::kCrc:
      return (flags_ & kGzipFlagHeadCrc) != 0;
    default:
      return true;
  }
}

void GzipHead::next_part() {
  if (part_ == Part::kCrc && number_ != (crc_ & 0xFFFF)) error_ = DecodeError::kChecksum;
  do {
    part_ = static_cast<Part>(static_cast<int>(part_) + 1);
  } while (!has(part_));
  left_ = part_ == Part::kExtra ? number_ : 2;
  if (part_ != Part::kExtra) number_ = 0;
}

}  // namespace axle::cpu
