// SPDX-License-Identifier: Apache-2.0
#include "instance.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/abi_struct.h"
#include "common/failure.h"
#include "device_code.h"
#include "image/image_ops.h"
#include "infer.h"
#include "lz4_ops.h"
#include "ops.h"

namespace axle::cuda {

namespace {

const Model &model_of(const TaskRun &run) {
  return *reinterpret_cast<const Model *>(run.task().model);
}

}  // namespace

Instance::Instance(const axle_host &host, const Options &options)
    : host_(host), options_(options), driver_(options.driver), nvml_(options.nvml) {
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
  const NvmlReading reading = nvml_.read(counted.gpu->id());
  filled.utilization_percent = reading.utilization_percent;
  filled.temperature_celsius = reading.temperature_celsius;
  fill_struct(statistics, filled);
}

void Instance::check_support(uint32_t device, const axle_op_query &query) const {
  at(device);
  const OpEntry &op = find_op(query.op, query.op_version, query.chain_first, query.chain_last);
  if (op.op == AXLE_OP_COMPRESS || op.op == AXLE_OP_DECOMPRESS) {
    check_codec_arguments(op.op, query.args, query.arg_count);
  }
  if (op.needs_model && query.source != nullptr) Model::check(*query.source);
}

std::unique_ptr<Model> Instance::load_model(uint32_t device, const axle_model_source &source) {
  std::unique_ptr<Model> model = Model::load(source);
  at(device).gpu->use([&](GpuContext &context) {
    const LanePool::Lease lane = context.lanes->take();
    context.models->pin(*model, *lane);
  });
  return model;
}

void Instance::unload_model(std::unique_ptr<Model> model) noexcept {
  for (const auto &device : devices_) {
    try {
      device->gpu->use([&](GpuContext &context) { context.models->forget(*model); });
    } catch (...) {
      continue;  // a lost device's memory goes with its context
    }
  }
}

void Instance::submit(Queue &queue, axle_task *const *tasks, uint64_t n) {
  if (n == 0 || n > AXLE_SUBMIT_MAX) {
    throw Failure(AXLE_STATUS_INVALID_ARGUMENT, "a submit has 1 to " +
                                                    std::to_string(AXLE_SUBMIT_MAX) +
                                                    " tasks, not " + std::to_string(n));
  }
  const axle_task &first = *tasks[0];
  const OpEntry &op = find_op(first.op, first.op_version, first.chain_first, first.chain_last);
  for (uint64_t i = 0; i < n; i++) {
    if (tasks[i]->op != first.op || (op.batchable() && tasks[i]->model != first.model)) {
      throw Failure(AXLE_STATUS_INVALID_ARGUMENT, "the tasks of a submit share op and model");
    }
    if (op.needs_model && tasks[i]->model == nullptr) {
      throw Failure(AXLE_STATUS_INVALID_ARGUMENT,
                    std::string("op ") + op.name + " runs a model, and the task has none");
    }
  }
  const uint64_t now_ns = host_.now_ns();
  std::vector<Gpu::Work> work;
  const uint64_t at_once = op.batchable() ? n : 1;
  work.reserve(n / at_once);
  for (uint64_t i = 0; i < n; i += at_once) {
    work.push_back(make_work(queue, op, tasks + i, at_once, now_ns));
  }
  if (at(queue.device).gpu->submit(std::move(work))) return;
  throw Failure(AXLE_STATUS_RESOURCE_EXHAUSTED,
                "more than " + std::to_string(kQueuedJobsMax) +
                    " tasks wait for the device; submit again when some have completed");
}

Gpu::Work Instance::make_work(Queue &queue, const OpEntry &op, axle_task *const *tasks, uint64_t n,
                              uint64_t now_ns) {
  struct Batch {
    std::vector<TaskRun> runs;
    TaskRuns wanted;
  };
  Device &device = at(queue.device);
  // What ending the tasks takes is had before they are accepted.
  auto batch = std::make_shared<Batch>();
  batch->runs.reserve(n);
  batch->wanted.reserve(n);
  for (uint64_t i = 0; i < n; i++) batch->runs.emplace_back(host_, tasks[i], now_ns);
  return {[&device, &queue, &op, batch](GpuContext &context) {
            for (TaskRun &run : batch->runs) {
              if (run.begin()) batch->wanted.push_back(&run);
            }
            if (!batch->wanted.empty()) run(device, queue, op, batch->wanted, context);
            finish(device, batch->runs);
          },
          [&device, batch](const Reason &reason) {
            for (TaskRun &run : batch->runs) run.fail(reason);
            finish(device, batch->runs);
          }};
}

void Instance::run(Device &device, Queue &queue, const OpEntry &op, const TaskRuns &runs,
                   GpuContext &context) noexcept {
  Gpu &gpu = *device.gpu;
  try {
    const ImageOpPlace place = {gpu, context, queue.quota};
    switch (op.op) {
      case AXLE_OP_PREPROCESS:
        run_preprocess(runs, place);
        break;
      case AXLE_OP_TOPK:
        run_topk(runs, place);
        break;
      case AXLE_OP_CLASSIFY:
        run_classify(model_of(*runs[0]), runs, place);
        break;
      case AXLE_OP_INFER:
        infer(model_of(*runs[0]), runs, gpu, context, queue.quota);
        break;
      default:
        run_codec(*runs[0], gpu, context, queue.quota);
        break;
    }
  } catch (...) {
    gpu.note_failure();
    for (TaskRun *run : runs) run->fail(current_reason());
  }
  device.batches++;
}

void Instance::finish(Device &device, std::vector<TaskRun> &runs) noexcept {
  // Tasks that ran together all carry the time of the whole.
  for (TaskRun &run : runs) {
    device.compute_ns += run.compute_ns / std::max<uint32_t>(run.batch_size, 1);
    (run.failed() ? device.tasks_failed : device.tasks_completed)++;
  }
  for (TaskRun &run : runs) run.complete();
}

}  // namespace axle::cuda
