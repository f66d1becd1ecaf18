// SPDX-License-Identifier: Apache-2.0
#include "guard_pages.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>

#include "limits.h"

namespace axle::host {
namespace {

constexpr uint64_t kPageBytes = 4096;

uint64_t whole_pages(uint64_t bytes) { return (bytes + kPageBytes - 1) & ~(kPageBytes - 1); }

uint64_t mapped_bytes(uint64_t pages) { return pages + 2 * kGuardBytes; }

// Where a block's pages are; 0 = the place is free. Read by a signal handler, so there are no locks. A block too many
// is guarded all the same, but nothing is said of it.
struct Guarded {
  std::atomic<uintptr_t> first{0};
  std::atomic<uint64_t> pages{0};
};
std::array<Guarded, kGuardedBlocksMax> guarded_blocks;

struct sigaction before_us;

void say(const char *text) {
  // There is nobody to tell if it cannot be said.
  if (write(STDERR_FILENO, text, std::strlen(text)) < 0) return;
}

void on_fault(int, siginfo_t *info, void *) {
  const uintptr_t at = reinterpret_cast<uintptr_t>(info->si_addr);
  for (const Guarded &block : guarded_blocks) {
    const uintptr_t first = block.first.load();
    if (first == 0) continue;
    const uintptr_t end = first + block.pages.load();
    if (at >= end && at < end + kGuardBytes) {
      say("\nit touched memory far past the end of memory from alloc\n");
    } else if (at < first && at >= first - kGuardBytes) {
      say("\nit touched memory far before the start of memory from alloc\n");
    }
  }
  // What faulted runs again, and now the fault has its usual end.
  sigaction(SIGSEGV, &before_us, nullptr);
}

void watch_faults() {
  static const bool watching = [] {
    struct sigaction action = {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    return sigaction(SIGSEGV, &action, &before_us) == 0;
  }();
  (void)watching;
}

void remember(uint8_t *first, uint64_t pages) {
  for (Guarded &block : guarded_blocks) {
    uintptr_t free = 0;
    if (!block.first.compare_exchange_strong(free, reinterpret_cast<uintptr_t>(first))) continue;
    block.pages.store(pages);
    return;
  }
}

void forget(const uint8_t *first) {
  const uintptr_t at = reinterpret_cast<uintptr_t>(first);
  for (Guarded &block : guarded_blocks) {
    if (block.first.load() != at) continue;
    block.pages.store(0);
    block.first.store(0);
    return;
  }
}

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
  watch_faults();
  remember(first, pages);
  return first + pages - capacity;
}

void guarded_free(Block block) noexcept {
  const uint64_t pages = whole_pages(block.capacity);
  uint8_t *first = block.data + block.capacity - pages;
  forget(first);
  munmap(first - kGuardBytes, mapped_bytes(pages));
}

}  // namespace axle::host
