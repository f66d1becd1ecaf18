// SPDX-License-Identifier: Apache-2.0
#include "card.h"

#include <utility>

namespace axle::fpga {

Card::Card(const XrtLibrary &library, const XclbinFile &xclbin, const Options &options,
           unsigned index)
    : options_(options),
      id_(std::to_string(index)),
      name_(one_line(library.emulated() ? "Emulated FPGA " + id_ + " (no hardware)"
                                        : "FPGA card " + id_) +
            ", image " + uuid_text(xclbin.uuid.data())),
      handles_(library, xclbin, index),
      slots_(options.threads) {
  for (BlockSlots &slots : slots_) {
    for (size_t i = 0; i < options_.depth; i++) {
      slots.push_back(std::make_unique<BlockSlot>(handles_));
    }
  }
  try {
    for (BlockSlots &slots : slots_) {
      threads_.emplace_back([this, &slots] { run_thread(slots); });
    }
  } catch (...) {
    stop();
    throw;
  }
}

Card::~Card() { stop(); }

Reason Card::lost() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return lost_;
}

void Card::lose(const Reason &reason) noexcept {
  std::lock_guard<std::mutex> lock(mutex_);
  if (lost_.status != AXLE_STATUS_OK) return;
  lost_.status = reason.status;
  try {
    lost_.message = reason.message;
  } catch (const std::bad_alloc &) {
    lost_.message.clear();
  }
}

bool Card::submit(std::vector<Work> work) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (work.size() > kQueuedJobsMax - work_.size()) return false;
    const size_t before = work_.size();
    try {
      for (Work &one : work) work_.push_back(std::move(one));
    } catch (...) {
      work_.resize(before);
      throw;
    }
  }
  wake_.notify_all();
  return true;
}

void Card::run_thread(BlockSlots &slots) {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !work_.empty(); });
    if (work_.empty()) return;
    Work work = std::move(work_.front());
    work_.pop_front();
    const Reason lost = lost_;
    lock.unlock();
    if (lost.status == AXLE_STATUS_OK) {
      work.job(slots);
    } else {
      work.refusal(lost);
    }
    work = Work();
    lock.lock();
  }
}

void Card::stop() noexcept {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread &thread : threads_) thread.join();
  threads_.clear();
}

}  // namespace axle::fpga
