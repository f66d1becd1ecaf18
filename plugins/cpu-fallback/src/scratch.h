// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CPU_SCRATCH_H
#define AXLE_CPU_SCRATCH_H

#include <cstddef>
#include <memory>
#include <vector>

namespace axle::cpu {

// Buffers of one thread that stay from job to job: a fresh buffer costs more than filling it, since
// the kernel zeroes its pages.
class Scratch {
 public:
  // Most bytes that a thread keeps between jobs.
  static constexpr size_t kKeptBytesMax = 32u << 20;

  // The calling thread's.
  static Scratch &of_thread();

  // `bytes` bytes, aligned to 64, uninitialised, valid until the thread takes this slot again or calls
  // trim(). Throws std::bad_alloc.
  void *take(size_t slot, size_t bytes);

  // Frees what is past kKeptBytesMax. Call it between jobs.
  void trim();

  // Slots by use, so that one job's buffers do not clash: inputs of a model from 0 on.
  static constexpr size_t kModelInputs = 0;
  static constexpr size_t kGather = 256;  // AXLE_INPUTS_MAX
  static constexpr size_t kResized = 257;
  static constexpr size_t kResizeBlocks = 258;
  static constexpr size_t kResizeSums = 259;

 private:
  struct Free {
    void operator()(void *data) const;
  };
  struct Buffer {
    std::unique_ptr<void, Free> data;
    size_t bytes = 0;
  };
  std::vector<Buffer> buffers_;
};

}  // namespace axle::cpu

#endif
