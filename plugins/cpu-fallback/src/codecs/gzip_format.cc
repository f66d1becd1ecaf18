// SPDX-License-Identifier: Apache-2.0
//
// gzip, one member for each chunk. Level 1 is ISA-L's igzip, the others are libdeflate.
#include <isa-l/igzip_lib.h>
#include <libdeflate.h>

#include <algorithm>
#include <new>
#include <vector>

#include "chunk_format.h"
#include "object_pool.h"

namespace axle::cpu {
namespace {

// A member cannot look back into the one before. With 2 MiB that costs 0.2 to 0.4 % of the ratio
// against one member, with 1 MiB twice that.
constexpr size_t kChunkBytes = 2 << 20;
// Members are compressed without interruption, so the slower levels, which have ratio to spare, get
// smaller ones.
constexpr size_t kSlowChunkBytes = 1 << 20;
constexpr int kLevelSlowMin = 8;
constexpr size_t kSlowestChunkBytes = 512 << 10;
constexpr int kLevelSlowestMin = 10;
constexpr int kLevelIgzip = 1;
constexpr int kLevelMax = 12;
constexpr size_t kIdleCompressorsMax = 32;

// libdeflate's level for each of ours: the fastest that shrinks at least as well as the same level of
// pigz does, within 1 %. test/codecs_bench.cc measures it.
int libdeflate_level(int level) { return level == 2 ? 1 : level; }

// The level of ISA-L (0 to 3) that stays within 1 % of pigz -1; its level 1 does not on binaries.
constexpr uint32_t kIgzipLevel = 2;

struct FreeCompressor {
  void operator()(libdeflate_compressor *compressor) const {
    libdeflate_free_compressor(compressor);
  }
};

struct Compressor {
  explicit Compressor(int level) : libdeflate(libdeflate_alloc_compressor(level)) {
    if (!libdeflate) throw std::bad_alloc();
  }
  std::unique_ptr<libdeflate_compressor, FreeCompressor> libdeflate;
};

struct Igzip {
  isal_zstream stream;
  uint8_t level_buffer[ISAL_DEF_LVL2_EXTRA_LARGE];
};

// Both are never destroyed: threads may still use them while the process ends.
ObjectPool<Compressor> &compressors(int level) {
  static auto &pools = *new std::vector<std::unique_ptr<ObjectPool<Compressor>>>([] {
    std::vector<std::unique_ptr<ObjectPool<Compressor>>> made;
    for (int i = 0; i <= kLevelMax; i++) {
      made.push_back(std::make_unique<ObjectPool<Compressor>>(kIdleCompressorsMax));
    }
    return made;
  }());
  return *pools[static_cast<size_t>(level)];
}

ObjectPool<Igzip> &igzips() {
  static auto &pool = *new ObjectPool<Igzip>(kIdleCompressorsMax);
  return pool;
}

size_t chunk_bytes_of(int level) {
  if (level >= kLevelSlowestMin) return kSlowestChunkBytes;
  return level >= kLevelSlowMin ? kSlowChunkBytes : kChunkBytes;
}

class GzipFormat : public ChunkFormat {
 public:
  explicit GzipFormat(int level) : ChunkFormat(chunk_bytes_of(level)), level_(level) {}

  bool needs_a_chunk() const override { return true; }

  size_t compressed_bytes_max(size_t bytes) const override {
    return libdeflate_gzip_compress_bound(nullptr, bytes);
  }

  size_t compress(const uint8_t *data, size_t bytes, uint8_t *out) const override {
    if (level_ == kLevelIgzip) {
      const size_t compressed = compress_igzip(data, bytes, out);
      if (compressed > 0) return compressed;
    }
    const int level = libdeflate_level(level_);
    Pooled<Compressor> compressor(compressors(level),
                                  [level] { return std::make_unique<Compressor>(level); });
    // Cannot fail: there is room for the worst case.
    return libdeflate_gzip_compress(compressor->libdeflate.get(), data, bytes, out,
                                    compressed_bytes_max(bytes));
  }

 private:
  // 0 when it does not fit, which takes data that does not shrink.
  size_t compress_igzip(const uint8_t *data, size_t bytes, uint8_t *out) const {
    // Plain new leaves the large context uninitialised; make_unique would clear it.
    Pooled<Igzip> igzip(igzips(), [] { return std::unique_ptr<Igzip>(new Igzip); });
    isal_zstream &stream = igzip->stream;
    isal_deflate_init(&stream);
    stream.level = kIgzipLevel;
    stream.level_buf = igzip->level_buffer;
    stream.level_buf_size = sizeof igzip->level_buffer;
    stream.gzip_flag = IGZIP_GZIP;
    stream.end_of_stream = 1;
    stream.flush = NO_FLUSH;
    stream.next_in = const_cast<uint8_t *>(data);
    stream.avail_in = static_cast<uint32_t>(bytes);
    stream.next_out = out;
    stream.avail_out = static_cast<uint32_t>(compressed_bytes_max(bytes));
    const int code = isal_deflate(&stream);
    const bool ended = code == COMP_OK && stream.internal_state.state == ZSTATE_END;
    return ended ? stream.total_out : 0;
  }

  const int level_;
};

}  // namespace

std::unique_ptr<ChunkFormat> make_gzip_format(int level) {
  return std::make_unique<GzipFormat>(level);
}

void release_gzip_compressors() {
  for (int level = 1; level <= kLevelMax; level++) compressors(level).clear();
  igzips().clear();
}

}  // namespace axle::cpu
