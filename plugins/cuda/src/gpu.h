// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CUDA_GPU_H
#define AXLE_CUDA_GPU_H

#include <axle/plugin.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "device_memory.h"
#include "driver/driver.h"
#include "kernels/kernel_names.h"
#include "lane.h"
#include "options.h"
#include "resident_models.h"

namespace axle::cuda {

// Most jobs that wait for a thread of one device.
constexpr size_t kQueuedJobsMax = 65536;

// The entry points of the kernels.
struct Kernels {
#define AXLE_CUDA_KERNEL_MEMBER(name) cu::Function name = nullptr;
  AXLE_CUDA_KERNELS(AXLE_CUDA_KERNEL_MEMBER)
#undef AXLE_CUDA_KERNEL_MEMBER
};

// What there is on a device once it is ready.
struct GpuContext {
  Kernels kernels;
  std::unique_ptr<DeviceMemory> memory;
  std::unique_ptr<LanePool> lanes;
  std::unique_ptr<ResidentModels> models;
};

// One GPU, or one slice of one (MIG). The constructor only asks the driver for names; context, kernels,
// streams and pinned memory are made by the device's own threads right after, before the first task needs
// them: that takes from tenths of a second to seconds.
class Gpu {
 public:
  using Job = std::function<void(GpuContext &)>;
  // Told instead of the job where the device cannot be used; must not throw either.
  using Refusal = std::function<void(const Reason &)>;

  Gpu(const axle_host &host, const Driver &driver, const Options &options, int ordinal);
  // Runs what waits.
  ~Gpu();
  Gpu(const Gpu &) = delete;
  Gpu &operator=(const Gpu &) = delete;

  const std::string &id() const { return id_; }
  const std::string &name() const { return name_; }
  uint64_t memory_bytes() const { return memory_bytes_; }
  uint64_t memory_used_bytes() const;
  const Options &options() const { return options_; }
  bool emulated() const { return driver_.emulated(); }

  // Why the device cannot be used any more, or OK.
  Reason lost() const;
  // To be told of every failure of the driver: after some the device is not used again.
  void note_failure() noexcept;  // inside a catch block

  // Runs `body` on the calling thread, which may wait until the device is ready. Throws Failure: UNAVAILABLE where the
  // device cannot be used, and what `body` throws.
  void use(const std::function<void(GpuContext &)> &body);

  struct Work {
    Job job;
    Refusal refusal;
  };
  // All, in their order, or none: false when too many wait. Any thread.
  [[nodiscard]] bool submit(std::vector<Work> work);

 private:
  void describe(int ordinal);
  void run_thread();
  void prepare();
  void make_context();
  void stop() noexcept;
  void release() noexcept;

  const axle_host &host_;
  const Driver &driver_;
  const Options options_;
  std::string id_;
  std::string name_;
  uint64_t memory_bytes_ = 0;

  cu::Device device_ = 0;
  cu::Context context_ = nullptr;
  cu::Module module_ = nullptr;
  GpuContext ready_;
  std::atomic<const DeviceMemory *> memory_{nullptr};

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Work> work_;
  Reason lost_;
  bool preparing_ = false;
  bool prepared_ = false;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace axle::cuda

#endif
