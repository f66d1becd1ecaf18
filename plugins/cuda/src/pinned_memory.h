// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CUDA_PINNED_MEMORY_H
#define AXLE_CUDA_PINNED_MEMORY_H

#include <cstddef>
#include <cstdint>

#include "driver/driver.h"

namespace axle::cuda {

// Page-locked host memory, which the device copies from and to by itself. Belongs to a lane.
class PinnedMemory {
 public:
  explicit PinnedMemory(const Driver &driver) : driver_(driver) {}
  ~PinnedMemory() { release(); }
  PinnedMemory(const PinnedMemory &) = delete;
  PinnedMemory &operator=(const PinnedMemory &) = delete;

  // At least so much from now on; what it holds is lost when it grows. Throws Failure.
  void reserve(size_t bytes) {
    if (bytes <= bytes_) return;
    release();
    void *data = nullptr;
    driver_.check(driver_->host_alloc(&data, bytes, 0), "allocating pinned memory");
    data_ = static_cast<uint8_t *>(data);
    bytes_ = bytes;
  }

  uint8_t *data() const { return data_; }
  size_t bytes() const { return bytes_; }
  template <class T>
  T *as() const {
    return reinterpret_cast<T *>(data_);
  }

 private:
  void release() noexcept {
    if (data_ != nullptr) driver_->host_free(data_);
    data_ = nullptr;
    bytes_ = 0;
  }

  const Driver &driver_;
  uint8_t *data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace axle::cuda

#endif
