// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CPU_FUZZ_GUARDED_MEMORY_H
#define AXLE_CPU_FUZZ_GUARDED_MEMORY_H

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace axle::cpu::fuzz {

// Memory whose last byte is followed by a page that must not be touched: the assembler parts of ISA-L
// are not seen by sanitizers.
class GuardedMemory {
 public:
  explicit GuardedMemory(size_t bytes) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t body = (bytes + page - 1) / page * page;
    mapped_ = body + page;
    void *base = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) std::abort();
    base_ = static_cast<uint8_t *>(base);
    if (mprotect(base_ + body, page, PROT_NONE) != 0) std::abort();
    data_ = base_ + body - bytes;
  }
  ~GuardedMemory() { munmap(base_, mapped_); }
  GuardedMemory(const GuardedMemory &) = delete;
  GuardedMemory &operator=(const GuardedMemory &) = delete;
  uint8_t *data() const { return data_; }

 private:
  uint8_t *base_;
  uint8_t *data_;
  size_t mapped_;
};

}  // namespace axle::cpu::fuzz

#endif
