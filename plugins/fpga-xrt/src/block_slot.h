// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_FPGA_BLOCK_SLOT_H
#define AXLE_FPGA_BLOCK_SLOT_H

#include <cstdint>

#include "card_handles.h"

namespace axle::fpga {

constexpr uint32_t kBlockBytesMax = 64u << 10;

// A run of the kernel with its buffers, made once and used again and again.
class BlockSlot {
 public:
  // Throws Failure (RESOURCE_EXHAUSTED) where the card has no room.
  explicit BlockSlot(const CardHandles &card);
  ~BlockSlot();
  BlockSlot(const BlockSlot &) = delete;
  BlockSlot &operator=(const BlockSlot &) = delete;

  uint8_t *input() { return input_; }
  const uint8_t *output() const { return output_; }

  // Begins to compress the first bytes of input(), to fewer bytes. Throws Failure (UNAVAILABLE).
  void start(uint32_t bytes);

  enum class State { kRunning, kEnded, kFailed };
  State wait(unsigned timeout_ms);
  // Of a run that has ended: how many bytes of output() count; 0 where they would not be fewer. Throws Failure (INTERNAL)
  // when the record is not what the kernel writes.
  uint32_t result();

  // Of a run that hangs: the card may still write to the buffers, so they are never given back.
  void abandon() { abandoned_ = true; }

 private:
  struct Mapped {
    xrt::Buffer buffer = nullptr;
    uint8_t *data = nullptr;
  };

  Mapped allocate(int argument, uint32_t bytes);
  void check(int result, const char *what);
  void close() noexcept;

  const CardHandles &card_;
  xrt::Run run_ = nullptr;
  xrt::Buffer buffers_[3] = {};
  uint8_t *input_ = nullptr;
  uint8_t *output_ = nullptr;
  uint8_t *record_ = nullptr;
  uint32_t bytes_ = 0;
  bool abandoned_ = false;
};

}  // namespace axle::fpga

#endif
