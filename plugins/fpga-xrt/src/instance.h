// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_FPGA_INSTANCE_H
#define AXLE_FPGA_INSTANCE_H

#include <axle/plugin.h>

#include <atomic>
#include <memory>
#include <vector>

#include "card.h"
#include "common/task_run.h"
#include "options.h"
#include "xrt/library.h"

namespace axle::fpga {

// A way to one card, for one user of it.
struct Queue {
  const uint32_t device;
};

// The opened plugin: XRT and its cards.
class Instance {
 public:
  // Throws Failure; UNAVAILABLE where this machine has no XRT or no card.
  Instance(const axle_host &host, const Options &options);

  uint32_t device_count() const { return static_cast<uint32_t>(devices_.size()); }
  void fill(uint32_t device, axle_device_info *info) const;
  void fill(uint32_t device, axle_health *health) const;
  void fill(uint32_t device, axle_statistics *statistics) const;

  // Throws Failure when the device cannot run at all what `query` asks about.
  void check_support(uint32_t device, const axle_op_query &query) const;

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
    std::unique_ptr<Card> card;  // ends first of all, since its jobs count
  };

  Device &at(uint32_t device) const;  // throws Failure (NOT_FOUND)
  Card::Work make_work(Device &device, axle_task *task, uint64_t now_ns);
  static void run(Device &device, TaskRun &run, BlockSlots &slots) noexcept;
  static void finish(Device &device, TaskRun &run) noexcept;

  const axle_host &host_;
  const Options options_;
  const XrtLibrary library_;
  std::vector<std::unique_ptr<Device>> devices_;
};

}  // namespace axle::fpga

#endif
