// SPDX-License-Identifier: Apache-2.0
#define LZ4F_STATIC_LINKING_ONLY  // error numbers
#include <lz4frame.h>

#include <memory>
#include <new>

#include "member_decoder.h"

namespace axle::cpu {
namespace {

class Lz4Decoder : public MemberDecoder {
 public:
  Lz4Decoder() {
    if (LZ4F_isError(LZ4F_createDecompressionContext(&context_, LZ4F_VERSION))) {
      throw std::bad_alloc();
    }
  }
  ~Lz4Decoder() override { LZ4F_freeDecompressionContext(context_); }

  void begin() override { LZ4F_resetDecompressionContext(context_); }

  DecodeStep step(Span in, uint8_t *out, size_t out_bytes) override {
    DecodeStep step;
    for (;;) {
      size_t produced = out_bytes - step.produced;
      size_t consumed = in.bytes - step.consumed;
      const size_t rest = LZ4F_decompress(context_, out + step.produced, &produced,
                                          in.data + step.consumed, &consumed, nullptr);
      if (LZ4F_isError(rest)) {
        step.error = error_of(rest);
        step.detail = LZ4F_getErrorName(rest);
        return step;
      }
      step.produced += produced;
      step.consumed += consumed;
      step.done = rest == 0;
      const bool stuck = produced == 0 && consumed == 0;
      if (step.done || stuck || step.produced == out_bytes || step.consumed == in.bytes) {
        return step;
      }
    }
  }

 private:
  static DecodeError error_of(size_t code) {
    switch (LZ4F_getErrorCode(code)) {
      case LZ4F_ERROR_headerChecksum_invalid:
      case LZ4F_ERROR_blockChecksum_invalid:
      case LZ4F_ERROR_contentChecksum_invalid:
        return DecodeError::kChecksum;
      case LZ4F_ERROR_allocation_failed:
        return DecodeError::kNoMemory;
      default:
        return DecodeError::kDamaged;
    }
  }

  LZ4F_dctx *context_ = nullptr;
};

}  // namespace

std::unique_ptr<MemberDecoder> make_lz4_decoder() { return std::make_unique<Lz4Decoder>(); }

}  // namespace axle::cpu
