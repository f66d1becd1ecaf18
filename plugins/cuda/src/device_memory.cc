// SPDX-License-Identifier: Apache-2.0
#include "device_memory.h"

#include <utility>

namespace axle::cuda {

namespace {

constexpr uint64_t kClassBytesMin = 64u << 10;

// The size that `bytes` are kept in: at most a third of it is left over.
uint64_t class_of(uint64_t bytes) {
  uint64_t size = kClassBytesMin;
  while (size < bytes) {
    if (size + size / 2 >= bytes) return size + size / 2;
    if (size > UINT64_MAX / 4) return bytes;
    size *= 2;
  }
  return size;
}

}  // namespace

void Quota::take(uint64_t bytes) {
  uint64_t used = used_;
  do {
    if (bytes_max_ != 0 && (used > bytes_max_ || bytes > bytes_max_ - used)) {
      throw Failure(AXLE_STATUS_RESOURCE_EXHAUSTED,
                    "the tasks of this queue hold " + std::to_string(used) +
                        " bytes of device memory and want " + std::to_string(bytes) +
                        " more; queue_memory_bytes is " + std::to_string(bytes_max_));
    }
  } while (!used_.compare_exchange_weak(used, used + bytes));
}

DeviceBlock &DeviceBlock::operator=(DeviceBlock &&other) noexcept {
  if (this == &other) return *this;
  reset();
  pool_ = std::exchange(other.pool_, nullptr);
  quota_ = other.quota_;
  stream_ = other.stream_;
  pointer_ = other.pointer_;
  wiped_ = other.wiped_;
  bytes_ = other.bytes_;
  class_bytes_ = other.class_bytes_;
  return *this;
}

void DeviceBlock::reset() noexcept {
  if (pool_ != nullptr) pool_->put(*this);
  pool_ = nullptr;
}

DeviceMemory::~DeviceMemory() { release_idle(); }

DeviceBlock DeviceMemory::take(uint64_t bytes, Quota &quota, cu::Stream stream) {
  const uint64_t class_bytes = class_of(bytes);
  quota.take(class_bytes);
  DeviceBlock block;
  block.quota_ = &quota;
  block.stream_ = stream;
  block.bytes_ = bytes;
  block.class_bytes_ = class_bytes;
  try {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      std::vector<Idle> &idle = idle_[class_bytes];
      if (!idle.empty()) {
        block.pointer_ = idle.back().pointer;
        block.wiped_ = idle.back().wiped;
        idle.pop_back();
        block.pool_ = this;
      }
    }
    if (block) {
      driver_.check(driver_->stream_wait(stream, block.wiped_, 0), "waiting for wiped memory");
      return block;
    }
    cu::Result result = driver_->memory_alloc(&block.pointer_, class_bytes);
    if (result == cu::kOutOfMemory) {
      release_idle();
      result = driver_->memory_alloc(&block.pointer_, class_bytes);
    }
    driver_.check(result, "allocating device memory");
    allocated_bytes_ += class_bytes;
    block.pool_ = this;
    driver_.check(driver_->event_create(&block.wiped_, cu::kEventDisableTiming), "making an event");
    // What others, and this process before, left in it is nobody's business either.
    driver_.check(driver_->fill(block.pointer_, 0, class_bytes, stream), "wiping device memory");
    return block;
  } catch (...) {
    if (!block) quota.give_back(class_bytes);
    throw;  // the block gives back what it has
  }
}

void DeviceMemory::put(DeviceBlock &block) noexcept {
  const Idle idle = {block.pointer_, block.wiped_};
  bool kept = false;
  // A device that is gone takes no order; its memory goes with its context.
  if (idle.wiped != nullptr &&
      driver_->fill(idle.pointer, 0, block.bytes_, block.stream_) == cu::kSuccess &&
      driver_->event_record(idle.wiped, block.stream_) == cu::kSuccess) {
    try {
      std::lock_guard<std::mutex> lock(mutex_);
      idle_[block.class_bytes_].push_back(idle);
      kept = true;
    } catch (const std::bad_alloc &) {
      kept = false;
    }
  }
  if (!kept) free(idle, block.class_bytes_);
  block.quota_->give_back(block.class_bytes_);
}

void DeviceMemory::release_idle() noexcept {
  std::map<uint64_t, std::vector<Idle>> idle;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    idle.swap(idle_);
  }
  for (const auto &[class_bytes, blocks] : idle) {
    for (const Idle &block : blocks) free(block, class_bytes);
  }
}

void DeviceMemory::free(const Idle &idle, uint64_t class_bytes) noexcept {
  driver_->memory_free(idle.pointer);  // waits for what still runs on it
  if (idle.wiped != nullptr) driver_->event_destroy(idle.wiped);
  allocated_bytes_ -= class_bytes;
}

}  // namespace axle::cuda
