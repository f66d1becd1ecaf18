// SPDX-License-Identifier: Apache-2.0
#include "gpu.h"

#include <cstdio>
#include <utility>

#include "device_code.h"
#include "kernels/lz4_layout.h"

namespace axle::cuda {

namespace {

constexpr size_t kNameBytes = 256;

std::string hexadecimal(const cu::Uuid &uuid) {
  std::string text;
  for (size_t i = 0; i < sizeof(uuid.bytes); i++) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    char digits[3];
    std::snprintf(digits, sizeof(digits), "%02x", static_cast<unsigned char>(uuid.bytes[i]));
    text += digits;
  }
  return text;
}

}  // namespace

Gpu::Gpu(const axle_host &host, const Driver &driver, const Options &options, int ordinal)
    : host_(host), driver_(driver), options_(options) {
  describe(ordinal);
  try {
    for (size_t i = 0; i < options_.threads; i++) threads_.emplace_back([this] { run_thread(); });
  } catch (...) {
    stop();
    throw;
  }
}

Gpu::~Gpu() {
  stop();
  release();
}

void Gpu::describe(int ordinal) {
  driver_.check(driver_->device_get(&device_, ordinal), "opening a device");
  char name[kNameBytes] = {};
  driver_.check(driver_->device_name(name, kNameBytes - 1, device_), "asking for a device's name");
  size_t bytes = 0;
  driver_.check(driver_->device_total_memory(&bytes, device_), "asking for a device's memory");
  int major = 0;
  int minor = 0;
  driver_.check(driver_->device_attribute(&major, cu::kComputeCapabilityMajor, device_),
                "asking for a device's compute capability");
  driver_.check(driver_->device_attribute(&minor, cu::kComputeCapabilityMinor, device_),
                "asking for a device's compute capability");
  cu::Uuid uuid = {};
  driver_.check(driver_->device_uuid(&uuid, device_), "asking for a device's UUID");
  memory_bytes_ = bytes;
  name_ = one_line(std::string(name) + ", compute " + std::to_string(major) + "." +
                   std::to_string(minor));
  // As nvidia-smi writes it; the name of a slice says that it is one.
  const bool slice = name_.find(" MIG ") != std::string::npos;
  id_ = (slice ? "MIG-" : "GPU-") + hexadecimal(uuid);
}

uint64_t Gpu::memory_used_bytes() const {
  const DeviceMemory *memory = memory_;
  return memory == nullptr ? 0 : memory->allocated_bytes();
}

Reason Gpu::lost() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return lost_;
}

void Gpu::note_failure() noexcept {
  try {
    throw;
  } catch (const DriverFailure &failure) {
    if (!failure.sticky()) return;
    const Reason reason = current_reason();
    std::lock_guard<std::mutex> lock(mutex_);
    if (lost_.status == AXLE_STATUS_OK) lost_ = reason;
  } catch (...) {
    return;  // not the driver's
  }
}

bool Gpu::submit(std::vector<Work> work) {
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

void Gpu::run_thread() {
  prepare();
  driver_->context_set(context_);
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !work_.empty(); });
    if (work_.empty()) return;
    Work work = std::move(work_.front());
    work_.pop_front();
    const Reason lost = lost_;
    lock.unlock();
    if (lost.status == AXLE_STATUS_OK) {
      work.job(ready_);
    } else {
      work.refusal(lost);
    }
    work = Work();
    lock.lock();
  }
}

void Gpu::use(const std::function<void(GpuContext &)> &body) {
  {
    std::unique_lock<std::mutex> lock(mutex_);
    wake_.wait(lock, [this] { return prepared_; });
    if (lost_.status != AXLE_STATUS_OK) throw Failure(lost_.status, lost_.message);
  }
  driver_->context_set(context_);
  try {
    body(ready_);
  } catch (...) {
    note_failure();
    driver_->context_set(nullptr);
    throw;
  }
  driver_->context_set(nullptr);
}

// By the first thread that comes; the others wait for it.
void Gpu::prepare() {
  std::unique_lock<std::mutex> lock(mutex_);
  if (preparing_) {
    wake_.wait(lock, [this] { return prepared_; });
    return;
  }
  preparing_ = true;
  lock.unlock();
  Reason reason;
  try {
    make_context();
  } catch (...) {
    reason = current_reason();
    reason.status = AXLE_STATUS_UNAVAILABLE;
    host_.log(AXLE_LOG_WARN, one_line(name_ + ": " + reason.message).c_str());
  }
  lock.lock();
  lost_ = reason;
  prepared_ = true;
  lock.unlock();
  wake_.notify_all();
}

void Gpu::make_context() {
  const uint64_t began_ns = host_.now_ns();
  driver_->primary_set_flags(device_, cu::kContextBlockingSync);  // others may have set theirs
  driver_.check(driver_->primary_retain(&context_, device_), "making a context");
  driver_.check(driver_->context_set(context_), "using the context");
  const uint64_t context_ns = host_.now_ns();
  driver_.check(driver_->module_load(&module_, device_code()), "loading the kernels");
#define AXLE_CUDA_KERNEL_FIND(name)                                             \
  driver_.check(driver_->module_function(&ready_.kernels.name, module_, #name), \
                "finding the kernel " #name);
  AXLE_CUDA_KERNELS(AXLE_CUDA_KERNEL_FIND)
#undef AXLE_CUDA_KERNEL_FIND
  ready_.memory = std::make_unique<DeviceMemory>(driver_);
  memory_ = ready_.memory.get();
  ready_.lanes = std::make_unique<LanePool>(driver_, options_.lanes, options_.slab_bytes);
  ready_.models = std::make_unique<ResidentModels>(*ready_.memory, options_.model_memory_bytes);
  constexpr uint64_t kNsPerMs = 1000000;
  const uint64_t end_ns = host_.now_ns();
  host_.log(AXLE_LOG_INFO,
            one_line(name_ + ": context " + std::to_string((context_ns - began_ns) / kNsPerMs) +
                     " ms, kernels, " + std::to_string(options_.lanes) + " streams and " +
                     std::to_string(ready_.lanes->pinned_bytes() >> 20) + " MiB of pinned memory " +
                     std::to_string((end_ns - context_ns) / kNsPerMs) + " ms")
                .c_str());
}

void Gpu::stop() noexcept {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread &thread : threads_) thread.join();
  threads_.clear();
}

void Gpu::release() noexcept {
  if (context_ == nullptr) return;
  driver_->context_set(context_);
  memory_ = nullptr;
  ready_.models.reset();
  ready_.lanes.reset();
  ready_.memory.reset();
  if (module_ != nullptr) driver_->module_unload(module_);
  driver_->context_set(nullptr);
  driver_->primary_release(device_);
}

}  // namespace axle::cuda
