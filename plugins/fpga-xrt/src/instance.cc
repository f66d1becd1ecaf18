// SPDX-License-Identifier: Apache-2.0
#include "instance.h"

#include <cstring>
#include <utility>

#include "common/abi_struct.h"
#include "common/byte_input.h"
#include "common/failure.h"
#include "lz4_compress.h"
#include "ops.h"
#include "probe.h"
#include "xclbin_file.h"

namespace axle::fpga {

Instance::Instance(const axle_host &host, const Options &options)
    : host_(host), options_(options), library_(options.library) {
  if (options_.xclbin.empty()) {
    throw Failure(AXLE_STATUS_UNAVAILABLE,
                  "there is XRT, but no image for a card was named: give the option xclbin=PATH");
  }
  const XclbinFile xclbin = read_xclbin(options_.xclbin);
  const uint32_t cards = probe_cards(options_.library, options_.xclbin);
  for (uint32_t i = 0; i < cards; i++) {
    devices_.push_back(std::make_unique<Device>());
    devices_.back()->card = std::make_unique<Card>(library_, xclbin, options_, i);
  }
}

Instance::Device &Instance::at(uint32_t device) const {
  if (device < devices_.size()) return *devices_[device];
  throw Failure(AXLE_STATUS_NOT_FOUND, "fpga-xrt has devices 0 to " +
                                           std::to_string(devices_.size() - 1) + ", not " +
                                           std::to_string(device));
}

void Instance::fill(uint32_t device, axle_device_info *info) const {
  const Card &card = *at(device).card;
  axle_device_info filled = {};
  filled.id = card.id().c_str();
  filled.name = card.name().c_str();
  filled.kind = AXLE_DEVICE_KIND_FPGA;
  filled.flags = library_.emulated() ? AXLE_DEVICE_FLAG_EMULATED : 0;
  filled.parallel = static_cast<uint32_t>(options_.threads);
  fill_struct(info, filled);
}

void Instance::fill(uint32_t device, axle_health *health) const {
  const Reason lost = at(device).card->lost();
  axle_health filled = {};
  filled.state = lost.status == AXLE_STATUS_OK ? AXLE_HEALTH_OK : AXLE_HEALTH_LOST;
  const std::string message = one_line(lost.message, sizeof(filled.message) - 1);
  std::memcpy(filled.message, message.c_str(), message.size() + 1);
  fill_struct(health, filled);
}

void Instance::fill(uint32_t device, axle_statistics *statistics) const {
  const Device &counted = at(device);
  axle_statistics filled = {};
  filled.tasks_completed = counted.tasks_completed;
  filled.tasks_failed = counted.tasks_failed;
  filled.batches = counted.batches;
  filled.compute_ns = counted.compute_ns;
  fill_struct(statistics, filled);
}

void Instance::check_support(uint32_t device, const axle_op_query &query) const {
  at(device);
  find_op(query.op, query.op_version, query.chain_first, query.chain_last);
  check_codec_arguments(query.args, query.arg_count);
}

void Instance::submit(Queue &queue, axle_task *const *tasks, uint64_t n) {
  if (n == 0 || n > AXLE_SUBMIT_MAX) {
    throw Failure(AXLE_STATUS_INVALID_ARGUMENT, "a submit has 1 to " +
                                                    std::to_string(AXLE_SUBMIT_MAX) +
                                                    " tasks, not " + std::to_string(n));
  }
  const axle_task &first = *tasks[0];
  find_op(first.op, first.op_version, first.chain_first, first.chain_last);
  Device &device = at(queue.device);
  const uint64_t now_ns = host_.now_ns();
  std::vector<Card::Work> work;
  work.reserve(n);
  for (uint64_t i = 0; i < n; i++) {
    if (tasks[i]->op != first.op) {
      throw Failure(AXLE_STATUS_INVALID_ARGUMENT, "the tasks of a submit share their op");
    }
    work.push_back(make_work(device, tasks[i], now_ns));
  }
  if (device.card->submit(std::move(work))) return;
  throw Failure(AXLE_STATUS_RESOURCE_EXHAUSTED,
                "more than " + std::to_string(kQueuedJobsMax) +
                    " tasks wait for the device; submit again when some have completed");
}

Card::Work Instance::make_work(Device &device, axle_task *task, uint64_t now_ns) {
  // What ending the task takes is had before it is accepted.
  auto shared = std::make_shared<TaskRun>(host_, task, now_ns);
  return {[&device, shared](BlockSlots &slots) {
            if (shared->begin()) run(device, *shared, slots);
            finish(device, *shared);
          },
          [&device, shared](const Reason &reason) {
            shared->fail(reason);
            finish(device, *shared);
          }};
}

void Instance::run(Device &device, TaskRun &run, BlockSlots &slots) noexcept {
  try {
    const axle_task &task = run.task();
    check_codec_arguments(task.args, task.arg_count);
    check_byte_input(task);
    lz4_compress(run, *device.card, slots);
  } catch (...) {
    run.fail(current_reason());
  }
  device.batches++;
}

void Instance::finish(Device &device, TaskRun &run) noexcept {
  device.compute_ns += run.compute_ns;
  (run.failed() ? device.tasks_failed : device.tasks_completed)++;
  run.complete();
}

}  // namespace axle::fpga
