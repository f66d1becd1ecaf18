// SPDX-License-Identifier: Apache-2.0
#include "infer.h"

#include <algorithm>
#include <cstring>

#include "network_run.h"
#include "tensor_checks.h"

namespace axle::cuda {

namespace {

// A task whose inputs fit the model, in the model's order.
struct Matched {
  TaskRun *run;
  std::vector<const axle_tensor *> inputs;
};

// Rows that the task adds to a batch; -1 when its inputs do not agree on them.
int64_t rows_of(const Matched &task) {
  const int64_t rows = task.inputs[0]->dims[0];
  for (const axle_tensor *input : task.inputs) {
    if (input->dims[0] != rows) return -1;
  }
  return rows;
}

bool same_but_rows(const Matched &a, const Matched &b) {
  for (size_t i = 0; i < a.inputs.size(); i++) {
    const axle_tensor &x = *a.inputs[i];
    const axle_tensor &y = *b.inputs[i];
    if (x.rank != y.rank || !std::equal(x.dims + 1, x.dims + x.rank, y.dims + 1)) return false;
  }
  return true;
}

std::vector<Dims> dims_of(const std::vector<Matched> &tasks) {
  std::vector<Dims> dims;
  for (size_t i = 0; i < tasks[0].inputs.size(); i++) {
    const axle_tensor &first = *tasks[0].inputs[i];
    dims.emplace_back(first.dims, first.dims + first.rank);
    for (size_t task = 1; task < tasks.size(); task++) {
      dims.back()[0] += tasks[task].inputs[i]->dims[0];
    }
  }
  return dims;
}

// The same input of all tasks, one behind the other.
void copy_inputs(NetworkRun &network, const std::vector<Matched> &tasks) {
  uint64_t bytes = 0;
  for (const Matched &task : tasks) {
    for (const axle_tensor *input : task.inputs) bytes += input->bytes;
  }
  Lane &lane = network.lane();
  lane.in.reserve(bytes);
  uint8_t *at = lane.in.data();
  for (size_t i = 0; i < tasks[0].inputs.size(); i++) {
    const uint8_t *from = at;
    for (const Matched &task : tasks) {
      gather(*task.inputs[i], at);
      at += task.inputs[i]->bytes;
    }
    lane.copy_in(network.input(i), from, static_cast<size_t>(at - from));
  }
}

void copy_outputs(NetworkRun &network) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < network.outputs(); i++) bytes += network.output_bytes(i);
  Lane &lane = network.lane();
  lane.out.reserve(bytes);
  uint8_t *to = lane.out.data();
  for (size_t i = 0; i < network.outputs(); i++) {
    lane.copy_out(to, network.output(i), network.output_bytes(i));
    to += network.output_bytes(i);
  }
}

// Rows [row, row + rows) of each output, or all of it where `rows` is negative.
void emit_rows(const Model &model, NetworkRun &network, int64_t row, int64_t rows, TaskRun &run) {
  const uint8_t *from = network.lane().out.data();
  for (size_t i = 0; i < network.outputs(); i++) {
    Dims dims = network.output_dims(i);
    const uint64_t whole = network.output_bytes(i);
    uint64_t offset = 0;
    uint64_t bytes = whole;
    if (rows >= 0) {
      const uint64_t of_row = dims[0] == 0 ? 0 : whole / static_cast<uint64_t>(dims[0]);
      offset = of_row * static_cast<uint64_t>(row);
      bytes = of_row * static_cast<uint64_t>(rows);
      dims[0] = rows;
    }
    void *data = run.allocate(bytes);
    if (bytes > 0) std::memcpy(data, from + offset, bytes);
    run.emit(static_cast<uint32_t>(i), model.network().outputs[i].name.c_str(), AXLE_DTYPE_FP32,
             dims.data(), dims.size(), data, bytes);
    from += whole;
  }
}

bool has_rows(const NetworkRun &network, int64_t rows) {
  for (size_t i = 0; i < network.outputs(); i++) {
    const Dims &dims = network.output_dims(i);
    if (dims.empty() || dims[0] != rows) return false;
  }
  return true;
}

class Inference {
 public:
  Inference(const Model &model, GpuContext &context, Quota &quota)
      : model_(model), context_(context), quota_(quota) {}

  // False, with nothing done, when what comes out cannot be told apart by task. Throws Failure.
  bool run(const std::vector<Matched> &tasks) {
    Stopwatch watch(tasks[0].run->host());
    NetworkRun network(context_, quota_, model_, dims_of(tasks));
    int64_t rows = 0;
    for (const Matched &task : tasks) rows += rows_of(task);
    const bool together = tasks.size() > 1;
    if (together && !has_rows(network, rows)) return false;
    copy_inputs(network, tasks);
    const uint64_t copy_ns = watch.lap_ns();
    network.launch();
    copy_outputs(network);
    network.lane().mark();
    network.lane().await();
    const uint64_t compute_ns = watch.lap_ns();
    int64_t row = 0;
    for (const Matched &task : tasks) {
      const int64_t own = together ? rows_of(task) : -1;
      for_each_run({task.run}, [&](TaskRun &run) { emit_rows(model_, network, row, own, run); });
      if (together) row += own;
      task.run->batch_size = static_cast<uint32_t>(tasks.size());
      task.run->compute_ns = compute_ns;
      task.run->transfer_ns = copy_ns + watch.lap_ns();
    }
    return true;
  }

 private:
  const Model &model_;
  GpuContext &context_;
  Quota &quota_;
};

// Whether a batch may fail with it and its tasks alone not.
bool is_of_the_shape(const Failure &failure) {
  return failure.status() == AXLE_STATUS_INVALID_ARGUMENT ||
         failure.status() == AXLE_STATUS_UNIMPLEMENTED ||
         failure.status() == AXLE_STATUS_RESOURCE_EXHAUSTED;
}

}  // namespace

void infer(const Model &model, const TaskRuns &runs, Gpu &gpu, GpuContext &context, Quota &quota) {
  std::vector<Matched> together;
  std::vector<Matched> others;
  for_each_run(runs, [&](TaskRun &run) {
    Matched task = {&run, match_inputs(model, run.task())};
    const bool joins = model.network().takes_batches && rows_of(task) >= 0 &&
                       (together.empty() || same_but_rows(together[0], task));
    (joins ? together : others).push_back(std::move(task));
  });
  Inference inference(model, context, quota);
  if (together.size() > 1) {
    try {
      if (inference.run(together)) together.clear();
    } catch (const Failure &failure) {
      if (!is_of_the_shape(failure)) {
        gpu.note_failure();
        for (const Matched &task : together) task.run->fail(current_reason());
        together.clear();
      }
    }
  }
  for (Matched &task : together) others.push_back(std::move(task));
  for (const Matched &task : others) {
    try {
      inference.run({task});
    } catch (...) {
      gpu.note_failure();
      task.run->fail(current_reason());
    }
  }
}

}  // namespace axle::cuda
