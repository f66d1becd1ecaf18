// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CPU_CODECS_MEMBER_DECODER_H
#define AXLE_CPU_CODECS_MEMBER_DECODER_H

#include <cstddef>
#include <cstdint>
#include <memory>

#include "codec.h"
#include "scatter_input.h"

namespace axle::cpu {

enum class DecodeError { kNone, kDamaged, kChecksum, kNoMemory };

struct DecodeStep {
  DecodeError error = DecodeError::kNone;
  const char *detail = "";  // static text of the library
  size_t consumed = 0;
  size_t produced = 0;
  bool done = false;  // the member has ended; what was not consumed is not of it
};

// Decodes one member or frame after another, each from its first byte. Not for several threads.
class MemberDecoder {
 public:
  virtual ~MemberDecoder() = default;
  virtual void begin() = 0;
  // Goes on until `in` is used up, `out` (at least 1 byte) is full or the member ends. Full `out` means
  // that more output may wait; only then may `in` be empty.
  virtual DecodeStep step(Span in, uint8_t *out, size_t out_bytes) = 0;
};

std::unique_ptr<MemberDecoder> make_zstd_decoder();
std::unique_ptr<MemberDecoder> make_lz4_decoder();
std::unique_ptr<MemberDecoder> make_gzip_decoder();

void release_zstd_decoders();
void release_gzip_decoders();

}  // namespace axle::cpu

#endif
