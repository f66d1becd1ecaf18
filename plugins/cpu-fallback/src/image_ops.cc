// SPDX-License-Identifier: Apache-2.0
#include "image_ops.h"

#include <algorithm>

#include "common/arguments.h"
#include "input_match.h"
#include "ort_values.h"
#include "preprocess.h"
#include "scratch.h"
#include "tensor_data.h"
#include "topk.h"

namespace axle::cpu {

namespace {

// Below this many bytes of pixels in all, waking other threads costs more than it gains.
constexpr uint64_t kSharedBytesMin = 1u << 20;

const axle_tensor &only_input(const TaskRun &run) {
  const axle_task &task = run.task();
  if (task.input_count != 1) {
    throw Failure(AXLE_STATUS_INVALID_ARGUMENT,
                  "the op takes one input, not " + std::to_string(task.input_count));
  }
  return task.inputs[0];
}

void preprocess_one(TaskRun &run) {
  Stopwatch watch(run.host());
  const axle_tensor &image = only_input(run);
  const Preprocess preprocess(image, Arguments(run.task()));
  const uint64_t bytes = preprocess.element_count() * sizeof(float);
  auto *to = static_cast<float *>(run.allocate(bytes));
  preprocess.run(image, to);
  run.compute_ns = watch.lap_ns();
  const std::vector<int64_t> &shape = preprocess.shape();
  run.emit(0, nullptr, AXLE_DTYPE_FP32, shape.data(), shape.size(), to, bytes);
}

void topk_one(TaskRun &run) {
  Stopwatch watch(run.host());
  const axle_tensor &input = only_input(run);
  const bool is_row = input.rank == 1 || (input.rank == 2 && input.dims[0] == 1);
  if (input.dtype != AXLE_DTYPE_FP32 || !is_row) {
    throw Failure(AXLE_STATUS_INVALID_ARGUMENT,
                  "topk takes FP32 [n] or [1, n], not " + tensor_text(input));
  }
  const uint64_t count = element_count(input.dims, input.rank);
  check_bytes(input, "the scores");
  // A private copy: sorting memory that changes meanwhile runs out of bounds.
  void *scores = Scratch::of_thread().take(Scratch::kGather, input.bytes);
  gather(input, scores);
  run.transfer_ns = watch.lap_ns();
  TopK(Arguments(run.task())).run(static_cast<const float *>(scores), count, run);
  run.compute_ns = watch.lap_ns();
}

// A classify task that has passed all checks, and its image's way into the model.
struct Classification {
  TaskRun *run;
  Preprocess preprocess;
  TopK topk;
  size_t output;  // of the model, that holds the scores
};

size_t output_of(const Model &model, const Arguments &arguments) {
  const std::string name = arguments.string("output", "");
  const auto &outputs = model.outputs();
  size_t found = 0;
  if (arguments.has("output")) {
    found =
        static_cast<size_t>(std::find_if(outputs.begin(), outputs.end(),
                                         [&](const ModelPort &port) { return port.name == name; }) -
                            outputs.begin());
  }
  if (found == outputs.size()) {
    std::string known;
    for (const ModelPort &port : outputs)
      known += (known.empty() ? "\"" : ", \"") + port.name + "\"";
    throw Failure(AXLE_STATUS_INVALID_ARGUMENT,
                  one_line("model \"" + model.name() + "\" has no output \"" + name +
                           "\"; its outputs are " + known));
  }
  if (outputs[found].dtype != AXLE_DTYPE_FP32) {
    throw Failure(AXLE_STATUS_INVALID_ARGUMENT,
                  one_line("output \"" + outputs[found].name + "\" of model \"" + model.name() +
                           "\" is " + outputs[found].text() + "; scores are FP32"));
  }
  return found;
}

// Runs the model on images that lie one after another in `pixels` and ranks each row of its output.
// False, with nothing done, when there is not one row for each image.
bool rank_images(const Model &model, const std::vector<Classification> &batch, float *pixels,
                 uint64_t preprocess_ns) {
  const OrtRuntime &runtime = model.runtime();
  const size_t output = batch[0].output;
  Stopwatch watch(batch[0].run->host());
  std::vector<int64_t> dims = batch[0].preprocess.shape();
  dims[0] = static_cast<int64_t>(batch.size());
  const OrtOwnedValue input =
      make_value_over(runtime, AXLE_DTYPE_FP32, dims, pixels,
                      batch[0].preprocess.element_count() * batch.size() * sizeof(float));
  const OrtValue *in = input.get();
  std::vector<OrtValue *> out(model.outputs().size(), nullptr);
  model.run(&in, out.data());
  std::vector<OrtOwnedValue> values;
  for (OrtValue *value : out) values.push_back(own(runtime, value));

  const std::vector<int64_t> shape = shape_of(runtime, values[output].get());
  const bool is_row = shape.size() == 1 && batch.size() == 1;
  if (!is_row && (shape.size() != 2 || shape[0] != dims[0])) {
    if (batch.size() > 1) return false;
    throw Failure(
        AXLE_STATUS_INVALID_ARGUMENT,
        one_line("output \"" + model.outputs()[output].name + "\" of model \"" + model.name() +
                 "\" is " + shape_text(shape) + "; scores of one image are [n] or [1, n]"));
  }
  const auto count = static_cast<uint64_t>(shape.back());
  const auto *scores = static_cast<const float *>(data_of(runtime, values[output]));
  const uint64_t infer_ns = watch.lap_ns();
  for (size_t i = 0; i < batch.size(); i++) {
    TaskRun &run = *batch[i].run;
    for_each_run({&run}, [&](TaskRun &) { batch[i].topk.run(scores + i * count, count, run); });
    run.batch_size = static_cast<uint32_t>(batch.size());
    run.compute_ns = preprocess_ns + infer_ns + watch.lap_ns();
  }
  return true;
}

void classify_batch(const Model &model, const std::vector<Classification> &batch) {
  Stopwatch watch(batch[0].run->host());
  const uint64_t of_image = batch[0].preprocess.element_count();
  if (of_image > SIZE_MAX / sizeof(float) / batch.size()) throw std::bad_alloc();
  auto *pixels = static_cast<float *>(
      Scratch::of_thread().take(Scratch::kModelInputs, of_image * batch.size() * sizeof(float)));
  for (size_t i = 0; i < batch.size(); i++) {
    batch[i].preprocess.run(batch[i].run->task().inputs[0], pixels + i * of_image);
  }
  const uint64_t preprocess_ns = watch.lap_ns();
  if (rank_images(model, batch, pixels, preprocess_ns)) return;
  for (size_t i = 0; i < batch.size(); i++) {
    for_each_run({batch[i].run}, [&](TaskRun &) {
      rank_images(model, {batch[i]}, pixels + i * of_image, preprocess_ns);
    });
  }
}

void classify_group(const Model &model, const std::vector<Classification> &batch) {
  if (batch.empty()) return;
  try {
    classify_batch(model, batch);
  } catch (...) {
    const Reason reason = current_reason();
    for (const Classification &image : batch) {
      image.run->fail(reason);
      image.run->batch_size = static_cast<uint32_t>(batch.size());
    }
  }
}

}  // namespace

void run_preprocess(const TaskRuns &runs, WorkerPool &pool) {
  uint64_t bytes = 0;
  for (const TaskRun *run : runs) {
    if (run->task().input_count > 0) bytes += run->task().inputs[0].bytes;
  }
  if (bytes < kSharedBytesMin) {
    for_each_run(runs, preprocess_one);
    return;
  }
  pool.parallel_for(runs.size(), [&](size_t i) { for_each_run({runs[i]}, preprocess_one); });
}

void run_topk(const TaskRuns &runs) { for_each_run(runs, topk_one); }

void run_classify(const Model &model, const TaskRuns &runs) {
  if (model.inputs().size() != 1) {
    throw Failure(
        AXLE_STATUS_INVALID_ARGUMENT,
        one_line("model \"" + model.name() + "\" has " + std::to_string(model.inputs().size()) +
                 " inputs; classify needs a model with one"));
  }
  std::vector<Classification> together;
  std::vector<Classification> others;
  for_each_run(runs, [&](TaskRun &run) {
    const Arguments arguments(run.task());
    Classification image = {&run, Preprocess(only_input(run), arguments), TopK(arguments),
                            output_of(model, arguments)};
    const std::vector<int64_t> &shape = image.preprocess.shape();
    check_input(model, model.inputs()[0], AXLE_DTYPE_FP32, shape.data(), shape.size());
    const bool joins =
        model.takes_batches() && (together.empty() || (together[0].preprocess.shape() == shape &&
                                                       together[0].output == image.output));
    (joins ? together : others).push_back(std::move(image));
  });
  classify_group(model, together);
  for (const Classification &image : others) classify_group(model, {image});
}

}  // namespace axle::cpu
