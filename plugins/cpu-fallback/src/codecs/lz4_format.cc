// SPDX-License-Identifier: Apache-2.0
//
// One lz4 frame of independent blocks, after the LZ4 Frame Format Description 1.6.x. liblz4's own
// frame writer knows one thread only, so the frame is put together here around its block compressors.
#include <lz4.h>
#include <lz4hc.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "chunk_format.h"
#include "object_pool.h"

namespace axle::cpu {
namespace {

constexpr int kLevelHcMin = 3;
// Blocks are compressed without interruption, so the slower levels get smaller ones.
constexpr int kLevelSlowMin = 6;
constexpr int kLevelSlowestMin = 10;
constexpr size_t kBlockHeadBytes = 4;
constexpr uint32_t kStoredFlag = 0x80000000;
constexpr size_t kIdleStatesMax = 32;

struct FreeState {
  void operator()(void *state) const { std::free(state); }
};

struct FastState {
  FastState() : memory(std::malloc(static_cast<size_t>(LZ4_sizeofState()))) {
    if (!memory) throw std::bad_alloc();
  }
  std::unique_ptr<void, FreeState> memory;
};

struct HcState {
  HcState() : memory(std::malloc(static_cast<size_t>(LZ4_sizeofStateHC()))) {
    if (!memory) throw std::bad_alloc();
  }
  std::unique_ptr<void, FreeState> memory;
};

// Both are never destroyed: threads may still use them while the process ends.
ObjectPool<FastState> &fast_states() {
  static auto &pool = *new ObjectPool<FastState>(kIdleStatesMax);
  return pool;
}

ObjectPool<HcState> &hc_states() {
  static auto &pool = *new ObjectPool<HcState>(kIdleStatesMax);
  return pool;
}

void put_little_endian(uint8_t *to, uint64_t value, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) to[i] = static_cast<uint8_t>(value >> (8 * i));
}

void append_little_endian(std::string &to, uint64_t value, size_t bytes) {
  uint8_t encoded[8];
  put_little_endian(encoded, value, bytes);
  to.append(reinterpret_cast<const char *>(encoded), bytes);
}

// The format has four sizes of block, 64 KiB << 2 (code - 4).
size_t block_bytes(unsigned code) { return size_t{64 << 10} << (2 * (code - 4)); }

// The largest block that gives every thread several, and that is not larger than it need be. Blocks
// of a quarter of a MiB already cost next to nothing: matches reach back 64 KiB only.
unsigned block_code(int level, uint64_t content_bytes, unsigned threads) {
  constexpr unsigned kBlocksPerThread = 4;
  const bool medium = level >= kLevelSlowMin || content_bytes == UINT64_MAX;
  const unsigned largest = level >= kLevelSlowestMin ? 5 : medium ? 6 : 7;
  if (content_bytes <= block_bytes(4)) return 4;
  if (threads == 1) return content_bytes <= block_bytes(5) ? 5 : largest;
  for (unsigned code = largest; code > 5; code--) {
    if (content_bytes / block_bytes(code) >= uint64_t{threads} * kBlocksPerThread) return code;
  }
  return 5;
}

class Lz4Format : public ChunkFormat {
 public:
  Lz4Format(int level, unsigned code, uint64_t content_bytes)
      : ChunkFormat(block_bytes(code)), level_(level), code_(code), content_bytes_(content_bytes) {
    XXH32_reset(&checksum_, 0);
  }

  std::string head() override {
    constexpr uint32_t kMagic = 0x184D2204;
    constexpr uint8_t kVersion1 = 1 << 6, kIndependent = 1 << 5, kContentSize = 1 << 3,
                      kContentChecksum = 1 << 2;
    const bool sized = content_bytes_ != UINT64_MAX;
    std::string head;
    append_little_endian(head, kMagic, 4);
    head +=
        static_cast<char>(kVersion1 | kIndependent | kContentChecksum | (sized ? kContentSize : 0));
    head += static_cast<char>(code_ << 4);
    if (sized) append_little_endian(head, content_bytes_, 8);
    head += static_cast<char>(XXH32(head.data() + 4, head.size() - 4, 0) >> 8);
    return head;
  }

  bool needs_a_chunk() const override { return false; }

  size_t compressed_bytes_max(size_t bytes) const override { return kBlockHeadBytes + bytes; }

  size_t compress(const uint8_t *data, size_t bytes, uint8_t *out) const override {
    const auto *source = reinterpret_cast<const char *>(data);
    auto *target = reinterpret_cast<char *>(out + kBlockHeadBytes);
    const int size = static_cast<int>(bytes);
    int compressed;
    // With room for less than the data, what does not shrink gives 0 and is stored.
    if (level_ < kLevelHcMin) {
      Pooled<FastState> state(fast_states(), [] { return std::make_unique<FastState>(); });
      compressed =
          LZ4_compress_fast_extState(state->memory.get(), source, target, size, size - 1, 1);
    } else {
      Pooled<HcState> state(hc_states(), [] { return std::make_unique<HcState>(); });
      compressed =
          LZ4_compress_HC_extStateHC(state->memory.get(), source, target, size, size - 1, level_);
    }
    if (compressed > 0) {
      put_little_endian(out, static_cast<uint32_t>(compressed), kBlockHeadBytes);
      return kBlockHeadBytes + static_cast<size_t>(compressed);
    }
    put_little_endian(out, static_cast<uint32_t>(size) | kStoredFlag, kBlockHeadBytes);
    std::memcpy(target, data, bytes);
    return kBlockHeadBytes + bytes;
  }

  void account(const uint8_t *data, size_t bytes) override {
    XXH32_update(&checksum_, data, bytes);
  }

  std::string tail() override {
    constexpr uint32_t kEndMark = 0;
    std::string tail;
    append_little_endian(tail, kEndMark, 4);
    append_little_endian(tail, XXH32_digest(&checksum_), 4);
    return tail;
  }

 private:
  const int level_;
  const unsigned code_;
  const uint64_t content_bytes_;
  XXH32_state_t checksum_;
};

}  // namespace

std::unique_ptr<ChunkFormat> make_lz4_format(int level, uint64_t content_bytes, unsigned threads) {
  return std::make_unique<Lz4Format>(level, block_code(level, content_bytes, threads),
                                     content_bytes);
}

void release_lz4_compressors() {
  fast_states().clear();
  hc_states().clear();
}

}  // namespace axle::cpu
