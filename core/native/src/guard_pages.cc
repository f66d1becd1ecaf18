// SPDX-License-Identifier: Apache-2.0
#include "guard_pages.h"

#include <sys/mman.h>

#include "limits.h"

namespace axle::host {
namespace {

constexpr uint64_t kPageBytes = 4096;

uint64_t whole_pages(uint64_t bytes) { return (bytes + kPageBytes - 1) & ~(kPageBytes - 1); }

uint64_t mapped_bytes(uint64_t pages) { return pages + 2 * kGuardBytes; }

}  // namespace

uint8_t *guarded_alloc(uint64_t capacity) noexcept {
  const uint64_t pages = whole_pages(capacity);
  void *mapped = mmap(nullptr, mapped_bytes(pages), PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  uint8_t *first = static_cast<uint8_t *>(mapped) + kGuardBytes;
  if (mprotect(first, pages, PROT_READ | PROT_WRITE) != 0) {
    munmap(mapped, mapped_bytes(pages));
    return nullptr;
  }
  return first + pages - capacity;
}

void guarded_free(Block block) noexcept {
  const uint64_t pages = whole_pages(block.capacity);
  munmap(block.data + block.capacity - pages - kGuardBytes, mapped_bytes(pages));
}

}  // namespace axle::host
