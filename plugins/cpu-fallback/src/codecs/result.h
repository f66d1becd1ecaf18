// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CPU_CODECS_RESULT_H
#define AXLE_CPU_CODECS_RESULT_H

#include <cstdint>
#include <string>
#include <utility>

#include "codec.h"

namespace axle::cpu {

inline CodecResult failure(CodecStatus status, std::string message) {
  return CodecResult{status, std::move(message)};
}

inline CodecResult invalid(std::string message) {
  return failure(CodecStatus::kInvalidArgument, std::move(message));
}

inline CodecResult cancelled_result() {
  return failure(CodecStatus::kCancelled, "the task was cancelled");
}

inline CodecResult out_of_memory() {
  return failure(CodecStatus::kResourceExhausted,
                 "out of memory: try again when less work is running, or use a stream");
}

inline const char *codec_name(Codec codec) {
  switch (codec) {
    case Codec::kZstd:
      return "zstd";
    case Codec::kLz4:
      return "lz4";
    case Codec::kGzip:
      return "gzip";
    case Codec::kAuto:
      break;
  }
  return "compressed";
}

}  // namespace axle::cpu

#endif
