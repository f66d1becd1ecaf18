// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CUDA_LANE_H
#define AXLE_CUDA_LANE_H

#include <condition_variable>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "driver/driver.h"
#include "pinned_memory.h"

namespace axle::cuda {

// A stream with an event and pinned memory for both ways: what one piece of work passes through the
// device on, while others pass on theirs. Made ahead, and kept.
class Lane {
 public:
  explicit Lane(const Driver &driver);
  ~Lane();
  Lane(const Lane &) = delete;
  Lane &operator=(const Lane &) = delete;

  cu::Stream stream() const { return stream_; }
  void copy_in(cu::Ptr to, const void *from, size_t bytes);
  void copy_out(void *to, cu::Ptr from, size_t bytes);
  void copy(cu::Ptr to, cu::Ptr from, size_t bytes);

  template <class... Arguments>
  void launch(cu::Function kernel, unsigned blocks, unsigned threads, Arguments... arguments) {
    void *pointers[] = {&arguments...};
    settled_ = false;
    driver_.check(
        driver_->launch(kernel, blocks, 1, 1, threads, 1, 1, 0, stream_, pointers, nullptr),
        "starting a kernel");
  }

  // Notes this point of the stream, which is what await() blocks for.
  void mark();
  void await();
  // Blocks until the device does nothing more with this lane's memory.
  void settle() noexcept;

  PinnedMemory in;
  PinnedMemory out;
  PinnedMemory notes;  // small things: descriptors, sizes

 private:
  const Driver &driver_;
  cu::Stream stream_ = nullptr;
  cu::Event marked_ = nullptr;
  bool settled_ = true;  // nothing was asked for since the last mark that was awaited
};

// The lanes of a device, lent one by one.
class LanePool {
 public:
  // Gives a lane back when it goes, once the device is done with it.
  class Lease {
   public:
    Lease() = default;
    Lease(LanePool *pool, Lane *lane) : pool_(pool), lane_(lane) {}
    Lease(Lease &&other) noexcept { *this = std::move(other); }
    Lease &operator=(Lease &&other) noexcept {
      std::swap(pool_, other.pool_);
      std::swap(lane_, other.lane_);
      return *this;
    }
    ~Lease() {
      if (lane_ != nullptr) pool_->give_back(lane_);
    }
    Lane *operator->() const { return lane_; }
    Lane &operator*() const { return *lane_; }
    explicit operator bool() const { return lane_ != nullptr; }

   private:
    LanePool *pool_ = nullptr;
    Lane *lane_ = nullptr;
  };

  // Lanes with room for `slab_bytes` both ways.
  LanePool(const Driver &driver, size_t count, size_t slab_bytes);

  Lease take();      // waits for one; who has one already must not
  Lease try_take();  // none when all are lent

  uint64_t pinned_bytes() const { return pinned_bytes_; }  // made ahead

 private:
  void give_back(Lane *lane) noexcept;

  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::vector<Lane *> idle_;
  uint64_t pinned_bytes_ = 0;
};

}  // namespace axle::cuda

#endif
