// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CUDA_INSTANCE_H
#define AXLE_CUDA_INSTANCE_H

#include <axle/plugin.h>

#include <atomic>
#include <memory>
#include <vector>

#include "common/task_run.h"
#include "driver/driver.h"
#include "driver/nvml.h"
#include "gpu.h"
#include "model.h"
#include "ops.h"
#include "options.h"

namespace axle::cuda {

// A way to one device, for one user of it.
struct Queue {
  Queue(uint32_t number, uint64_t memory_bytes_max) : device(number), quota(memory_bytes_max) {}

  const uint32_t device;
  Quota quota;
};

// The opened plugin: a driver and its devices.
class Instance {
 public:
  // Throws Failure; UNAVAILABLE where this machine has no driver or no device.
  Instance(const axle_host &host, const Options &options);

  uint32_t device_count() const { return static_cast<uint32_t>(devices_.size()); }
  void fill(uint32_t device, axle_device_info *info) const;
  void fill(uint32_t device, axle_health *health) const;
  void fill(uint32_t device, axle_statistics *statistics) const;

  // Throws Failure when the device cannot run at all what `query` asks about.
  void check_support(uint32_t device, const axle_op_query &query) const;

  // Throws Failure. The model's weights are on the device.
  std::unique_ptr<Model> load_model(uint32_t device, const axle_model_source &source);
  // Whichever device it was loaded on.
  void unload_model(std::unique_ptr<Model> model) noexcept;

  const Options &options() const { return options_; }
  void check_device(uint32_t device) const { at(device); }  // throws Failure (NOT_FOUND)
  // Throws Failure, and has taken none, when the tasks cannot be run.
  void submit(Queue &queue, axle_task *const *tasks, uint64_t n);

 protected:
  ~Instance() = default;

 private:
  struct Device {
    std::atomic<uint64_t> tasks_completed{0};
    std::atomic<uint64_t> tasks_failed{0};
    std::atomic<uint64_t> batches{0};
    std::atomic<uint64_t> compute_ns{0};
    std::unique_ptr<Gpu> gpu;  // ends first of all, since its jobs count
  };

  Device &at(uint32_t device) const;  // throws Failure (NOT_FOUND)
  Gpu::Work make_work(Queue &queue, const OpEntry &op, axle_task *const *tasks, uint64_t n,
                      uint64_t now_ns);
  static void run(Device &device, Queue &queue, const OpEntry &op, const TaskRuns &runs,
                  GpuContext &context) noexcept;
  static void finish(Device &device, std::vector<TaskRun> &runs) noexcept;

  const axle_host &host_;
  const Options options_;
  const Driver driver_;
  const Nvml nvml_;
  std::vector<std::unique_ptr<Device>> devices_;
};

}  // namespace axle::cuda

#endif
