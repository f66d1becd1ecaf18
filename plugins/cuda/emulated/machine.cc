// SPDX-License-Identifier: Apache-2.0
#include "machine.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <sstream>

namespace axle::cuda::emulated {

namespace {

constexpr size_t kAlignment = 256;  // as the driver's
constexpr int kFresh = 0xA5;

size_t page_bytes() {
  static const auto bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

size_t rounded(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

}  // namespace

Ranges::~Ranges() {
  while (!ranges_.empty()) remove(reinterpret_cast<void *>(ranges_.begin()->first));
}

void *Ranges::add(size_t bytes) {
  const size_t page = page_bytes();
  const size_t usable = rounded(bytes, kAlignment);
  const size_t pages = rounded(usable, page);
  auto *mapped = static_cast<char *>(mmap(nullptr, pages + 2 * page, PROT_NONE,
                                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  if (mapped == MAP_FAILED) return nullptr;
  mprotect(mapped + page, pages, PROT_READ | PROT_WRITE);
  // Its end is at the page that nobody may touch.
  char *base = mapped + page + (pages - usable);
  std::memset(base, kFresh, usable);
  std::lock_guard<std::mutex> lock(mutex_);
  ranges_[reinterpret_cast<uintptr_t>(base)] = bytes;
  total_bytes_ += bytes;
  return base;
}

bool Ranges::remove(void *base) {
  const size_t page = page_bytes();
  size_t bytes = 0;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = ranges_.find(reinterpret_cast<uintptr_t>(base));
    if (found == ranges_.end()) return false;
    bytes = found->second;
    total_bytes_ -= bytes;
    ranges_.erase(found);
  }
  const size_t usable = rounded(bytes, kAlignment);
  const size_t pages = rounded(usable, page);
  munmap(static_cast<char *>(base) - (pages - usable) - page, pages + 2 * page);
  return true;
}

bool Ranges::contains(uintptr_t at, size_t bytes) const {
  std::lock_guard<std::mutex> lock(mutex_);
  auto after = ranges_.upper_bound(at);
  if (after == ranges_.begin()) return false;
  const auto &[base, size] = *--after;
  return at - base <= size && bytes <= size - (at - base);
}

uint64_t Ranges::total_bytes() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return total_bytes_;
}

size_t Ranges::count() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return ranges_.size();
}

Stream::Stream(Device &device) : device_(device), thread_([this] { run(); }) { device_.add(this); }

Stream::~Stream() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  thread_.join();
  device_.remove(this);
}

void Stream::add(std::function<cu::Result()> operation) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    operations_.push_back(std::move(operation));
  }
  wake_.notify_one();
}

void Stream::wait_idle() {
  std::unique_lock<std::mutex> lock(mutex_);
  idle_.wait(lock, [this] { return operations_.empty() && !busy_; });
}

void Stream::run() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return ending_ || !operations_.empty(); });
    if (operations_.empty()) return;
    auto operation = std::move(operations_.front());
    operations_.pop_front();
    busy_ = true;
    lock.unlock();
    const cu::Result result = operation();
    if (result != cu::kSuccess) device_.end_context(result);
    operation = nullptr;
    lock.lock();
    busy_ = false;
    if (operations_.empty()) idle_.notify_all();
  }
}

uint64_t Event::record() {
  std::lock_guard<std::mutex> lock(mutex_);
  return ++recorded_;
}

void Event::reach(uint64_t record) {
  std::lock_guard<std::mutex> lock(mutex_);
  reached_ = std::max(reached_, record);
  reached_changed_.notify_all();
}

uint64_t Event::recorded() {
  std::lock_guard<std::mutex> lock(mutex_);
  return recorded_;
}

void Event::wait() { wait(recorded()); }

void Event::wait(uint64_t record) {
  std::unique_lock<std::mutex> lock(mutex_);
  reached_changed_.wait(lock, [&] { return reached_ >= record; });
}

Device::Device(int number, const Settings &settings) : ordinal(number) { configure(settings); }

void Device::configure(const Settings &settings) {
  std::lock_guard<std::mutex> lock(mutex_);
  settings_ = settings;
  alloc_fails_ = settings.alloc_fails;
  launch_fails_ = settings.launch_fails;
  lost_ = settings.lost;
  state_ = cu::kSuccess;
}

Settings Device::settings() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return settings_;
}

bool Device::counts_down(std::atomic<uint64_t> &count) {
  uint64_t left = count;
  while (left > 0 && !count.compare_exchange_weak(left, left - 1)) {
  }
  return left == 1;
}

bool Device::launch_fails() { return counts_down(launch_fails_); }
bool Device::is_lost() { return counts_down(lost_); }

cu::Result Device::alloc(size_t bytes, cu::Ptr *pointer) {
  if (bytes == 0) return cu::kInvalidValue;
  if (counts_down(alloc_fails_)) return cu::kOutOfMemory;
  const uint64_t used = memory.total_bytes();
  const uint64_t all = settings().memory;
  if (used > all || bytes > all - used) return cu::kOutOfMemory;
  void *base = memory.add(bytes);
  if (base == nullptr) return cu::kOutOfMemory;
  *pointer = reinterpret_cast<uintptr_t>(base);
  return cu::kSuccess;
}

cu::Result Device::free(cu::Ptr pointer) {
  wait_idle();  // as cuMemFree does
  return memory.remove(reinterpret_cast<void *>(pointer)) ? cu::kSuccess : cu::kInvalidValue;
}

void Device::wait_idle() {
  std::vector<Stream *> streams;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    streams = streams_;
  }
  for (Stream *stream : streams) stream->wait_idle();
}

cu::Result Device::retain() {
  const Settings now = settings();
  if (now.context_fails != 0) return cu::kOutOfMemory;
  if (contexts_++ == 0) std::this_thread::sleep_for(std::chrono::milliseconds(now.context_ms));
  return cu::kSuccess;
}

cu::Result Device::release() {
  if (contexts_ == 0) return cu::kInvalidContext;
  contexts_--;
  return cu::kSuccess;
}

void Device::copy_takes(size_t bytes) const {
  const Settings now = settings();
  const uint64_t us = now.copy_us + ((bytes * now.copy_us_per_mib) >> 20);
  if (us > 0) std::this_thread::sleep_for(std::chrono::microseconds(us));
}

void Device::add(Stream *stream) {
  std::lock_guard<std::mutex> lock(mutex_);
  streams_.push_back(stream);
}

void Device::remove(Stream *stream) {
  std::lock_guard<std::mutex> lock(mutex_);
  streams_.erase(std::remove(streams_.begin(), streams_.end(), stream), streams_.end());
}

Machine &Machine::get() {
  // Never destroyed: threads of whoever uses it may outlive main().
  static auto &machine = *new Machine;
  return machine;
}

namespace {

// As the driver has CUDA_VISIBLE_DEVICES, for ordinals: those in the list, up to the first that is none.
std::vector<int> visible_ordinals(uint64_t devices) {
  std::vector<int> ordinals;
  const char *visible = std::getenv("CUDA_VISIBLE_DEVICES");
  if (visible == nullptr) {
    for (uint64_t i = 0; i < devices; i++) ordinals.push_back(static_cast<int>(i));
    return ordinals;
  }
  std::istringstream list(visible);
  for (int ordinal = 0; list >> ordinal; list.ignore(1, ',')) {
    if (ordinal < 0 || static_cast<uint64_t>(ordinal) >= devices) break;
    ordinals.push_back(ordinal);
  }
  return ordinals;
}

}  // namespace

cu::Result Machine::initialise(const char *configured) {
  std::lock_guard<std::mutex> lock(mutex);
  if (configured == nullptr) {
    if (initialised) return cu::kSuccess;
    configured = std::getenv("AXLE_EMULATED_CUDA");
  }
  try {
    settings = parse_settings(configured == nullptr ? "" : configured);
  } catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return cu::kInvalidValue;
  }
  if (settings.init_fails != 0) return static_cast<cu::Result>(settings.init_fails);
  initialised = true;
  const std::vector<int> ordinals = visible_ordinals(settings.devices);
  // Those of before stay, since pointers to them may be held; and are as if opened anew.
  for (size_t i = 0; i < ordinals.size(); i++) {
    if (i < devices.size()) {
      devices[i]->configure(settings);
    } else {
      devices.push_back(std::make_unique<Device>(ordinals[i], settings));
    }
  }
  visible = ordinals.size();
  return ordinals.empty() ? cu::kNoDevice : cu::kSuccess;
}

}  // namespace axle::cuda::emulated
