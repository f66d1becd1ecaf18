// SPDX-License-Identifier: Apache-2.0
// Output memory, kept for reuse: touching fresh pages costs more than the copy that a pool saves.
#ifndef AXLE_HOST_MEMORY_POOL_H
#define AXLE_HOST_MEMORY_POOL_H

#include <atomic>
#include <cstdint>
#include <mutex>

namespace axle::host {

// 64-byte aligned memory. `capacity` is what the pool gave, at least what was asked for.
struct Block {
  uint8_t *data = nullptr;
  uint64_t capacity = 0;
};

// One per process, never destroyed: finalisers may come late. Any thread.
class MemoryPool {
 public:
  static MemoryPool &get();

  // False when the memory is not to be had.
  bool acquire(uint64_t bytes, Block *block) noexcept;
  // Takes it back, or back to the system past kPoolRetainedBytesMax.
  void release(Block block) noexcept;
  // Changes the size and keeps the first `kept_bytes`. False, and `block` as it was, when the memory
  // is not to be had.
  bool resize(Block *block, uint64_t kept_bytes, uint64_t bytes) noexcept;
  // Lowers the capacity towards `bytes` where that frees much; the content may move.
  void trim(Block *block, uint64_t bytes) noexcept;

  uint64_t retained_bytes() const { return retained_bytes_.load(std::memory_order_relaxed); }

 private:
  struct FreeBlock {
    FreeBlock *next;
  };
  struct alignas(64) SizeClass {
    std::mutex mutex;
    FreeBlock *first = nullptr;
  };
  static constexpr uint32_t kClasses = 69;  // 256 B to 32 MiB, four to each power of two

  MemoryPool() = default;
  bool retain(Block block) noexcept;
  bool make_room(uint64_t bytes) noexcept;
  uint8_t *pop(uint32_t index) noexcept;

  SizeClass classes_[kClasses];
  std::atomic<uint64_t> retained_bytes_{0};
  std::atomic<uint32_t> evict_next_{0};
};

}  // namespace axle::host

#endif  // AXLE_HOST_MEMORY_POOL_H
