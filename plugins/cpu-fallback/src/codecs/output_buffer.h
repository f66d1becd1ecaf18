// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CPU_CODECS_OUTPUT_BUFFER_H
#define AXLE_CPU_CODECS_OUTPUT_BUFFER_H

#include <cstddef>
#include <cstdint>

#include "codec.h"

namespace axle::cpu {

// One growing piece of a task's output, under a cap. Not emitted, it is released. Not for several
// threads.
class OutputBuffer {
 public:
  OutputBuffer(Task &task, uint64_t bytes_max) : task_(task), bytes_max_(bytes_max) {}
  ~OutputBuffer();
  OutputBuffer(const OutputBuffer &) = delete;
  OutputBuffer &operator=(const OutputBuffer &) = delete;

  uint64_t size() const { return size_; }
  uint64_t bytes_max() const { return bytes_max_; }
  uint64_t spare() const { return capacity_ - size_; }
  uint8_t *tail() const { return data_ + size_; }
  uint8_t *data() const { return data_; }
  void advance(uint64_t bytes) { size_ += bytes; }

  // Makes room for `bytes` more. False when that passes the cap or the memory; see why_not().
  [[nodiscard]] bool reserve(uint64_t bytes);
  // As reserve, but with as much of `bytes` as the cap and the memory allow; never fails.
  void reserve_up_to(uint64_t bytes);
  // Twice the room, at least 64 KiB, or what the cap allows. False when there is no more.
  [[nodiscard]] bool grow();
  [[nodiscard]] bool append(const uint8_t *data, uint64_t bytes);

  // Hands over what there is, perhaps 0 bytes. Nothing may follow.
  CodecResult emit();

  // Why reserve, grow or append failed.
  CodecResult why_not() const;
  CodecResult past_cap() const;

 private:
  bool set_capacity(uint64_t bytes);

  Task &task_;
  const uint64_t bytes_max_;
  uint8_t *data_ = nullptr;
  uint64_t size_ = 0;
  uint64_t capacity_ = 0;
  bool cap_hit_ = false;
};

}  // namespace axle::cpu

#endif
