// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CPU_CODECS_STREAM_H
#define AXLE_CPU_CODECS_STREAM_H

#include <memory>

#include "chunk_format.h"
#include "codec.h"

namespace axle::cpu {

// All throw std::bad_alloc.
std::unique_ptr<CodecStream> make_zstd_compress_stream(int level, unsigned threads);
std::unique_ptr<CodecStream> make_chunk_compress_stream(std::unique_ptr<ChunkFormat> format,
                                                        Executor &executor);
std::unique_ptr<CodecStream> make_decompress_stream(Codec codec);

}  // namespace axle::cpu

#endif
