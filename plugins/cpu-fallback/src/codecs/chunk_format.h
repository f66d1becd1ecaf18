// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CPU_CODECS_CHUNK_FORMAT_H
#define AXLE_CPU_CODECS_CHUNK_FORMAT_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "codec.h"

namespace axle::cpu {

// One archive that is made of chunks, each compressed without a look at the others. compress() is
// called from many threads at once, the rest from one at a time and in the order of the data.
class ChunkFormat {
 public:
  virtual ~ChunkFormat() = default;

  size_t chunk_bytes() const { return chunk_bytes_; }

  // What stands before the first chunk.
  virtual std::string head() { return {}; }
  // Whether an archive of no data still has one (empty) chunk.
  virtual bool needs_a_chunk() const = 0;
  // The most that compress() makes of `bytes`.
  virtual size_t compressed_bytes_max(size_t bytes) const = 0;
  // Returns how much was written to `out`, which has room for compressed_bytes_max(bytes).
  // Throws std::bad_alloc.
  virtual size_t compress(const uint8_t *data, size_t bytes, uint8_t *out) const = 0;
  // Takes note of the next chunk's data.
  virtual void account(const uint8_t *data, size_t bytes) {
    (void)data;
    (void)bytes;
  }
  // What stands after the last chunk.
  virtual std::string tail() { return {}; }

 protected:
  explicit ChunkFormat(size_t chunk_bytes) : chunk_bytes_(chunk_bytes) {}

 private:
  const size_t chunk_bytes_;
};

// `content_bytes` is UINT64_MAX when it is not known yet.
std::unique_ptr<ChunkFormat> make_lz4_format(int level, uint64_t content_bytes, unsigned threads);
std::unique_ptr<ChunkFormat> make_gzip_format(int level);

void release_lz4_compressors();
void release_gzip_compressors();

}  // namespace axle::cpu

#endif
