// SPDX-License-Identifier: Apache-2.0
#include "instance.h"

#include <cstring>
#include <utility>

#include "abi_struct.h"
#include "device_code.h"
#include "failure.h"
#include "lz4_ops.h"
#include "ops.h"
#include "tensor_checks.h"

namespace axle::cuda {

Instance::Instance(const axle_host &host, const Options &options)
    : host_(host), options_(options), driver_(options.driver) {
  // The emulated driver finds its kernels by their names.
  if (device_code() == nullptr && !driver_.emulated()) {
    throw Failure(AXLE_STATUS_UNAVAILABLE,
                  "there is a driver, but this plugin was built without kernels: install nvcc or "
                  "clang, remove plugins/cuda/build and run npm run setup");
  }
  for (int i = 0; i < driver_.device_count() && i < static_cast<int>(AXLE_DEVICES_MAX); i++) {
    devices_.push_back(std::make_unique<Device>());
    devices_.back()->gpu = std::make_unique<Gpu>(host_, driver_, options_, i);
  }
}

Instance::Device &Instance::at(uint32_t device) const {
  if (device < devices_.size()) return *devices_[device];
  throw Failure(AXLE_STATUS_NOT_FOUND, "cuda has devices 0 to " +
                                           std::to_string(devices_.size() - 1) + ", not " +
                                           std::to_string(device));
}

void Instance::fill(uint32_t device, axle_device_info *info) const {
  const Gpu &gpu = *at(device).gpu;
  axle_device_info filled = {};
  filled.id = gpu.id().c_str();
  filled.name = gpu.name().c_str();
  filled.kind = AXLE_DEVICE_KIND_GPU;
  filled.flags = gpu.emulated() ? AXLE_DEVICE_FLAG_EMULATED : 0;
  filled.memory_bytes = gpu.memory_bytes();
  filled.parallel = static_cast<uint32_t>(options_.threads);
  fill_struct(info, filled);
}

void Instance::fill(uint32_t device, axle_health *health) const {
  const Reason lost = at(device).gpu->lost();
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
  filled.memory_used_bytes = counted.gpu->memory_used_bytes();
  fill_struct(statistics, filled);
}

void Instance::check_support(uint32_t device, const axle_op_query &query) const {
  at(device);
  const OpEntry &op = find_op(query.op, query.op_version, query.chain_first, query.chain_last);
  check_codec_arguments(op.op, query.args, query.arg_count);
}

void Instance::submit(Queue &queue, axle_task *const *tasks, uint64_t n) {
  if (n == 0 || n > AXLE_SUBMIT_MAX) {
    throw Failure(AXLE_STATUS_INVALID_ARGUMENT, "a submit has 1 to " +
                                                    std::to_string(AXLE_SUBMIT_MAX) +
                                                    " tasks, not " + std::to_string(n));
  }
  const axle_task &first = *tasks[0];
  find_op(first.op, first.op_version, first.chain_first, first.chain_last);
  const uint64_t now_ns = host_.now_ns();
  std::vector<Gpu::Work> work;
  work.reserve(n);
  for (uint64_t i = 0; i < n; i++) {
    if (tasks[i]->op != first.op) {
      throw Failure(AXLE_STATUS_INVALID_ARGUMENT, "the tasks of a submit share their op");
    }
    work.push_back(make_work(queue, tasks[i], now_ns));
  }
  if (at(queue.device).gpu->submit(std::move(work))) return;
  throw Failure(AXLE_STATUS_RESOURCE_EXHAUSTED,
                "more than " + std::to_string(kQueuedJobsMax) +
                    " tasks wait for the device; submit again when some have completed");
}

Gpu::Work Instance::make_work(Queue &queue, axle_task *task, uint64_t now_ns) {
  Device &device = at(queue.device);
  // What ending the task takes is had before it is accepted.
  auto shared = std::make_shared<TaskRun>(host_, task, now_ns);
  return {[this, &device, &queue, shared](GpuContext &context) {
            if (shared->begin()) run(device, queue, *shared, context);
            finish(device, *shared);
          },
          [&device, shared](const Reason &reason) {
            shared->fail(reason);
            finish(device, *shared);
          }};
}

void Instance::run(Device &device, Queue &queue, TaskRun &run, GpuContext &context) noexcept {
  try {
    const axle_task &task = run.task();
    check_codec_arguments(task.op, task.args, task.arg_count);
    check_byte_input(task);
    if (task.op == AXLE_OP_COMPRESS) {
      lz4_compress(run, *device.gpu, context, queue.quota);
    } else {
      lz4_decompress(run, *device.gpu, context, queue.quota);
    }
  } catch (...) {
    device.gpu->note_failure();
    run.fail(current_reason());
  }
  device.batches++;
}

void Instance::finish(Device &device, TaskRun &run) noexcept {
  device.compute_ns += run.compute_ns;
  (run.failed() ? device.tasks_failed : device.tasks_completed)++;
  run.complete();
}

}  // namespace axle::cuda
