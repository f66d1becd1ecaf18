// SPDX-License-Identifier: Apache-2.0
#include "image_ops.h"

#include <algorithm>
#include <cstring>

#include "../network_run.h"
#include "../tensor_checks.h"
#include "image_batch.h"
#include "image_tasks.h"
#include "topk.h"

namespace axle::cuda {

namespace {

struct PixelTask {
  TaskRun *run;
  std::shared_ptr<const Preprocess> preprocess;
};

void preprocess_part(const std::vector<PixelTask> &tasks, const ImageOpPlace &place) {
  Stopwatch watch(tasks[0].run->host());
  std::vector<ImageBatch::Item> items;
  for (const PixelTask &task : tasks) {
    items.push_back({&task.run->task().inputs[0], task.preprocess.get()});
  }
  const ImageBatch images(std::move(items));
  const LanePool::Lease lease = place.context.lanes->take();
  Lane &lane = *lease;
  BlockLayout layout;
  const uint64_t images_at = layout.add(images.device_bytes());
  const uint64_t out_bytes = uint64_t{images.elements()} * sizeof(float);
  const uint64_t out_at = layout.add(out_bytes);
  const DeviceBlock memory = take_memory(place.context, place.quota, layout.bytes(), lane.stream());
  lane.in.reserve(images.upload_bytes());
  lane.out.reserve(out_bytes);
  images.fill(lane.in.data());
  const uint64_t copy_ns = watch.lap_ns();
  images.launch(lane, place.context.kernels, lane.in.data(), memory.at(images_at),
                memory.at(out_at));
  lane.copy_out(lane.out.data(), memory.at(out_at), out_bytes);
  lane.mark();
  lane.await();
  const uint64_t compute_ns = watch.lap_ns();
  const uint64_t each = out_bytes / tasks.size();
  for (size_t i = 0; i < tasks.size(); i++) {
    for_each_run({tasks[i].run}, [&](TaskRun &run) {
      void *data = run.allocate(each);
      std::memcpy(data, lane.out.data() + i * each, each);
      const std::vector<int64_t> shape = tasks[i].preprocess->shape();
      run.emit(0, nullptr, AXLE_DTYPE_FP32, shape.data(), shape.size(), data, each);
    });
    tasks[i].run->batch_size = static_cast<uint32_t>(tasks.size());
    tasks[i].run->compute_ns = compute_ns;
    tasks[i].run->transfer_ns = copy_ns + watch.lap_ns();
  }
}

struct ScoreTask {
  TaskRun *run;
  uint64_t count;
};

void rank_part(const std::vector<ScoreTask> &tasks, const TopK &topk, const ImageOpPlace &place) {
  Stopwatch watch(tasks[0].run->host());
  std::vector<kernels::ScoreRow> rows;
  uint32_t scores = 0;
  for (const ScoreTask &task : tasks) {
    rows.push_back({scores, static_cast<uint32_t>(task.count)});
    scores += static_cast<uint32_t>(task.count);
  }
  BlockLayout layout;
  const uint64_t rows_at = layout.add(rows.size() * sizeof(kernels::ScoreRow));
  const uint64_t scores_at = layout.add(uint64_t{scores} * sizeof(float));
  const uint64_t upload_bytes = layout.bytes();
  const uint64_t result_bytes = topk.result_bytes(tasks.size());
  const uint64_t results_at = layout.add(result_bytes);
  const LanePool::Lease lease = place.context.lanes->take();
  Lane &lane = *lease;
  lane.in.reserve(upload_bytes);
  lane.out.reserve(result_bytes);
  std::memcpy(lane.in.data() + rows_at, rows.data(), rows.size() * sizeof(kernels::ScoreRow));
  for (size_t i = 0; i < tasks.size(); i++) {
    gather(tasks[i].run->task().inputs[0],
           lane.in.data() + scores_at + rows[i].first * sizeof(float));
  }
  const DeviceBlock memory = take_memory(place.context, place.quota, layout.bytes(), lane.stream());
  const uint64_t copy_ns = watch.lap_ns();
  lane.copy_in(memory.at(), lane.in.data(), upload_bytes);
  topk.launch(lane, place.context.kernels, memory.at(rows_at), static_cast<uint32_t>(rows.size()),
              memory.at(scores_at), memory.at(results_at));
  lane.copy_out(lane.out.data(), memory.at(results_at), result_bytes);
  lane.mark();
  lane.await();
  const uint64_t compute_ns = watch.lap_ns();
  for (size_t i = 0; i < tasks.size(); i++) {
    for_each_run({tasks[i].run}, [&](TaskRun &run) {
      topk.emit(lane.out.data(), i, tasks.size(), tasks[i].count, run);
    });
    tasks[i].run->batch_size = static_cast<uint32_t>(tasks.size());
    tasks[i].run->compute_ns = compute_ns;
    tasks[i].run->transfer_ns = copy_ns + watch.lap_ns();
  }
}

uint64_t check_scores(const axle_tensor &input) {
  const bool is_row = input.rank == 1 || (input.rank == 2 && input.dims[0] == 1);
  if (input.dtype != AXLE_DTYPE_FP32 || !is_row) {
    throw Failure(AXLE_STATUS_INVALID_ARGUMENT,
                  "topk takes FP32 [n] or [1, n], not " + tensor_text(input));
  }
  const uint64_t count = check_bytes(input, sizeof(float), "the scores") / sizeof(float);
  if (count > kernels::kElementsMax) {
    throw Failure(AXLE_STATUS_INVALID_ARGUMENT,
                  std::to_string(count) + " scores are too many; an index has 32 bits");
  }
  return count;
}

template <class Task>
TaskRuns runs_of(const std::vector<Task> &tasks) {
  TaskRuns runs;
  for (const Task &task : tasks) runs.push_back(task.run);
  return runs;
}

}  // namespace

void run_preprocess(const TaskRuns &runs, const ImageOpPlace &place) {
  std::vector<std::vector<PixelTask>> groups;  // of one shape of output
  for_each_run(runs, [&](TaskRun &run) {
    const auto preprocess =
        std::make_shared<const Preprocess>(only_input(run), Arguments(run.task()));
    auto group = std::find_if(groups.begin(), groups.end(), [&](const auto &tasks) {
      return tasks[0].preprocess->shape() == preprocess->shape();
    });
    if (group == groups.end()) group = groups.insert(groups.end(), std::vector<PixelTask>());
    group->push_back({&run, preprocess});
  });
  const auto cost = [](const PixelTask &task) {
    return task.preprocess->from_bytes() + uint64_t{task.preprocess->elements()} * sizeof(float);
  };
  for (const std::vector<PixelTask> &group : groups) {
    in_parts(group, place.gpu.options().slab_bytes, cost, [&](const std::vector<PixelTask> &part) {
      failing_all(runs_of(part), place.gpu, [&] { preprocess_part(part, place); });
    });
  }
}

void run_topk(const TaskRuns &runs, const ImageOpPlace &place) {
  std::vector<ScoreTask> tasks;
  const TopK topk(Arguments(runs[0]->task()));
  for_each_run(runs, [&](TaskRun &run) {
    const uint64_t count = check_scores(only_input(run));
    if (topk.on_device()) {
      tasks.push_back({&run, count});
      return;
    }
    std::vector<float> scores(count);
    gather(run.task().inputs[0], scores.data());
    topk.rank_on_host(scores.data(), count, run);
  });
  const auto cost = [](const ScoreTask &task) { return task.count * sizeof(float); };
  in_parts(tasks, place.gpu.options().slab_bytes, cost, [&](const std::vector<ScoreTask> &part) {
    failing_all(runs_of(part), place.gpu, [&] { rank_part(part, topk, place); });
  });
}

}  // namespace axle::cuda
