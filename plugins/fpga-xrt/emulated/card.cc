// SPDX-License-Identifier: Apache-2.0
#include "card.h"

#include <chrono>

#include "settings.h"
#include "simulated_kernel.h"

namespace axle::fpga::emulated {

namespace {

constexpr uint64_t kPageBytes = 4096;
constexpr uint64_t kRunCyclesMax = 10000000;
constexpr uint64_t kHealthyRuns = 5;

}  // namespace

Card::~Card() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread &unit : units_) unit.join();
}

Buffer *Card::allocate(size_t bytes) {
  auto buffer = std::make_unique<Buffer>();
  buffer->card = this;
  buffer->host.assign(bytes, 0xCC);
  buffer->device.assign(bytes, 0xDD);
  std::lock_guard<std::mutex> lock(mutex_);
  buffer->address = next_address_;
  // A page between any two: what passes the end of one fails.
  next_address_ += (bytes / kPageBytes + 2) * kPageBytes;
  return (buffers_[buffer->address] = std::move(buffer)).get();
}

void Card::free(Buffer *buffer) {
  std::lock_guard<std::mutex> lock(mutex_);
  buffers_.erase(buffer->address);
}

uint8_t *Card::at(uint64_t address, size_t bytes) {
  std::lock_guard<std::mutex> lock(mutex_);
  auto after = buffers_.upper_bound(address);
  if (after == buffers_.begin()) return nullptr;
  Buffer &buffer = *std::prev(after)->second;
  const uint64_t offset = address - buffer.address;
  if (offset > buffer.device.size() || buffer.device.size() - offset < bytes) return nullptr;
  return buffer.device.data() + offset;
}

void Card::start(Run *run) {
  const std::string wrong = fault();
  std::lock_guard<std::mutex> lock(mutex_);
  runs_started_++;
  run->state = RunState::kQueued;
  if (wrong == "hang" || (wrong == "hang-later" && runs_started_ > kHealthyRuns)) return;
  if (wrong == "error") run->state = RunState::kError;
  if (wrong == "idle") run->state = RunState::kCompleted;
  if (run->state != RunState::kQueued) return;
  // Made with the first run: who only looks at a card waits for none of it.
  while (units_.size() < kUnits) units_.emplace_back([this] { run_unit(); });
  queue_.push_back(run);
  changed_.notify_all();
}

RunState Card::wait(Run *run, unsigned timeout_ms) {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait_for(lock, std::chrono::milliseconds(timeout_ms),
                    [run] { return run->state != RunState::kQueued; });
  return run->state;
}

void Card::run_unit() {
  SimulatedKernel kernel([this](uint64_t address, size_t bytes) { return at(address, bytes); });
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (stopping_) return;
    Run *run = queue_.front();
    queue_.pop_front();
    const auto &a = run->arguments;
    lock.unlock();
    kernel.start({a[0], a[1], a[2], a[3], a[4]});
    const bool ended = kernel.finish(kRunCyclesMax) && kernel.violation().empty();
    lock.lock();
    run->state = ended ? RunState::kCompleted : RunState::kError;
    changed_.notify_all();
  }
}

}  // namespace axle::fpga::emulated
