// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CUDA_DEVICE_MEMORY_H
#define AXLE_CUDA_DEVICE_MEMORY_H

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "driver/driver.h"

namespace axle::cuda {

// What the tasks of one queue hold together, and may hold.
class Quota {
 public:
  explicit Quota(uint64_t bytes_max) : bytes_max_(bytes_max) {}

  // Throws Failure (RESOURCE_EXHAUSTED).
  void take(uint64_t bytes);
  void give_back(uint64_t bytes) { used_ -= bytes; }
  uint64_t used_bytes() const { return used_; }

 private:
  const uint64_t bytes_max_;  // 0 = no limit
  std::atomic<uint64_t> used_{0};
};

class DeviceMemory;

// A piece of device memory, for one user on one stream. It goes back to the pool by itself, and is wiped
// on that stream behind the last use of it.
class DeviceBlock {
 public:
  DeviceBlock() = default;
  DeviceBlock(DeviceBlock &&other) noexcept { *this = std::move(other); }
  DeviceBlock &operator=(DeviceBlock &&other) noexcept;
  ~DeviceBlock() { reset(); }

  void reset() noexcept;
  cu::Ptr at(uint64_t offset = 0) const { return pointer_ + offset; }
  uint64_t bytes() const { return bytes_; }  // as asked for
  explicit operator bool() const { return pool_ != nullptr; }

 private:
  friend class DeviceMemory;
  DeviceMemory *pool_ = nullptr;
  Quota *quota_ = nullptr;
  cu::Stream stream_ = nullptr;
  cu::Ptr pointer_ = 0;
  cu::Event wiped_ = nullptr;
  uint64_t bytes_ = 0;
  uint64_t class_bytes_ = 0;
};

// Device memory that is kept for the next task, in sizes of powers of two and one and a half times that.
// Whoever gets a block finds zeros where the one before had something: it is wiped when it comes back,
// for nobody tells a plugin whose task the next one is.
class DeviceMemory {
 public:
  explicit DeviceMemory(const Driver &driver) : driver_(driver) {}
  // With the context current, and every block back.
  ~DeviceMemory();
  DeviceMemory(const DeviceMemory &) = delete;
  DeviceMemory &operator=(const DeviceMemory &) = delete;

  // Memory that work on `stream` may use from now on. Throws Failure (RESOURCE_EXHAUSTED) past the quota
  // or when the device has no more.
  DeviceBlock take(uint64_t bytes, Quota &quota, cu::Stream stream);

  // Of the device, those that are kept included.
  uint64_t allocated_bytes() const { return allocated_bytes_; }

 private:
  friend class DeviceBlock;
  struct Idle {
    cu::Ptr pointer;
    cu::Event wiped;
  };

  void put(DeviceBlock &block) noexcept;
  void release_idle() noexcept;
  void free(const Idle &idle, uint64_t class_bytes) noexcept;

  const Driver &driver_;
  std::mutex mutex_;
  std::map<uint64_t, std::vector<Idle>> idle_;
  std::atomic<uint64_t> allocated_bytes_{0};
};

}  // namespace axle::cuda

#endif
