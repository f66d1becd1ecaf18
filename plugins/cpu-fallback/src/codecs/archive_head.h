// SPDX-License-Identifier: Apache-2.0
//
// What the first bytes of a member or frame say about it. Nothing is trusted, nothing is decoded.
#ifndef AXLE_CPU_CODECS_ARCHIVE_HEAD_H
#define AXLE_CPU_CODECS_ARCHIVE_HEAD_H

#include <cstddef>
#include <cstdint>
#include <string>

#include "codec.h"

namespace axle::cpu {

// A window of more than this is refused: a decoder must hold it in memory.
constexpr unsigned kZstdWindowLogMax = 27;
// No more bytes than this are needed to judge any head.
constexpr size_t kHeadBytesMax = 18;
// "Not declared" of ArchiveHead::declared_bytes.
constexpr uint64_t kUndeclared = UINT64_MAX;

struct ArchiveHead {
  enum class Kind {
    kNeedMore,   // as far as they go the bytes are the beginning of a known head
    kMember,     // of `codec`
    kSkippable,  // a frame of `skip_bytes` bytes, head included, to pass over
    kUnknown,    // no head of the wanted codec
    kRefused,    // a head of it, that cannot be decoded: `message`
  };
  Kind kind = Kind::kUnknown;
  Codec codec = Codec::kAuto;
  uint64_t declared_bytes = kUndeclared;
  uint64_t skip_bytes = 0;
  std::string message;
};

// `wanted` kAuto looks for all codecs. Needs at most kHeadBytesMax bytes.
ArchiveHead inspect_head(Codec wanted, const uint8_t *data, size_t bytes);

// "1f 8b 08": at most 4 bytes, for messages.
std::string hex_of(const uint8_t *data, size_t bytes);

// "zstd begins with 28 b5 2f fd", or all three for kAuto.
std::string expected_magic(Codec wanted);

}  // namespace axle::cpu

#endif
