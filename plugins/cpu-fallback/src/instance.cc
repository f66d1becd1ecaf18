// SPDX-License-Identifier: Apache-2.0
#include "instance.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/abi_struct.h"
#include "common/failure.h"
#include "image_ops.h"
#include "infer.h"
#include "machine.h"
#include "scratch.h"

namespace axle::cpu {

namespace {

constexpr const char *kLate =
    "the deadline passed while the task waited for a thread; allow more time or open the plugin "
    "with "
    "more threads";

const Model &model_of(const TaskRun &run) {
  return *reinterpret_cast<const Model *>(run.task().model);
}

}  // namespace

// Tasks that one job works on. All memory that ending them takes is had before they are accepted.
struct TaskBatch {
  std::vector<TaskRun> runs;
  TaskRuns wanted;
};

Instance::Instance(const axle_host &host, const Options &options)
    : host_(host),
      options_(options),
      memory_bytes_(cpu::memory_bytes()),
      executor_(pool_),
      pool_(options.threads, kQueuedJobsMax, options.nice) {
  device_name_ = one_line(processor_name() + ", " + std::to_string(options.threads) +
                          (options.threads == 1 ? " thread" : " threads"));
  try {
    onnxruntime_ = &OrtRuntime::open(options.onnxruntime, host);
  } catch (const Failure &failure) {
    onnxruntime_missing_ = failure.what();
    host.log(AXLE_LOG_WARN, failure.what());
  }
}

const OrtRuntime &Instance::onnxruntime() const {
  if (onnxruntime_ == nullptr) throw Failure(AXLE_STATUS_UNAVAILABLE, onnxruntime_missing_);
  return *onnxruntime_;
}

void Instance::fill(axle_device_info *info) const {
  axle_device_info filled = {};
  filled.id = "0";
  filled.name = device_name_.c_str();
  filled.kind = AXLE_DEVICE_KIND_CPU;
  filled.flags = AXLE_DEVICE_FLAG_SHARED_MEMORY;
  filled.memory_bytes = memory_bytes_;
  filled.parallel = static_cast<uint32_t>(pool_.thread_count());
  fill_struct(info, filled);
}

void Instance::fill(axle_health *health) const {
  axle_health filled = {};
  filled.state = onnxruntime_ == nullptr ? AXLE_HEALTH_DEGRADED : AXLE_HEALTH_OK;
  const std::string message = one_line(onnxruntime_missing_, sizeof(filled.message) - 1);
  std::memcpy(filled.message, message.c_str(), message.size() + 1);
  fill_struct(health, filled);
}

void Instance::fill(axle_statistics *statistics) const {
  axle_statistics filled = {};
  filled.tasks_completed = tasks_completed_;
  filled.tasks_failed = tasks_failed_;
  filled.batches = batches_;
  filled.compute_ns = compute_ns_;
  filled.memory_used_bytes = model_bytes_;
  fill_struct(statistics, filled);
}

void Instance::check_support(const axle_op_query &query) const {
  const OpEntry &op = find_op(query.op, query.op_version, query.chain_first, query.chain_last);
  if (op.streamable()) check_compression_arguments(op.op, query.args, query.arg_count);
  if (!op.needs_model) return;
  onnxruntime();
  if (query.source != nullptr && std::strcmp(query.source->format, "onnx") != 0) {
    throw Failure(AXLE_STATUS_UNIMPLEMENTED,
                  one_line(std::string("cpu-fallback runs models of format \"onnx\", not \"") +
                           query.source->format + "\""));
  }
}

std::unique_ptr<Model> Instance::load_model(const axle_model_source &source) {
  std::unique_ptr<Model> model = Model::load(onnxruntime(), source, options_.intra_op_threads);
  model_bytes_ += model->memory_bytes();
  return model;
}

void Instance::submit(axle_task *const *tasks, uint64_t n) {
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
  const Body body = [this, &op](const TaskRuns &runs) { run_op(op, runs); };
  std::vector<WorkerPool::Job> jobs;
  const uint64_t at_once = op.batchable() ? n : 1;
  for (uint64_t i = 0; i < n; i += at_once) {
    jobs.push_back(make_job(tasks + i, at_once, now_ns, body));
  }
  queue(std::move(jobs));
}

std::unique_ptr<Stream> Instance::open_stream(const axle_stream_config &config) {
  const OpEntry &op = find_op(config.op, config.op_version, 0, 0);
  if (!op.streamable()) {
    throw Failure(AXLE_STATUS_UNIMPLEMENTED,
                  std::string("op ") + op.name + " has no streams; submit it as tasks");
  }
  return std::make_unique<Stream>(Stream{op, open_codec_stream(config, executor_)});
}

void Instance::submit_write(Stream &stream, axle_task *task) {
  CodecStream *codec = stream.codec.get();
  std::vector<WorkerPool::Job> jobs;
  jobs.push_back(make_job(&task, 1, host_.now_ns(),
                          [codec](const TaskRuns &runs) { write_codec_stream(*codec, *runs[0]); }));
  queue(std::move(jobs));
}

WorkerPool::Job Instance::make_job(axle_task *const *tasks, uint64_t n, uint64_t submitted_ns,
                                   Body body) {
  auto batch = std::make_shared<TaskBatch>();
  batch->runs.reserve(n);
  batch->wanted.reserve(n);
  for (uint64_t i = 0; i < n; i++) batch->runs.emplace_back(host_, tasks[i], submitted_ns);
  return [this, batch, body = std::move(body)] { run_batch(*batch, body); };
}

void Instance::queue(std::vector<WorkerPool::Job> jobs) {
  if (pool_.submit_all(std::move(jobs))) return;
  throw Failure(AXLE_STATUS_RESOURCE_EXHAUSTED,
                "more than " + std::to_string(kQueuedJobsMax) +
                    " jobs wait for a thread; submit again when some have completed");
}

void Instance::run_batch(TaskBatch &batch, const Body &body) noexcept {
  for (TaskRun &run : batch.runs) {
    if (run.begin(kLate)) batch.wanted.push_back(&run);
  }
  if (!batch.wanted.empty()) {
    try {
      body(batch.wanted);
    } catch (...) {
      const Reason reason = current_reason();
      for (TaskRun *run : batch.wanted) run->fail(reason);
    }
    batches_++;
  }
  Scratch::of_thread().trim();
  finish(batch);
}

void Instance::finish(TaskBatch &batch) noexcept {
  // Tasks that ran together all carry the time of the whole.
  for (TaskRun &run : batch.runs) {
    compute_ns_ += run.compute_ns / std::max<uint32_t>(run.batch_size, 1);
    (run.failed() ? tasks_failed_ : tasks_completed_)++;
  }
  for (TaskRun &run : batch.runs) run.complete();
}

void Instance::run_op(const OpEntry &op, const TaskRuns &runs) {
  switch (op.op) {
    case AXLE_OP_PREPROCESS:
      return run_preprocess(runs, pool_);
    case AXLE_OP_INFER:
      return infer(model_of(*runs[0]), runs);
    case AXLE_OP_TOPK:
      return run_topk(runs);
    case AXLE_OP_CLASSIFY:
      return run_classify(model_of(*runs[0]), runs);
    default:
      return for_each_run(runs, [this](TaskRun &run) { run_compression(run, executor_); });
  }
}

}  // namespace axle::cpu
