// SPDX-License-Identifier: Apache-2.0
#include "memory_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "fence.h"
#include "guard_pages.h"
#include "limits.h"

namespace axle::host {
namespace {

constexpr uint64_t kClassBytesMin = 256;
constexpr uint64_t kMappedBytesMin = 1 << 20;  // from here on, pages of our own, which can be moved
constexpr uint64_t kPageBytes = 4096;

// Under AddressSanitizer every block is an allocation of its own, so that a plugin that writes past
// its end, or after emit, is seen.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kPooled = false;
#else
constexpr bool kPooled = true;
#endif

// Class 0 is 256 bytes; then four classes to each power of two.
uint32_t class_index(uint64_t bytes) {
  if (bytes <= kClassBytesMin) return 0;
  const uint32_t log2 = 63u - static_cast<uint32_t>(__builtin_clzll(bytes - 1));
  const auto quarter = static_cast<uint32_t>((bytes - 1) >> (log2 - 2)) & 3u;
  return (log2 - 8) * 4 + quarter + 1;
}

uint64_t class_bytes(uint32_t index) {
  if (index == 0) return kClassBytesMin;
  const uint32_t log2 = (index - 1) / 4 + 8;
  const uint64_t quarter = (index - 1) % 4;
  return (uint64_t{1} << log2) + (quarter + 1) * (uint64_t{1} << (log2 - 2));
}

bool is_guarded() { return kPooled && fences_are_wide(); }

bool is_mapped(uint64_t capacity) {
  return kPooled && !is_guarded() && capacity >= kMappedBytesMin;
}

// What the system is asked for: a class, or whole pages past the largest class.
uint64_t rounded(uint64_t bytes) {
  if (!kPooled) return (bytes + 63) & ~uint64_t{63};
  if (bytes <= kPoolBlockBytesMax) return class_bytes(class_index(bytes));
  return (bytes + kPageBytes - 1) & ~(kPageBytes - 1);
}

uint8_t *system_alloc(uint64_t capacity) {
  if (is_guarded()) return guarded_alloc(capacity);
  if (!is_mapped(capacity)) {
    return static_cast<uint8_t *>(std::aligned_alloc(64, std::max<uint64_t>(capacity, 64)));
  }
  void *pages = mmap(nullptr, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return pages == MAP_FAILED ? nullptr : static_cast<uint8_t *>(pages);
}

void system_free(Block block) {
  if (is_guarded()) {
    guarded_free(block);
  } else if (is_mapped(block.capacity)) {
    munmap(block.data, block.capacity);
  } else {
    std::free(block.data);
  }
}

constexpr uint64_t kBytesMax = uint64_t{1} << 47;  // more than an address space holds

}  // namespace

MemoryPool &MemoryPool::get() {
  static auto *pool = new MemoryPool;
  return *pool;
}

bool MemoryPool::acquire(uint64_t bytes, Block *block) noexcept {
  if (bytes > kBytesMax) return false;
  const uint64_t capacity = rounded(bytes);
  uint8_t *data = nullptr;
  if (kPooled && capacity <= kPoolBlockBytesMax) data = pop(class_index(capacity));
  if (data == nullptr) data = system_alloc(capacity);
  if (data == nullptr) return false;
  *block = {data, capacity};
  return true;
}

void MemoryPool::release(Block block) noexcept {
  if (block.data != nullptr && !retain(block)) system_free(block);
}

bool MemoryPool::resize(Block *block, uint64_t kept_bytes, uint64_t bytes) noexcept {
  if (bytes > kBytesMax) return false;
  const uint64_t capacity = rounded(bytes);
  if (capacity == block->capacity) return true;
  if (is_mapped(block->capacity) && is_mapped(capacity)) {
    void *moved = mremap(block->data, block->capacity, capacity, MREMAP_MAYMOVE);
    if (moved == MAP_FAILED) return false;
    *block = {static_cast<uint8_t *>(moved), capacity};
    return true;
  }
  Block larger;
  if (!acquire(bytes, &larger)) return false;
  std::memcpy(larger.data, block->data, std::min(kept_bytes, bytes));
  release(*block);
  *block = larger;
  return true;
}

void MemoryPool::trim(Block *block, uint64_t bytes) noexcept {
  // A failure to get less memory leaves more, which is no harm.
  if (rounded(bytes) <= block->capacity / 2) (void)resize(block, bytes, bytes);
}

bool MemoryPool::retain(Block block) noexcept {
  if (!kPooled || block.capacity > kPoolBlockBytesMax) return false;
  const uint32_t index = class_index(block.capacity);
  if (class_bytes(index) != block.capacity || !make_room(block.capacity)) return false;
  SizeClass &size_class = classes_[index];
  auto *free_block = reinterpret_cast<FreeBlock *>(block.data);
  std::lock_guard<std::mutex> lock(size_class.mutex);
  free_block->next = size_class.first;
  size_class.first = free_block;
  return true;
}

// Counts `bytes` as retained. Where they do not fit, blocks of the classes in turn go back to the
// system, so that sizes no longer in use do not fill the pool for ever.
bool MemoryPool::make_room(uint64_t bytes) noexcept {
  if (retained_bytes_.fetch_add(bytes) + bytes <= kPoolRetainedBytesMax) return true;
  for (uint32_t tries = 0; tries < 2 * kClasses; ++tries) {
    const uint32_t index = evict_next_.fetch_add(1) % kClasses;
    if (uint8_t *data = pop(index)) system_free({data, class_bytes(index)});
    if (retained_bytes_.load() <= kPoolRetainedBytesMax) return true;
  }
  retained_bytes_.fetch_sub(bytes);
  return false;
}

uint8_t *MemoryPool::pop(uint32_t index) noexcept {
  SizeClass &size_class = classes_[index];
  std::lock_guard<std::mutex> lock(size_class.mutex);
  FreeBlock *block = size_class.first;
  if (block == nullptr) return nullptr;
  size_class.first = block->next;
  retained_bytes_.fetch_sub(class_bytes(index));
  return reinterpret_cast<uint8_t *>(block);
}

}  // namespace axle::host
