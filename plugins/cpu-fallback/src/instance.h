// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CPU_INSTANCE_H
#define AXLE_CPU_INSTANCE_H

#include <axle/plugin.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "common/task_run.h"
#include "compression.h"
#include "model.h"
#include "ops.h"
#include "options.h"
#include "ort_runtime.h"
#include "worker_pool.h"

namespace axle::cpu {

// Most jobs that wait for a thread, over all queues. A batch is one job.
constexpr size_t kQueuedJobsMax = 65536;

// An ordered stream. Its one outstanding write runs on the pool.
struct Stream {
  OpEntry op;
  std::unique_ptr<CodecStream> codec;
};

struct TaskBatch;

// The opened plugin: one device, whose threads all queues share.
class Instance {
 public:
  // Throws Failure.
  Instance(const axle_host &host, const Options &options);

  // Throws Failure (UNAVAILABLE, with the reason) when ONNX Runtime could not be opened.
  const OrtRuntime &onnxruntime() const;

  void fill(axle_device_info *info) const;
  void fill(axle_health *health) const;
  void fill(axle_statistics *statistics) const;

  // Throws Failure when this cannot run at all what `query` asks about.
  void check_support(const axle_op_query &query) const;

  std::unique_ptr<Model> load_model(const axle_model_source &source);
  // To be told before a model goes.
  void forget_model(const Model &model) { model_bytes_ -= model.memory_bytes(); }

  // Queues the tasks: those of a BATCHABLE op as one batch, others one by one. Throws Failure, and has
  // taken none, when they cannot be run.
  void submit(axle_task *const *tasks, uint64_t n);

  std::unique_ptr<Stream> open_stream(const axle_stream_config &config);
  void submit_write(Stream &stream, axle_task *task);

 protected:
  ~Instance() = default;

 private:
  using Body = std::function<void(const TaskRuns &)>;

  WorkerPool::Job make_job(axle_task *const *tasks, uint64_t n, uint64_t submitted_ns, Body body);
  void run_batch(TaskBatch &batch, const Body &body) noexcept;
  void run_op(const OpEntry &op, const TaskRuns &runs);
  void queue(std::vector<WorkerPool::Job> jobs);
  void finish(TaskBatch &batch) noexcept;

  const axle_host &host_;
  const Options options_;
  const OrtRuntime *onnxruntime_ = nullptr;
  std::string onnxruntime_missing_;
  std::string device_name_;
  uint64_t memory_bytes_;

  std::atomic<uint64_t> tasks_completed_{0};
  std::atomic<uint64_t> tasks_failed_{0};
  std::atomic<uint64_t> batches_{0};
  std::atomic<uint64_t> compute_ns_{0};
  std::atomic<uint64_t> model_bytes_{0};

  PoolExecutor executor_;
  WorkerPool pool_;  // ends first of all members, since its jobs use the others
};

}  // namespace axle::cpu

#endif
