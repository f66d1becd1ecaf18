// SPDX-License-Identifier: Apache-2.0
#include "resident_models.h"

#include <algorithm>
#include <cstring>

#include "model.h"

namespace axle::cuda {

namespace {

// What a lane takes of the weights at a time, as much as it has of pinned memory.
constexpr uint64_t kPieceBytes = 4u << 20;

}  // namespace

ResidentModels::Pin ResidentModels::pin(const Model &model, Lane &lane) {
  Pin pin;
  pin.model_ = &model;
  const uint64_t bytes = std::max<uint64_t>(model.weights().size(), 1);
  {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      const auto found = resident_.find(&model);
      if (found == resident_.end()) break;
      Resident &resident = found->second;
      if (!resident.loading) {
        resident.pins++;
        resident.used = ++uses_;
        pin.models_ = this;
        pin.weights_ = resident.block.at();
        return pin;
      }
      loaded_.wait(lock);
    }
    Resident &resident = resident_[&model];
    resident.bytes = bytes;
    resident.pins = 1;
    resident.used = ++uses_;
    bytes_ += bytes;
  }
  DeviceBlock block;
  try {
    make_room(bytes);
    for (;;) {
      try {
        block = memory_.take(bytes, quota_, lane.stream());
        break;
      } catch (const Failure &failure) {
        if (failure.status() != AXLE_STATUS_RESOURCE_EXHAUSTED || !evict_one()) throw;
      }
    }
    copy(model, lane, block.at());
  } catch (...) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      resident_.erase(&model);
      bytes_ -= bytes;
    }
    loaded_.notify_all();
    throw;
  }
  {
    std::lock_guard<std::mutex> lock(mutex_);
    Resident &resident = resident_[&model];
    resident.block = std::move(block);
    resident.loading = false;
    pin.models_ = this;
    pin.weights_ = resident.block.at();
  }
  loaded_.notify_all();
  return pin;
}

void ResidentModels::make_room(uint64_t bytes) {
  if (bytes_max_ == 0) return;
  while (resident_bytes() > bytes_max_) {
    if (evict_one()) continue;
    throw Failure(AXLE_STATUS_RESOURCE_EXHAUSTED,
                  "the weights of a model take " + std::to_string(bytes) +
                      " bytes, and those of models that tasks run now the rest of "
                      "model_memory_bytes, which is " +
                      std::to_string(bytes_max_));
  }
}

void ResidentModels::copy(const Model &model, Lane &lane, cu::Ptr to) {
  const std::vector<uint8_t> &weights = model.weights();
  lane.in.reserve(std::min<uint64_t>(weights.size(), kPieceBytes));
  for (uint64_t at = 0; at < weights.size(); at += kPieceBytes) {
    const uint64_t bytes = std::min<uint64_t>(kPieceBytes, weights.size() - at);
    std::memcpy(lane.in.data(), weights.data() + at, bytes);
    lane.copy_in(to + at, lane.in.data(), bytes);
    lane.mark();
    lane.await();  // others use the weights on other streams, and the pinned memory is wanted again
  }
}

bool ResidentModels::evict_one() noexcept {
  DeviceBlock freed;
  std::lock_guard<std::mutex> lock(mutex_);
  auto oldest = resident_.end();
  for (auto at = resident_.begin(); at != resident_.end(); ++at) {
    if (at->second.pins > 0 || at->second.loading) continue;
    if (oldest == resident_.end() || at->second.used < oldest->second.used) oldest = at;
  }
  if (oldest == resident_.end()) return false;
  freed = std::move(oldest->second.block);
  bytes_ -= oldest->second.bytes;
  resident_.erase(oldest);
  evictions_++;
  return true;
}

void ResidentModels::forget(const Model &model) noexcept {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto found = resident_.find(&model);
  if (found == resident_.end()) return;
  bytes_ -= found->second.bytes;
  resident_.erase(found);
}

void ResidentModels::unpin(const Model &model) noexcept {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto found = resident_.find(&model);
  if (found != resident_.end()) found->second.pins--;
}

uint64_t ResidentModels::resident_bytes() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return bytes_;
}

size_t ResidentModels::resident_count() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return resident_.size();
}

uint64_t ResidentModels::evictions() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return evictions_;
}

}  // namespace axle::cuda
