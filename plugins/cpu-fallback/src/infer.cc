// SPDX-License-Identifier: Apache-2.0
#include "infer.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "bytes_elements.h"
#include "input_match.h"
#include "ort_values.h"
#include "scratch.h"
#include "tensor_data.h"

namespace axle::cpu {

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

// A malformed BYTES tensor is found before it is put beside those of other tasks.
void check_strings(const std::vector<const axle_tensor *> &inputs) {
  for (const axle_tensor *input : inputs) {
    if (input->dtype != AXLE_DTYPE_BYTES) continue;
    std::vector<unsigned char> bytes(input->bytes);
    gather(*input, bytes.data());
    split_elements(bytes.data(), bytes.size(), element_count(input->dims, input->rank));
  }
}

// The shapes of outputs as far as the sizes of the inputs' named dimensions tell them.
class ShapeGuess {
 public:
  ShapeGuess(const Model &model, const Matched &task) {
    for (size_t i = 0; i < task.inputs.size(); i++) {
      const ModelPort &port = model.inputs()[i];
      for (size_t d = 0; d < port.dims.size(); d++) {
        if (port.dims[d] < 0 && !port.names[d].empty()) {
          sizes_.emplace_back(port.names[d], task.inputs[i]->dims[d]);
        }
      }
    }
  }

  std::optional<std::vector<int64_t>> shape_of(const ModelPort &port) const {
    if (port.any_shape) return std::nullopt;
    std::vector<int64_t> dims = port.dims;
    for (size_t d = 0; d < dims.size(); d++) {
      if (dims[d] >= 0) continue;
      const auto known = std::find_if(sizes_.begin(), sizes_.end(), [&](const auto &size) {
        return !port.names[d].empty() && size.first == port.names[d];
      });
      if (known == sizes_.end()) return std::nullopt;
      dims[d] = known->second;
    }
    return dims;
  }

 private:
  std::vector<std::pair<std::string_view, int64_t>> sizes_;
};

// An output that ONNX Runtime writes straight into the task's memory.
struct BoundOutput {
  std::vector<int64_t> dims;
  void *data = nullptr;
  uint64_t bytes = 0;
};

class Outputs {
 public:
  explicit Outputs(const Model &model)
      : model_(model), bound_(model.outputs().size()), values_(model.outputs().size()) {}

  void bind(const ShapeGuess &guess, TaskRun &run) {
    for (size_t i = 0; i < bound_.size(); i++) {
      const ModelPort &port = model_.outputs()[i];
      if (port.dtype == AXLE_DTYPE_BYTES) continue;
      const std::optional<std::vector<int64_t>> dims = guess.shape_of(port);
      if (!dims) continue;
      BoundOutput &bound = bound_[i];
      bound.dims = *dims;
      bound.bytes = element_count(dims->data(), dims->size()) * dtype_bytes(port.dtype);
      bound.data = run.allocate(bound.bytes);
      values_[i] = make_value_over(model_.runtime(), port.dtype, *dims, bound.data, bound.bytes);
    }
  }

  void unbind(TaskRun &run) {
    for (size_t i = 0; i < bound_.size(); i++) {
      values_[i].reset();
      if (bound_[i].data != nullptr) run.release(bound_[i].data);
      bound_[i] = BoundOutput{};
    }
  }

  bool any_bound() const {
    return std::any_of(bound_.begin(), bound_.end(),
                       [](const BoundOutput &bound) { return bound.data != nullptr; });
  }

  void compute(const std::vector<OrtOwnedValue> &inputs) {
    std::vector<const OrtValue *> in;
    for (const OrtOwnedValue &input : inputs) in.push_back(input.get());
    std::vector<OrtValue *> out;
    for (const OrtOwnedValue &value : values_) out.push_back(value.get());
    model_.run(in.data(), out.data());
    for (size_t i = 0; i < out.size(); i++) {
      if (!values_[i]) values_[i] = own(model_.runtime(), out[i]);
    }
  }

  // False when an output does not have one row for each of the batch.
  bool has_rows(int64_t rows) const {
    return std::all_of(values_.begin(), values_.end(), [&](const OrtOwnedValue &value) {
      const std::vector<int64_t> dims = shape_of(model_.runtime(), value.get());
      return !dims.empty() && dims[0] == rows;
    });
  }

  void emit_all(TaskRun &run) { emit_rows(0, -1, run); }

  void emit_rows(int64_t row, int64_t rows, TaskRun &run) {
    for (size_t i = 0; i < values_.size(); i++) {
      const ModelPort &port = model_.outputs()[i];
      const auto output = static_cast<uint32_t>(i);
      const BoundOutput &bound = bound_[i];
      if (bound.data != nullptr) {
        run.emit(output, port.name.c_str(), port.dtype, bound.dims.data(), bound.dims.size(),
                 bound.data, bound.bytes);
      } else {
        emit_value(model_.runtime(), values_[i], {output, port.name.c_str(), port.dtype, row, rows},
                   run);
      }
    }
  }

 private:
  const Model &model_;
  std::vector<BoundOutput> bound_;
  std::vector<OrtOwnedValue> values_;
};

std::vector<OrtOwnedValue> make_inputs(const Model &model, const std::vector<Matched> &tasks) {
  std::vector<OrtOwnedValue> values;
  for (size_t i = 0; i < model.inputs().size(); i++) {
    std::vector<const axle_tensor *> parts;
    for (const Matched &task : tasks) parts.push_back(task.inputs[i]);
    values.push_back(make_value(model.runtime(), parts, Scratch::kModelInputs + i));
  }
  return values;
}

void infer_alone(const Model &model, const Matched &task) {
  TaskRun &run = *task.run;
  Stopwatch watch(run.host());
  const std::vector<OrtOwnedValue> inputs = make_inputs(model, {task});
  Outputs outputs(model);
  if (model.binds_outputs()) outputs.bind(ShapeGuess(model, task), run);
  run.transfer_ns = watch.lap_ns();
  try {
    outputs.compute(inputs);
  } catch (const Failure &) {
    if (!outputs.any_bound()) throw;
    // Perhaps only because an output has another shape than the model declares.
    outputs.unbind(run);
    outputs.compute(inputs);
    model.stop_binding_outputs();
  }
  run.compute_ns = watch.lap_ns();
  outputs.emit_all(run);
  run.transfer_ns += watch.lap_ns();
}

// False, with nothing done, when the outputs cannot be told apart by task.
bool infer_together(const Model &model, const std::vector<Matched> &tasks) {
  Stopwatch watch(tasks[0].run->host());
  int64_t rows = 0;
  for (const Matched &task : tasks) rows += rows_of(task);
  const std::vector<OrtOwnedValue> inputs = make_inputs(model, tasks);
  Outputs outputs(model);
  const uint64_t gather_ns = watch.lap_ns();
  outputs.compute(inputs);
  const uint64_t compute_ns = watch.lap_ns();
  if (!outputs.has_rows(rows)) return false;
  int64_t row = 0;
  for (const Matched &task : tasks) {
    TaskRun &run = *task.run;
    try {
      outputs.emit_rows(row, rows_of(task), run);
    } catch (...) {
      run.fail(current_reason());
    }
    row += rows_of(task);
    run.batch_size = static_cast<uint32_t>(tasks.size());
    run.compute_ns = compute_ns;
    run.transfer_ns = gather_ns + watch.lap_ns();
  }
  return true;
}

void fail_all(const std::vector<Matched> &tasks) {
  const Reason reason = current_reason();
  for (const Matched &task : tasks) {
    task.run->fail(reason);
    task.run->batch_size = static_cast<uint32_t>(tasks.size());
  }
}

void infer_group(const Model &model, const std::vector<Matched> &tasks) {
  if (tasks.size() > 1) {
    try {
      if (infer_together(model, tasks)) return;
    } catch (...) {
      fail_all(tasks);
      return;
    }
  }
  for (const Matched &task : tasks) {
    for_each_run({task.run}, [&](TaskRun &) { infer_alone(model, task); });
  }
}

}  // namespace

void infer(const Model &model, const TaskRuns &runs) {
  std::vector<Matched> together;
  std::vector<Matched> others;
  for_each_run(runs, [&](TaskRun &run) {
    Matched task = {&run, match_inputs(model, run.task())};
    check_strings(task.inputs);
    const bool joins = model.takes_batches() && rows_of(task) >= 0 &&
                       (together.empty() || same_but_rows(together[0], task));
    (joins ? together : others).push_back(std::move(task));
  });
  infer_group(model, together);
  for (const Matched &task : others) infer_group(model, {task});
}

}  // namespace axle::cpu
