// SPDX-License-Identifier: Apache-2.0
#include "archive_head.h"

#define ZSTD_STATIC_LINKING_ONLY  // ZSTD_getFrameHeader
#include <zstd.h>

#include <algorithm>

namespace axle::cpu {
namespace {

constexpr uint32_t kZstdMagic = 0xFD2FB528;
constexpr uint32_t kLz4Magic = 0x184D2204;
constexpr uint32_t kLz4LegacyMagic = 0x184C2102;
// zstd and lz4 share 16 magic numbers for frames that decoders pass over.
constexpr uint32_t kSkippableMagic = 0x184D2A50;
constexpr size_t kSkippableHeadBytes = 8;

uint64_t little_endian(const uint8_t *data, size_t bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes; i++) value |= static_cast<uint64_t>(data[i]) << (8 * i);
  return value;
}

// Whether the first bytes (up to 4 of them) are those of `magic`, in all bits of `mask`.
bool begins_with(uint32_t magic, uint32_t mask, const uint8_t *data, size_t bytes) {
  const size_t n = std::min<size_t>(bytes, 4);
  const uint64_t counted = n == 4 ? 0xFFFFFFFFu : (uint64_t{1} << (8 * n)) - 1;
  return ((little_endian(data, n) ^ magic) & mask & counted) == 0;
}

ArchiveHead head_of(ArchiveHead::Kind kind, Codec codec = Codec::kAuto) {
  ArchiveHead head;
  head.kind = kind;
  head.codec = codec;
  return head;
}

ArchiveHead refused(Codec codec, std::string message) {
  ArchiveHead head = head_of(ArchiveHead::Kind::kRefused, codec);
  head.message = std::move(message);
  return head;
}

std::string mebibytes(uint64_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

ArchiveHead inspect_zstd(const uint8_t *data, size_t bytes) {
  if (bytes < 4) return head_of(ArchiveHead::Kind::kNeedMore);
  ZSTD_frameHeader frame;
  const size_t rest = ZSTD_getFrameHeader(&frame, data, bytes);
  if (ZSTD_isError(rest)) {
    return refused(Codec::kZstd, std::string("the head of a zstd frame is damaged (") +
                                     ZSTD_getErrorName(rest) + "): compress the data again");
  }
  if (rest > 0) return head_of(ArchiveHead::Kind::kNeedMore);
  if (frame.dictID != 0) {
    return refused(Codec::kZstd, "a zstd frame needs dictionary " + std::to_string(frame.dictID) +
                                     ", and dictionaries are not taken: compress without one");
  }
  if (frame.windowSize > uint64_t{1} << kZstdWindowLogMax) {
    return refused(Codec::kZstd, "a zstd frame needs a window of " + mebibytes(frame.windowSize) +
                                     ", and at most " + mebibytes(1 << kZstdWindowLogMax) +
                                     " are allowed: compress with --long=27 or less");
  }
  ArchiveHead head = head_of(ArchiveHead::Kind::kMember, Codec::kZstd);
  if (frame.frameContentSize != ZSTD_CONTENTSIZE_UNKNOWN) {
    head.declared_bytes = frame.frameContentSize;
  }
  return head;
}

ArchiveHead inspect_lz4(const uint8_t *data, size_t bytes) {
  constexpr uint8_t kHasDictionary = 0x01, kHasContentSize = 0x08;
  constexpr size_t kFlagsAt = 4, kContentSizeAt = 6, kContentSizeBytes = 8;
  if (bytes <= kFlagsAt) return head_of(ArchiveHead::Kind::kNeedMore);
  const uint8_t flags = data[kFlagsAt];
  if (flags >> 6 != 1) {
    return refused(Codec::kLz4, "an lz4 frame is of version " + std::to_string(flags >> 6) +
                                    ", and only version 1 is known: compress the data again");
  }
  if (flags & kHasDictionary) {
    return refused(Codec::kLz4,
                   "an lz4 frame needs a dictionary, and none are taken: compress without one");
  }
  ArchiveHead head = head_of(ArchiveHead::Kind::kMember, Codec::kLz4);
  if (flags & kHasContentSize) {
    if (bytes < kContentSizeAt + kContentSizeBytes) return head_of(ArchiveHead::Kind::kNeedMore);
    head.declared_bytes = little_endian(data + kContentSizeAt, kContentSizeBytes);
  }
  return head;
}

ArchiveHead inspect_gzip(const uint8_t *data, size_t bytes) {
  constexpr size_t kMethodAt = 2, kFlagsAt = 3;
  constexpr uint8_t kDeflate = 8, kReservedFlags = 0xE0;
  if (bytes <= kFlagsAt) return head_of(ArchiveHead::Kind::kNeedMore);
  if (data[kMethodAt] != kDeflate || (data[kFlagsAt] & kReservedFlags) != 0) {
    return refused(Codec::kGzip, "the head of a gzip member is damaged or of a later version (" +
                                     hex_of(data, bytes) + "): compress the data again");
  }
  return head_of(ArchiveHead::Kind::kMember, Codec::kGzip);
}

ArchiveHead inspect_skippable(const uint8_t *data, size_t bytes) {
  if (bytes < kSkippableHeadBytes) return head_of(ArchiveHead::Kind::kNeedMore);
  ArchiveHead head = head_of(ArchiveHead::Kind::kSkippable);
  head.skip_bytes = kSkippableHeadBytes + little_endian(data + 4, 4);
  return head;
}

}  // namespace

ArchiveHead inspect_head(Codec wanted, const uint8_t *data, size_t bytes) {
  const auto wants = [wanted](Codec codec) { return wanted == Codec::kAuto || wanted == codec; };
  if (bytes == 0) return head_of(ArchiveHead::Kind::kNeedMore);
  if (wants(Codec::kZstd) && begins_with(kZstdMagic, 0xFFFFFFFF, data, bytes)) {
    return inspect_zstd(data, bytes);
  }
  if (wants(Codec::kGzip) && begins_with(0x8B1F, 0xFFFF, data, bytes)) {
    return inspect_gzip(data, bytes);
  }
  if (wants(Codec::kLz4) && begins_with(kLz4Magic, 0xFFFFFFFF, data, bytes)) {
    return inspect_lz4(data, bytes);
  }
  if (wanted != Codec::kGzip && begins_with(kSkippableMagic, 0xFFFFFFF0, data, bytes)) {
    return inspect_skippable(data, bytes);
  }
  if (wants(Codec::kLz4) && begins_with(kLz4LegacyMagic, 0xFFFFFFFF, data, bytes)) {
    if (bytes < 4) return head_of(ArchiveHead::Kind::kNeedMore);
    return refused(Codec::kLz4,
                   "this is the legacy lz4 format, which is not taken: compress it without lz4 -l");
  }
  return head_of(ArchiveHead::Kind::kUnknown);
}

std::string hex_of(const uint8_t *data, size_t bytes) {
  static const char kDigits[] = "0123456789abcdef";
  std::string text;
  for (size_t i = 0; i < std::min<size_t>(bytes, 4); i++) {
    if (i > 0) text += ' ';
    text += kDigits[data[i] >> 4];
    text += kDigits[data[i] & 15];
  }
  return text;
}

std::string expected_magic(Codec wanted) {
  switch (wanted) {
    case Codec::kZstd:
      return "zstd begins with 28 b5 2f fd";
    case Codec::kLz4:
      return "lz4 begins with 04 22 4d 18";
    case Codec::kGzip:
      return "gzip begins with 1f 8b 08";
    case Codec::kAuto:
      break;
  }
  return "zstd begins with 28 b5 2f fd, lz4 with 04 22 4d 18, gzip with 1f 8b 08";
}

}  // namespace axle::cpu
