// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>

#include "common/test/harness.h"
#include "onnx_writer.h"
#include "test_host.h"

using namespace axle::test;

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Image {
  int64_t height;
  int64_t width;
  int64_t channels;
  std::string pixels;
};

Image make_image(int64_t height, int64_t width, int64_t channels, uint32_t seed = 1) {
  Image image = {height, width, channels, {}};
  for (int64_t i = 0; i < height * width * channels; i++) {
    seed = seed * 1664525u + 1013904223u;
    image.pixels.push_back(static_cast<char>(seed >> 24));
  }
  return image;
}

struct Settings {
  bool nhwc = false;
  bool standardize = false;
  std::vector<float> mean;
  std::vector<float> std;
};

// The definition in plugin.h, as slow and plain as it gets.
std::vector<float> reference(const Image &image, const Settings &settings) {
  const auto n = static_cast<double>(image.pixels.size());
  double m = 0;
  double s = 1;
  if (settings.standardize) {
    for (const char c : image.pixels) m += static_cast<uint8_t>(c) / n;
    double variance = 0;
    for (const char c : image.pixels) variance += std::pow(static_cast<uint8_t>(c) - m, 2) / n;
    s = std::max(std::sqrt(variance), 1 / std::sqrt(n));
  }
  std::vector<float> out(image.pixels.size());
  const int64_t plane = image.height * image.width;
  for (int64_t pixel = 0; pixel < plane; pixel++) {
    for (int64_t c = 0; c < image.channels; c++) {
      const auto at = static_cast<size_t>(pixel * image.channels + c);
      double x = (static_cast<uint8_t>(image.pixels[at]) - m) / s;
      if (!settings.mean.empty()) x -= settings.mean[static_cast<size_t>(c)];
      if (!settings.std.empty()) x /= settings.std[static_cast<size_t>(c)];
      out[settings.nhwc ? at : static_cast<size_t>(c * plane + pixel)] = static_cast<float>(x);
    }
  }
  return out;
}

void add_settings(TestTask &task, const Settings &settings) {
  if (settings.nhwc) task.arg("layout", "nhwc");
  if (settings.standardize) task.arg("standardize", "image");
  if (!settings.mean.empty()) task.arg("mean", settings.mean);
  if (!settings.std.empty()) task.arg("std", settings.std);
}

void check_close(const std::vector<float> &a, const std::vector<float> &b) {
  CHECK_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); i++) {
    if (!(std::fabs(a[i] - b[i]) <= 1e-5f * std::max(1.0f, std::fabs(b[i])))) {
      CHECK_EQ(a[i], b[i]);
    }
  }
}

TestTask &ranked(Plugin &plugin, TestTask &task, const std::vector<float> &scores) {
  task.tensor("scores", AXLE_DTYPE_FP32, {static_cast<int64_t>(scores.size())}, scores);
  return plugin.run(task);
}

}  // namespace

TEST(preprocess_follows_its_definition) {
  Plugin plugin;
  for (const int64_t channels : {1, 2, 3, 4, 7}) {
    for (const int64_t side : {1, 5, 33}) {
      const Image image = make_image(side, side + 2, channels);
      std::vector<float> mean;
      std::vector<float> std;
      for (int64_t c = 0; c < channels; c++) {
        mean.push_back(100.0f + static_cast<float>(c) * 10);
        std.push_back(50.0f + static_cast<float>(c));
      }
      for (int bits = 0; bits < 8; bits++) {
        Settings settings;
        settings.nhwc = (bits & 1) != 0;
        settings.standardize = (bits & 2) != 0;
        if ((bits & 4) != 0) {
          settings.mean = mean;
          settings.std = std;
        }
        TestTask task(AXLE_OP_PREPROCESS);
        task.input("image", AXLE_DTYPE_UINT8, {image.height, image.width, channels}, image.pixels,
                   {1, image.pixels.size() / 2 + 1});
        add_settings(task, settings);
        const Output &out = plugin.run(task).output(0);
        check_close(out.as<float>(), reference(image, settings));
        CHECK(out.dims == (settings.nhwc
                               ? std::vector<int64_t>({1, image.height, image.width, channels})
                               : std::vector<int64_t>({1, channels, image.height, image.width})));
      }
    }
  }
}

TEST(preprocess_of_a_flat_image_is_finite) {
  Plugin plugin;
  TestTask task(AXLE_OP_PREPROCESS);
  task.input("image", AXLE_DTYPE_UINT8, {8, 8, 1}, std::string(64, '\x7F'))
      .arg("standardize", "image");
  for (const float y : plugin.run(task).output(0).as<float>()) CHECK_EQ(y, 0.0f);
}

namespace {

std::vector<float> scaled(Plugin &plugin, const Image &image, int64_t width, int64_t height) {
  TestTask task(AXLE_OP_PREPROCESS);
  task.input("image", AXLE_DTYPE_UINT8, {image.height, image.width, image.channels}, image.pixels,
             {5})
      .arg("layout", "nhwc")
      .arg("width", width)
      .arg("height", height);
  const Output &out = plugin.run(task).output(0);
  CHECK(out.dims == std::vector<int64_t>({1, height, width, image.channels}));
  return out.as<float>();
}

// Lanczos with 3 lobes, widened by the factor of reduction, as slow and plain as it gets.
double weight_of(int64_t at, int64_t wanted, double scale) {
  const double widening = std::max(scale, 1.0);
  const double x = (static_cast<double>(at) + 0.5 - (static_cast<double>(wanted) + 0.5) * scale) /
                   widening * 3.14159265358979323846;
  if (x == 0) return 1;
  if (std::fabs(x) >= 3 * 3.14159265358979323846) return 0;
  return std::sin(x) / x * std::sin(x / 3) / (x / 3);
}

std::vector<float> scaled_plainly(const Image &image, int64_t width, int64_t height) {
  const double across = static_cast<double>(image.width) / static_cast<double>(width);
  const double down = static_cast<double>(image.height) / static_cast<double>(height);
  std::vector<float> out;
  for (int64_t y = 0; y < height; y++) {
    for (int64_t x = 0; x < width; x++) {
      for (int64_t c = 0; c < image.channels; c++) {
        double sum = 0;
        double weights = 0;
        for (int64_t v = 0; v < image.height; v++) {
          for (int64_t u = 0; u < image.width; u++) {
            const double weight = weight_of(v, y, down) * weight_of(u, x, across);
            const auto at = static_cast<size_t>((v * image.width + u) * image.channels + c);
            sum += weight * static_cast<uint8_t>(image.pixels[at]);
            weights += weight;
          }
        }
        out.push_back(static_cast<float>(std::clamp(sum / weights, 0.0, 255.0)));
      }
    }
  }
  return out;
}

}  // namespace

TEST(preprocess_scales_with_a_lanczos_filter) {
  Plugin plugin;
  for (const auto &[width, height] :
       {std::pair<int64_t, int64_t>{7, 9}, {31, 3}, {40, 50}, {1, 1}}) {
    for (const int64_t channels : {1, 3}) {
      // Less than four times as large in both directions, so that no blocks are averaged.
      const Image image = make_image(std::min<int64_t>(4 * height - 1, 27),
                                     std::min<int64_t>(4 * width - 1, 23), channels);
      const std::vector<float> out = scaled(plugin, image, width, height);
      const std::vector<float> wanted = scaled_plainly(image, width, height);
      for (size_t i = 0; i < out.size(); i++) CHECK(std::fabs(out[i] - wanted[i]) <= 0.51f);
    }
  }
}

TEST(preprocess_scales_large_images_without_a_shift) {
  Plugin plugin;
  for (const int64_t side : {48, 193, 500, 1031}) {
    Image ramp = {side, side, 2, {}};
    for (int64_t y = 0; y < side; y++) {
      for (int64_t x = 0; x < side; x++) {
        ramp.pixels.push_back(static_cast<char>(255 * x / (side - 1)));
        ramp.pixels.push_back(static_cast<char>(200));
      }
    }
    constexpr int64_t wanted = 24;
    const std::vector<float> out = scaled(plugin, ramp, wanted, wanted);
    for (int64_t i = 0; i < wanted * wanted; i++) {
      const auto at = static_cast<size_t>(i * 2);
      const double x = (static_cast<double>(i % wanted) + 0.5) * static_cast<double>(side) / wanted;
      const double there = 255 * (x - 0.5) / static_cast<double>(side - 1);
      const bool at_edge = i % wanted < 3 || i % wanted >= wanted - 3;
      if (!at_edge) CHECK(std::fabs(out[at] - there) <= 1.5);
      CHECK_EQ(out[at + 1], 200.0f);
    }
  }
}

TEST(preprocess_shares_a_large_batch_among_threads) {
  Plugin plugin(Plugin::Options{{"threads", "3"}});
  const Image image = make_image(512, 512, 3);
  std::vector<std::unique_ptr<TestTask>> tasks;
  std::vector<TestTask *> list;
  for (int i = 0; i < 9; i++) {
    tasks.push_back(std::make_unique<TestTask>(AXLE_OP_PREPROCESS));
    tasks.back()->input("image", AXLE_DTYPE_UINT8, {512, 512, 3}, image.pixels, {7});
    list.push_back(tasks.back().get());
  }
  CHECK_EQ(plugin.submit(list), AXLE_STATUS_OK);
  const std::vector<float> wanted = reference(image, {});
  for (TestTask *task : list) {
    task->wait();
    check_close(task->output(0).as<float>(), wanted);
  }
}

TEST(preprocess_says_what_is_wrong) {
  Plugin plugin;
  const auto message = [&](TestTask &task) {
    CHECK_EQ(plugin.run(task).status(), AXLE_STATUS_INVALID_ARGUMENT);
    return task.message();
  };
  const auto image = [](TestTask &task) -> TestTask & {
    return task.input("image", AXLE_DTYPE_UINT8, {2, 2, 3}, std::string(12, 'x'));
  };
  {
    TestTask task(AXLE_OP_PREPROCESS);
    CHECK_HAS(message(task), "takes one input, not 0");
  }
  {
    TestTask task(AXLE_OP_PREPROCESS);
    task.tensor<float>("image", AXLE_DTYPE_FP32, {1, 1, 1}, {1});
    CHECK_HAS(message(task), "takes UINT8 [height, width, channels], not FP32 [1, 1, 1]");
  }
  {
    TestTask task(AXLE_OP_PREPROCESS);
    task.input("image", AXLE_DTYPE_UINT8, {2, 0, 3}, "");
    CHECK_HAS(message(task), "without pixels");
  }
  {
    TestTask task(AXLE_OP_PREPROCESS);
    CHECK_HAS(message(image(task).arg("layout", "chwn")), "give \"nchw\" or \"nhwc\"");
  }
  {
    TestTask task(AXLE_OP_PREPROCESS);
    CHECK_HAS(message(image(task).arg("mean", std::vector<float>{1, 2})), "each of the 3 channels");
  }
  {
    TestTask task(AXLE_OP_PREPROCESS);
    CHECK_HAS(message(image(task).arg("std", std::vector<float>{1, 0, 1})), "is 0");
  }
  {
    TestTask task(AXLE_OP_PREPROCESS);
    CHECK_HAS(message(image(task).arg("mean", "1,2,3")), "give it as BYTES");
  }
  for (const int64_t side : {int64_t{0}, int64_t{-1}, int64_t{16385}, INT64_MAX}) {
    TestTask task(AXLE_OP_PREPROCESS);
    CHECK_HAS(message(image(task).arg("height", side)), "give 1 to 16384");
  }
}

TEST(topk_orders_by_score_then_index_and_nan_last) {
  Plugin plugin;
  const std::vector<float> scores = {1, kNan, 3, 3, -kInf, kInf, kNan, -2};
  const std::vector<int32_t> order = {5, 2, 3, 0, 7, 4, 1, 6};
  for (int64_t k = 1; k <= 10; k++) {
    TestTask task(AXLE_OP_TOPK);
    task.arg("k", k);
    ranked(plugin, task, scores);
    const auto n = static_cast<size_t>(std::min<int64_t>(k, 8));
    CHECK(task.output(0).as<int32_t>() ==
          std::vector<int32_t>(order.begin(), order.begin() + static_cast<ptrdiff_t>(n)));
    CHECK(task.output(0).dims == std::vector<int64_t>({static_cast<int64_t>(n)}));
    CHECK_EQ(task.output(0).dtype, AXLE_DTYPE_INT32);
    const std::vector<float> best = task.output(1).as<float>();
    CHECK_EQ(best.size(), n);
    for (size_t i = 0; i < n; i++) {
      const float wanted = scores[static_cast<size_t>(order[i])];
      CHECK(best[i] == wanted || (std::isnan(best[i]) && std::isnan(wanted)));
    }
  }
}

TEST(topk_softmax_is_stable) {
  Plugin plugin;
  const auto softmax = [&](const std::vector<float> &logits) {
    TestTask task(AXLE_OP_TOPK);
    task.arg("k", static_cast<int64_t>(100)).arg_bool("softmax", true);
    ranked(plugin, task, logits);
    std::vector<float> scores(logits.size());
    const std::vector<int32_t> indices = task.output(0).as<int32_t>();
    const std::vector<float> best = task.output(1).as<float>();
    for (size_t i = 0; i < indices.size(); i++) scores[static_cast<size_t>(indices[i])] = best[i];
    return scores;
  };
  check_close(softmax({1, 2, 3}), {0.09003057f, 0.24472847f, 0.66524096f});
  check_close(softmax({1e4f, 1e4f + 1, -1e4f}), {0.26894142f, 0.73105858f, 0});
  check_close(softmax({-3e38f, -3e38f}), {0.5f, 0.5f});
  check_close(softmax({kInf, 1, kInf}), {0.5f, 0, 0.5f});
  check_close(softmax({-kInf, -kInf}), {0.5f, 0.5f});
  const std::vector<float> with_nan = softmax({0, kNan, 0});
  CHECK_EQ(with_nan[0], 0.5f);
  CHECK(std::isnan(with_nan[1]));
}

TEST(topk_at_its_edges) {
  Plugin plugin;
  {
    TestTask task(AXLE_OP_TOPK);
    ranked(plugin, task, {});
    CHECK(task.output(0).dims == std::vector<int64_t>({0}));
    CHECK_EQ(task.output(1).bytes.size(), 0u);
  }
  {
    TestTask task(AXLE_OP_TOPK);
    task.tensor<float>("scores", AXLE_DTYPE_FP32, {1, 3}, {1, 3, 2});
    CHECK_EQ(plugin.run(task).output(0).as<int32_t>()[0], 1);
  }
  {
    TestTask task(AXLE_OP_TOPK);
    task.arg("k", static_cast<int64_t>(0));
    CHECK_HAS(ranked(plugin, task, {1}).message(), "give at least 1");
  }
  {
    TestTask task(AXLE_OP_TOPK);
    task.tensor<float>("scores", AXLE_DTYPE_FP32, {2, 2}, {1, 3, 2, 4});
    CHECK_HAS(plugin.run(task).message(), "takes FP32 [n] or [1, n], not FP32 [2, 2]");
  }
}

namespace {

// Four classes: the mean of each quarter of a 1 x 4 x 4 image, doubled in a second output.
std::string quarters(const Dim &batch) {
  return Graph()
      .input("pixels", kFloat, {batch, 1, 4, 4})
      .output("scores", kFloat, {batch, 4})
      .output("doubled", kFloat, {batch, 4})
      .output("image", kFloat, {batch, 1, 2, 2})
      .output("class", kInt64, {batch})
      .node("AveragePool", {"pixels"}, {"image"},
            {ints_attribute("kernel_shape", {2, 2}), ints_attribute("strides", {2, 2})})
      .initializer(tensor("shape", kInt64, {2}, raw<int64_t>({-1, 4})))
      .node("Reshape", {"image", "shape"}, {"scores"})
      .node("Add", {"scores", "scores"}, {"doubled"})
      .node("ArgMax", {"scores"}, {"class"},
            {int_attribute("axis", 1), int_attribute("keepdims", 0)})
      .model();
}

TestTask &classify_task(TestTask &task, const Image &image) {
  return task
      .input(nullptr, AXLE_DTYPE_UINT8, {image.height, image.width, image.channels}, image.pixels,
             {3})
      .range(1, 3);
}

}  // namespace

TEST(fused_classify_gives_what_its_steps_give) {
  need_onnxruntime();
  Plugin plugin;
  for (const Dim &batch : {Dim("n"), Dim(1)}) {
    axle_model *model = plugin.load(quarters(batch));
    std::vector<std::unique_ptr<TestTask>> tasks;
    std::vector<TestTask *> list;
    for (uint32_t i = 0; i < 6; i++) {
      tasks.push_back(std::make_unique<TestTask>(AXLE_OP_CLASSIFY, model));
      classify_task(*tasks.back(), make_image(4, 4, 1, i))
          .arg("k", static_cast<int64_t>(2))
          .arg("standardize", "image")
          .arg_bool("softmax", true)
          .arg("output", "doubled");
      list.push_back(tasks.back().get());
    }
    CHECK_EQ(plugin.submit(list), AXLE_STATUS_OK);
    for (uint32_t i = 0; i < 6; i++) {
      TestTask &fused = *tasks[i];
      fused.wait();
      CHECK_EQ(fused.completion().batch_size, batch.size == 1 ? 1u : 6u);

      const Image image = make_image(4, 4, 1, i);
      TestTask step1(AXLE_OP_PREPROCESS);
      step1.input(nullptr, AXLE_DTYPE_UINT8, {4, 4, 1}, image.pixels).arg("standardize", "image");
      TestTask step2(AXLE_OP_INFER, model);
      step2.input("pixels", AXLE_DTYPE_FP32, {1, 1, 4, 4}, plugin.run(step1).output(0).bytes);
      TestTask step3(AXLE_OP_TOPK);
      step3.input(nullptr, AXLE_DTYPE_FP32, {1, 4}, plugin.run(step2).output(1).bytes)
          .arg("k", static_cast<int64_t>(2))
          .arg_bool("softmax", true);
      plugin.run(step3);
      CHECK(fused.output(0).as<int32_t>() == step3.output(0).as<int32_t>());
      check_close(fused.output(1).as<float>(), step3.output(1).as<float>());
    }
  }
}

TEST(fused_classify_takes_images_of_several_sizes_in_one_batch) {
  need_onnxruntime();
  Plugin plugin;
  axle_model *model = plugin.load(quarters("n"));
  std::vector<std::unique_ptr<TestTask>> tasks;
  std::vector<TestTask *> list;
  const auto add_size = [](TestTask &task) {
    task.arg("width", static_cast<int64_t>(4)).arg("height", static_cast<int64_t>(4));
  };
  for (uint32_t i = 0; i < 4; i++) {
    tasks.push_back(std::make_unique<TestTask>(AXLE_OP_CLASSIFY, model));
    add_size(
        classify_task(*tasks.back(), make_image(4 + int64_t{i} * 13, 4 + int64_t{i} * 7, 1, i)));
    list.push_back(tasks.back().get());
  }
  CHECK_EQ(plugin.submit(list), AXLE_STATUS_OK);
  for (uint32_t i = 0; i < 4; i++) {
    tasks[i]->wait();
    CHECK_EQ(tasks[i]->completion().batch_size, 4u);
    TestTask alone(AXLE_OP_CLASSIFY, model);
    add_size(classify_task(alone, make_image(4 + int64_t{i} * 13, 4 + int64_t{i} * 7, 1, i)));
    plugin.run(alone);
    CHECK(tasks[i]->output(0).as<int32_t>() == alone.output(0).as<int32_t>());
    check_close(tasks[i]->output(1).as<float>(), alone.output(1).as<float>());
  }
}

TEST(fused_classify_says_what_is_wrong) {
  need_onnxruntime();
  Plugin plugin;
  axle_model *model = plugin.load(quarters("n"));
  const auto message = [&](TestTask &task) {
    CHECK_EQ(plugin.run(task).status(), AXLE_STATUS_INVALID_ARGUMENT);
    return task.message();
  };
  {
    TestTask task(AXLE_OP_CLASSIFY, model);
    CHECK_HAS(
        message(classify_task(task, make_image(4, 4, 3))),
        "input \"pixels\" of model \"test\" takes FP32 [any, 1, 4, 4], not FP32 [1, 3, 4, 4]");
  }
  {
    TestTask task(AXLE_OP_CLASSIFY, model);
    CHECK_HAS(
        message(classify_task(task, make_image(4, 4, 1)).arg("output", "logits")),
        "no output \"logits\"; its outputs are \"scores\", \"doubled\", \"image\", \"class\"");
  }
  {
    TestTask task(AXLE_OP_CLASSIFY, model);
    CHECK_HAS(message(classify_task(task, make_image(4, 4, 1)).arg("output", "class")),
              "is INT64 [any]; scores are FP32");
  }
  {
    TestTask task(AXLE_OP_CLASSIFY, model);
    CHECK_HAS(message(classify_task(task, make_image(4, 4, 1)).arg("output", "image")),
              "scores of one image are [n] or [1, n]");
  }
  // One wrong image among right ones.
  TestTask right(AXLE_OP_CLASSIFY, model);
  TestTask wrong(AXLE_OP_CLASSIFY, model);
  TestTask other(AXLE_OP_CLASSIFY, model);
  classify_task(right, make_image(4, 4, 1));
  classify_task(wrong, make_image(5, 4, 1));
  classify_task(other, make_image(4, 4, 1));
  CHECK_EQ(plugin.submit({&right, &wrong, &other}), AXLE_STATUS_OK);
  for (TestTask *task : {&right, &wrong, &other}) task->wait();
  CHECK_EQ(wrong.status(), AXLE_STATUS_INVALID_ARGUMENT);
  CHECK(right.output(0).bytes == other.output(0).bytes);
  CHECK_EQ(right.completion().batch_size, 2u);
}
