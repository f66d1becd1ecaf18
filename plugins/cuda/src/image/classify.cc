// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>

#include "../network_run.h"
#include "../tensor_checks.h"
#include "image_batch.h"
#include "image_ops.h"
#include "image_tasks.h"
#include "topk.h"

namespace axle::cuda {

namespace {

// A task that has passed all checks.
struct Classification {
  TaskRun *run;
  std::shared_ptr<const Preprocess> preprocess;
  size_t output;  // of the model, that holds the scores
};

size_t output_of(const Model &model, const Arguments &arguments) {
  if (!arguments.has("output")) return 0;
  const std::string name = arguments.string("output", "");
  const std::vector<NetworkPort> &outputs = model.network().outputs;
  std::string known;
  for (size_t i = 0; i < outputs.size(); i++) {
    if (outputs[i].name == name) return i;
    known += (known.empty() ? "\"" : ", \"") + outputs[i].name + "\"";
  }
  throw Failure(AXLE_STATUS_INVALID_ARGUMENT,
                one_line("model \"" + model.name() + "\" has no output \"" + name +
                         "\"; its outputs are " + known));
}

std::vector<Dims> input_dims(const std::vector<Classification> &batch) {
  Dims dims = batch[0].preprocess->shape();
  dims[0] = static_cast<int64_t>(batch.size());
  return {dims};
}

// The scores of one image among those of `images`; 0 with more than one means that they cannot be told apart.
uint64_t scores_of(const Model &model, const Dims &dims, size_t output, uint64_t images) {
  const bool is_row = dims.size() == 1 && images == 1;
  const bool has_rows = dims.size() == 2 && static_cast<uint64_t>(dims[0]) == images;
  if (is_row || has_rows) return static_cast<uint64_t>(dims.back());
  if (images > 1) return 0;
  throw Failure(AXLE_STATUS_INVALID_ARGUMENT,
                one_line("output \"" + model.network().outputs[output].name + "\" of model \"" +
                         model.name() + "\" is " + shape_text(dims) +
                         "; scores of one image are [n] or [1, n]"));
}

class Classifier {
 public:
  Classifier(const Model &model, const ImageOpPlace &place, const Arguments &arguments)
      : model_(model), place_(place), topk_(arguments) {}

  // False, with nothing done, when there is not one row of scores for each image. Throws Failure.
  bool run(const std::vector<Classification> &batch) {
    Stopwatch watch(batch[0].run->host());
    const size_t output = batch[0].output;
    const auto plan = model_.plan_for(input_dims(batch));
    const uint64_t count = scores_of(model_, plan->output_dims[output], output, batch.size());
    if (count == 0 && batch.size() > 1) return false;

    std::vector<ImageBatch::Item> items;
    std::vector<kernels::ScoreRow> rows;
    for (const Classification &image : batch) {
      items.push_back({&image.run->task().inputs[0], image.preprocess.get()});
      rows.push_back({static_cast<uint32_t>(rows.size() * count), static_cast<uint32_t>(count)});
    }
    const ImageBatch images(std::move(items));
    const uint64_t row_bytes = rows.size() * sizeof(kernels::ScoreRow);
    const uint64_t result_bytes =
        topk_.on_device() ? topk_.result_bytes(rows.size()) : rows.size() * count * sizeof(float);
    BlockLayout layout;
    const uint64_t images_at = layout.add(images.device_bytes());
    const uint64_t rows_at = layout.add(row_bytes);
    const uint64_t results_at = layout.add(result_bytes);

    NetworkRun network(place_.context, place_.quota, model_, input_dims(batch), layout.bytes());
    Lane &lane = network.lane();
    lane.in.reserve(images.upload_bytes() + row_bytes);
    lane.out.reserve(result_bytes);
    uint8_t *const rows_from = lane.in.data() + images.upload_bytes();
    images.fill(lane.in.data());
    std::memcpy(rows_from, rows.data(), row_bytes);
    const uint64_t copy_ns = watch.lap_ns();
    const Kernels &kernels = place_.context.kernels;
    images.launch(lane, kernels, lane.in.data(), network.extra() + images_at, network.input(0));
    network.launch();
    if (topk_.on_device()) {
      lane.copy_in(network.extra() + rows_at, rows_from, row_bytes);
      topk_.launch(lane, kernels, network.extra() + rows_at, static_cast<uint32_t>(rows.size()),
                   network.output(output), network.extra() + results_at);
      lane.copy_out(lane.out.data(), network.extra() + results_at, result_bytes);
    } else {
      lane.copy_out(lane.out.data(), network.output(output), result_bytes);
    }
    lane.mark();
    lane.await();
    const uint64_t compute_ns = watch.lap_ns();
    for (size_t i = 0; i < batch.size(); i++) {
      emit(batch, i, count, lane.out.data());
      batch[i].run->batch_size = static_cast<uint32_t>(batch.size());
      batch[i].run->compute_ns = compute_ns;
      batch[i].run->transfer_ns = copy_ns + watch.lap_ns();
    }
    return true;
  }

 private:
  void emit(const std::vector<Classification> &batch, size_t i, uint64_t count,
            const uint8_t *results) {
    for_each_run({batch[i].run}, [&](TaskRun &run) {
      if (topk_.on_device()) {
        topk_.emit(results, i, batch.size(), count, run);
      } else {
        topk_.rank_on_host(reinterpret_cast<const float *>(results) + i * count, count, run);
      }
    });
  }

  const Model &model_;
  const ImageOpPlace &place_;
  const TopK topk_;
};

// One by one, where they cannot run together.
void classify_part(Classifier &classifier, const std::vector<Classification> &part, Gpu &gpu) {
  TaskRuns runs;
  for (const Classification &image : part) runs.push_back(image.run);
  bool done = false;
  failing_all(runs, gpu, [&] { done = classifier.run(part); });
  if (done || runs[0]->failed()) return;
  for (const Classification &image : part) {
    failing_all({image.run}, gpu, [&] { classifier.run({image}); });
  }
}

}  // namespace

void run_classify(const Model &model, const TaskRuns &runs, const ImageOpPlace &place) {
  if (model.network().inputs.size() != 1) {
    throw Failure(AXLE_STATUS_INVALID_ARGUMENT,
                  one_line("model \"" + model.name() + "\" has " +
                           std::to_string(model.network().inputs.size()) +
                           " inputs; classify needs a model with one"));
  }
  std::vector<Classification> together;
  std::vector<Classification> others;
  for_each_run(runs, [&](TaskRun &run) {
    const Arguments arguments(run.task());
    Classification image = {&run, std::make_shared<const Preprocess>(only_input(run), arguments),
                            output_of(model, arguments)};
    const std::vector<int64_t> shape = image.preprocess->shape();
    check_input(model, model.network().inputs[0], AXLE_DTYPE_FP32, shape.data(), shape.size());
    const bool joins = model.network().takes_batches &&
                       (together.empty() || (together[0].preprocess->shape() == shape &&
                                             together[0].output == image.output));
    (joins ? together : others).push_back(std::move(image));
  });
  Classifier classifier(model, place, Arguments(runs[0]->task()));
  const auto cost = [](const Classification &image) {
    return image.preprocess->from_bytes() + uint64_t{image.preprocess->elements()} * sizeof(float);
  };
  in_parts(
      together, place.gpu.options().slab_bytes, cost,
      [&](const std::vector<Classification> &part) { classify_part(classifier, part, place.gpu); });
  for (const Classification &image : others) classify_part(classifier, {image}, place.gpu);
}

}  // namespace axle::cuda
