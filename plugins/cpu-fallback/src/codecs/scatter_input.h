// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CPU_CODECS_SCATTER_INPUT_H
#define AXLE_CPU_CODECS_SCATTER_INPUT_H

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#include "codec.h"

namespace axle::cpu {

struct Span {
  const uint8_t *data;
  size_t bytes;
};

// Uninitialised memory that grows and is reused.
class ScratchBuffer {
 public:
  // At least `bytes`; what was in it before is gone.
  uint8_t *at_least(size_t bytes) {
    if (capacity_ < bytes) {
      data_.reset();
      capacity_ = 0;
      data_.reset(static_cast<uint8_t *>(std::malloc(bytes)));
      if (!data_) throw std::bad_alloc();
      capacity_ = bytes;
    }
    return data_.get();
  }
  uint8_t *data() const { return data_.get(); }
  size_t capacity() const { return capacity_; }

 private:
  struct Free {
    void operator()(uint8_t *data) const { std::free(data); }
  };
  std::unique_ptr<uint8_t, Free> data_;
  size_t capacity_ = 0;
};

// Random access to a scatter list. Const calls are safe from several threads.
class ScatterInput {
 public:
  explicit ScatterInput(Segments segments);

  uint64_t bytes() const { return bytes_; }
  bool contiguous() const { return pieces_.size() <= 1; }

  // The longest contiguous piece that begins at `offset`; empty at the end.
  Span piece_at(uint64_t offset) const;

  // `bytes` bytes from `offset`, within the input: in place where they are contiguous, else gathered
  // into `scratch`.
  const uint8_t *view(uint64_t offset, size_t bytes, ScratchBuffer &scratch) const;

  void copy(uint64_t offset, size_t bytes, uint8_t *to) const;

 private:
  struct Piece {
    uint64_t offset;
    Span span;
  };
  size_t piece_index(uint64_t offset) const;

  std::vector<Piece> pieces_;  // without empty ones
  uint64_t bytes_ = 0;
};

}  // namespace axle::cpu

#endif
