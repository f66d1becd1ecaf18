// SPDX-License-Identifier: Apache-2.0
#include "lane.h"

namespace axle::cuda {

Lane::Lane(const Driver &driver) : in(driver), out(driver), notes(driver), driver_(driver) {
  driver_.check(driver_->stream_create(&stream_, cu::kStreamNonBlocking), "making a stream");
  // A thread that waits for the device sleeps instead of spinning.
  const cu::Result result =
      driver_->event_create(&marked_, cu::kEventBlockingSync | cu::kEventDisableTiming);
  if (result != cu::kSuccess) driver_->stream_destroy(stream_);
  driver_.check(result, "making an event");
}

Lane::~Lane() {
  settle();
  driver_->event_destroy(marked_);
  driver_->stream_destroy(stream_);
}

void Lane::copy_in(cu::Ptr to, const void *from, size_t bytes) {
  if (bytes == 0) return;
  settled_ = false;
  driver_.check(driver_->copy_in(to, from, bytes, stream_), "copying to the device");
}

void Lane::copy_out(void *to, cu::Ptr from, size_t bytes) {
  if (bytes == 0) return;
  settled_ = false;
  driver_.check(driver_->copy_out(to, from, bytes, stream_), "copying from the device");
}

void Lane::copy(cu::Ptr to, cu::Ptr from, size_t bytes) {
  if (bytes == 0) return;
  settled_ = false;
  driver_.check(driver_->copy(to, from, bytes, stream_), "copying on the device");
}

void Lane::mark() { driver_.check(driver_->event_record(marked_, stream_), "recording an event"); }

void Lane::await() {
  driver_.check(driver_->event_synchronize(marked_), "work on the device");
  settled_ = true;
}

void Lane::settle() noexcept {
  if (!settled_) driver_->stream_synchronize(stream_);
  settled_ = true;
}

LanePool::LanePool(const Driver &driver, size_t count, size_t slab_bytes) {
  constexpr size_t kLargerPart = 1024;  // what does not compress grows by less than this part
  constexpr size_t kNotesBytes = 64u << 10;
  for (size_t i = 0; i < count; i++) {
    lanes_.push_back(std::make_unique<Lane>(driver));
    Lane &lane = *lanes_.back();
    lane.in.reserve(slab_bytes);
    lane.out.reserve(slab_bytes + slab_bytes / kLargerPart);
    lane.notes.reserve(kNotesBytes);
    pinned_bytes_ += lane.in.bytes() + lane.out.bytes() + lane.notes.bytes();
    idle_.push_back(&lane);
  }
}

LanePool::Lease LanePool::take() {
  std::unique_lock<std::mutex> lock(mutex_);
  returned_.wait(lock, [this] { return !idle_.empty(); });
  Lane *lane = idle_.back();
  idle_.pop_back();
  return Lease(this, lane);
}

LanePool::Lease LanePool::try_take() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (idle_.empty()) return Lease();
  Lane *lane = idle_.back();
  idle_.pop_back();
  return Lease(this, lane);
}

void LanePool::give_back(Lane *lane) noexcept {
  lane->settle();
  {
    std::lock_guard<std::mutex> lock(mutex_);
    idle_.push_back(lane);  // it has room for all
  }
  returned_.notify_one();
}

}  // namespace axle::cuda
