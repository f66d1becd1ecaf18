// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <thread>

#include "common/test/harness.h"
#include "onnx_writer.h"
#include "test_host.h"

using namespace axle::test;

namespace {

std::string identity(int type, const std::vector<Dim> &dims) {
  return Graph()
      .input("x", type, dims)
      .output("y", type, dims)
      .node("Identity", {"x"}, {"y"})
      .model();
}

// y[n, 2] = x[n, 3] * w + b
std::string linear(const Dim &batch) {
  return Graph()
      .input("x", kFloat, {batch, 3})
      .output("y", kFloat, {batch, 2})
      .initializer(tensor("w", kFloat, {3, 2}, raw<float>({1, 2, 3, 4, 5, 6})))
      .initializer(tensor("b", kFloat, {2}, raw<float>({0.5f, -0.5f})))
      .node("MatMul", {"x", "w"}, {"m"})
      .node("Add", {"m", "b"}, {"y"})
      .model();
}

std::vector<float> linear_of(const std::vector<float> &x) {
  std::vector<float> y(x.size() / 3 * 2);
  for (size_t row = 0; row < x.size() / 3; row++) {
    const float *v = &x[row * 3];
    y[row * 2] = v[0] * 1 + v[1] * 3 + v[2] * 5 + 0.5f;
    y[row * 2 + 1] = v[0] * 2 + v[1] * 4 + v[2] * 6 - 0.5f;
  }
  return y;
}

std::string element(const std::string &text) {
  const auto length = static_cast<uint32_t>(text.size());
  return std::string(reinterpret_cast<const char *>(&length), 4) + text;
}

void check_close(const std::vector<float> &a, const std::vector<float> &b) {
  CHECK_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); i++) CHECK(std::fabs(a[i] - b[i]) <= 1e-5f);
}

}  // namespace

TEST(infer_gives_the_reference_result) {
  need_onnxruntime();
  Plugin plugin;
  axle_model *model = plugin.load(linear("n"));
  const std::vector<float> x = {1, 2, 3, -4, 5, 0.25f};
  TestTask task(AXLE_OP_INFER, model);
  task.tensor<float>("x", AXLE_DTYPE_FP32, {2, 3}, x);
  const Output &y = plugin.run(task).output(0);
  CHECK_EQ(y.name, "y");
  CHECK_EQ(y.dtype, AXLE_DTYPE_FP32);
  CHECK(y.dims == std::vector<int64_t>({2, 2}));
  check_close(y.as<float>(), linear_of(x));
  CHECK_EQ(task.completion().batch_size, 1u);
  CHECK(task.completion().compute_ns > 0);
}

TEST(infer_takes_positional_inputs_and_scattered_data) {
  need_onnxruntime();
  Plugin plugin;
  axle_model *model = plugin.load(linear("n"));
  const std::vector<float> x = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  for (const std::vector<size_t> &cuts :
       {std::vector<size_t>{}, {0}, {1}, {5, 5, 6, 19}, {36}, {4, 8, 12, 16}}) {
    TestTask task(AXLE_OP_INFER, model);
    task.input(nullptr, AXLE_DTYPE_FP32, {3, 3}, raw(x), cuts);
    check_close(plugin.run(task).output(0).as<float>(), linear_of(x));
  }
}

TEST(infer_reads_unaligned_data) {
  need_onnxruntime();
  Plugin plugin;
  axle_model *model = plugin.load(linear("n"));
  const std::vector<float> x = {1, 2, 3};
  for (size_t shift = 0; shift < 9; shift++) {
    TestTask task(AXLE_OP_INFER, model);
    task.tensor<float>("x", AXLE_DTYPE_FP32, {1, 3}, x);
    std::string shifted = std::string(shift, '?') + raw(x);
    axle_segment segment = {shifted.data() + shift, 12};
    const_cast<axle_tensor *>(task.raw()->inputs)[0].segments = &segment;
    std::vector<axle_task *> list = {task.raw()};
    const_cast<axle_tensor *>(list[0]->inputs)[0].segments = &segment;
    axle_error error = make_error();
    CHECK_EQ(plugin.table()->submit(plugin.instance(), plugin.queue(), list.data(), 1, &error),
             AXLE_STATUS_OK);
    task.wait();
    check_close(task.output(0).as<float>(), linear_of(x));
  }
}

TEST(infer_passes_every_type_through) {
  need_onnxruntime();
  Plugin plugin;
  const struct {
    int onnx;
    uint32_t dtype;
    size_t bytes;
  } types[] = {{kBool, AXLE_DTYPE_BOOL, 1},     {kUint8, AXLE_DTYPE_UINT8, 1},
               {kUint16, AXLE_DTYPE_UINT16, 2}, {kUint32, AXLE_DTYPE_UINT32, 4},
               {kUint64, AXLE_DTYPE_UINT64, 8}, {kInt8, AXLE_DTYPE_INT8, 1},
               {kInt16, AXLE_DTYPE_INT16, 2},   {kInt32, AXLE_DTYPE_INT32, 4},
               {kInt64, AXLE_DTYPE_INT64, 8},   {kFloat16, AXLE_DTYPE_FP16, 2},
               {kFloat, AXLE_DTYPE_FP32, 4},    {kDouble, AXLE_DTYPE_FP64, 8},
               {kBfloat16, AXLE_DTYPE_BF16, 2}};
  for (const auto &type : types) {
    axle_model *model = plugin.load(identity(type.onnx, {"n", 2}));
    axle_model_info info = {};
    info.struct_size = sizeof(info);
    plugin.table()->model_info(plugin.instance(), model, &info);
    CHECK_EQ(info.inputs[0].dtype, type.dtype);
    std::string bytes;
    for (size_t i = 0; i < 6 * type.bytes; i++) {
      bytes.push_back(type.onnx == kBool ? static_cast<char>(i % 2) : static_cast<char>(i + 1));
    }
    TestTask task(AXLE_OP_INFER, model);
    task.input("x", type.dtype, {3, 2}, bytes, {1});
    CHECK(plugin.run(task).output(0).bytes == bytes);
    CHECK_EQ(task.output(0).dtype, type.dtype);

    // Also as a batch, whose rows come apart again.
    TestTask one(AXLE_OP_INFER, model);
    TestTask two(AXLE_OP_INFER, model);
    one.input("x", type.dtype, {1, 2}, bytes.substr(0, 2 * type.bytes));
    two.input("x", type.dtype, {2, 2}, bytes.substr(2 * type.bytes));
    CHECK_EQ(plugin.submit({&one, &two}), AXLE_STATUS_OK);
    one.wait();
    two.wait();
    CHECK(one.output(0).bytes + two.output(0).bytes == bytes);
    CHECK_EQ(two.completion().batch_size, 2u);
  }
}

TEST(infer_takes_strings) {
  need_onnxruntime();
  Plugin plugin;
  axle_model *model = plugin.load(identity(kString, {"n", 2}));
  const std::string rows[] = {element("") + element(std::string("a\0b", 3)),
                              element("\xC3\xA9") + element(std::string(1000, 'x'))};
  TestTask both(AXLE_OP_INFER, model);
  both.input("x", AXLE_DTYPE_BYTES, {2, 2}, rows[0] + rows[1], {2, 9});
  CHECK(plugin.run(both).output(0).bytes == rows[0] + rows[1]);

  TestTask one(AXLE_OP_INFER, model);
  TestTask bad(AXLE_OP_INFER, model);
  TestTask two(AXLE_OP_INFER, model);
  one.input("x", AXLE_DTYPE_BYTES, {1, 2}, rows[0]);
  bad.input("x", AXLE_DTYPE_BYTES, {1, 2}, rows[0] + "?");
  two.input("x", AXLE_DTYPE_BYTES, {1, 2}, rows[1]);
  CHECK_EQ(plugin.submit({&one, &bad, &two}), AXLE_STATUS_OK);
  for (TestTask *task : {&one, &bad, &two}) task->wait();
  CHECK(one.output(0).bytes == rows[0]);
  CHECK(two.output(0).bytes == rows[1]);
  CHECK_EQ(one.completion().batch_size, 2u);
  CHECK_EQ(bad.status(), AXLE_STATUS_INVALID_ARGUMENT);
  CHECK_HAS(bad.message(), "after the last one");

  for (const std::string &wrong :
       {std::string(), element("a"), std::string("\xFF\xFF\xFF\xFF????", 8)}) {
    TestTask task(AXLE_OP_INFER, model);
    task.input("x", AXLE_DTYPE_BYTES, {1, 2}, wrong);
    CHECK_EQ(plugin.run(task).status(), AXLE_STATUS_INVALID_ARGUMENT);
    CHECK_HAS(task.message(), "ends too early");
  }
}

TEST(infer_says_what_is_wrong_with_an_input) {
  need_onnxruntime();
  Plugin plugin;
  axle_model *model = plugin.load(Graph()
                                      .input("image", kFloat, {"n", 3})
                                      .input("scale", kFloat, {1})
                                      .output("y", kFloat, {"n", 3})
                                      .node("Mul", {"image", "scale"}, {"y"})
                                      .model());
  const std::vector<float> three(3);
  const std::vector<float> one(1);
  const auto message = [&](TestTask &task) {
    CHECK_EQ(plugin.run(task).status(), AXLE_STATUS_INVALID_ARGUMENT);
    return task.message();
  };
  {
    TestTask task(AXLE_OP_INFER, model);
    task.tensor("picture", AXLE_DTYPE_FP32, {1, 3}, three);
    const std::string text = message(task);
    CHECK_HAS(text, "input \"picture\" is not known");
    CHECK_HAS(text, "\"image\" FP32 [any, 3], \"scale\" FP32 [1]");
  }
  {
    TestTask task(AXLE_OP_INFER, model);
    task.tensor("image", AXLE_DTYPE_FP32, {1, 3}, three);
    const std::string text = message(task);
    CHECK_HAS(text, "input \"scale\" is missing");
    CHECK_HAS(text, "\"image\" FP32 [any, 3]");
  }
  {
    TestTask task(AXLE_OP_INFER, model);
    task.tensor("image", AXLE_DTYPE_FP32, {1, 3}, three)
        .tensor("image", AXLE_DTYPE_FP32, {1, 3}, three);
    CHECK_HAS(message(task), "input \"image\" is given twice");
  }
  {
    TestTask task(AXLE_OP_INFER, model);
    task.tensor("image", AXLE_DTYPE_FP32, {3}, three);
    CHECK_HAS(message(task), "input \"image\" of model \"test\" takes FP32 [any, 3], not FP32 [3]");
  }
  {
    TestTask task(AXLE_OP_INFER, model);
    task.tensor("image", AXLE_DTYPE_INT32, {1, 3}, three);
    CHECK_HAS(message(task), "takes FP32 [any, 3], not INT32 [1, 3]");
  }
  {
    TestTask task(AXLE_OP_INFER, model);
    task.tensor(nullptr, AXLE_DTYPE_FP32, {1, 3}, three)
        .tensor(nullptr, AXLE_DTYPE_FP32, {1}, one)
        .tensor(nullptr, AXLE_DTYPE_FP32, {1}, one);
    CHECK_HAS(message(task), "input 2 is one too many");
  }
  {
    TestTask task(AXLE_OP_INFER, model);
    task.tensor("image", AXLE_DTYPE_FP32, {2, 3}, three);
    CHECK_HAS(message(task), "came with 12 bytes");
  }
}

TEST(a_batch_is_computed_together_and_taken_apart) {
  need_onnxruntime();
  Plugin plugin;
  axle_model *model = plugin.load(linear("n"));
  std::vector<std::unique_ptr<TestTask>> tasks;
  std::vector<TestTask *> list;
  std::vector<std::vector<float>> inputs;
  for (int i = 0; i < 7; i++) {
    const int rows = i % 3 + 1;
    std::vector<float> x;
    for (int j = 0; j < rows * 3; j++) x.push_back(static_cast<float>(i * 10 + j));
    inputs.push_back(x);
    tasks.push_back(std::make_unique<TestTask>(AXLE_OP_INFER, model));
    tasks.back()->tensor("x", AXLE_DTYPE_FP32, {rows, 3}, x);
    list.push_back(tasks.back().get());
  }
  // One that is wrong in itself harms no other.
  TestTask wrong(AXLE_OP_INFER, model);
  wrong.tensor<float>("x", AXLE_DTYPE_FP32, {1, 2}, {1, 2});
  list.insert(list.begin() + 3, &wrong);
  CHECK_EQ(plugin.submit(list), AXLE_STATUS_OK);
  for (TestTask *task : list) task->wait();
  CHECK_EQ(wrong.status(), AXLE_STATUS_INVALID_ARGUMENT);
  for (size_t i = 0; i < tasks.size(); i++) {
    check_close(tasks[i]->output(0).as<float>(), linear_of(inputs[i]));
    CHECK_EQ(tasks[i]->completion().batch_size, 7u);
  }
}

TEST(a_model_of_fixed_batch_runs_one_by_one) {
  need_onnxruntime();
  Plugin plugin;
  axle_model *model = plugin.load(linear(1));
  const std::vector<float> x = {1, 2, 3};
  TestTask a(AXLE_OP_INFER, model);
  TestTask b(AXLE_OP_INFER, model);
  TestTask c(AXLE_OP_INFER, model);
  a.tensor("x", AXLE_DTYPE_FP32, {1, 3}, x);
  b.tensor("x", AXLE_DTYPE_FP32, {1, 3}, x);
  c.tensor<float>("x", AXLE_DTYPE_FP32, {2, 3}, {1, 2, 3, 4, 5, 6});
  CHECK_EQ(plugin.submit({&a, &b, &c}), AXLE_STATUS_OK);
  for (TestTask *task : {&a, &b, &c}) task->wait();
  check_close(a.output(0).as<float>(), linear_of(x));
  check_close(b.output(0).as<float>(), linear_of(x));
  CHECK_EQ(a.completion().batch_size, 1u);
  CHECK_HAS(c.message(), "takes FP32 [1, 3], not FP32 [2, 3]");
}

// An output whose first dimension only looks like the batch.
TEST(a_batch_that_cannot_be_taken_apart_runs_one_by_one) {
  need_onnxruntime();
  Plugin plugin;
  axle_model *model =
      plugin.load(Graph()
                      .input("x", kFloat, {"n", 2})
                      .output("y", kFloat, {"n"})
                      .node("ReduceSum", {"x"}, {"s"}, {int_attribute("keepdims", 0)})
                      .initializer(tensor("one", kInt64, {1}, raw<int64_t>({1})))
                      .node("Reshape", {"s", "one"}, {"y"})
                      .model());
  TestTask a(AXLE_OP_INFER, model);
  TestTask b(AXLE_OP_INFER, model);
  a.tensor<float>("x", AXLE_DTYPE_FP32, {2, 2}, {1, 2, 3, 4});
  b.tensor<float>("x", AXLE_DTYPE_FP32, {2, 2}, {5, 6, 7, 8});
  CHECK_EQ(plugin.submit({&a, &b}), AXLE_STATUS_OK);
  a.wait();
  b.wait();
  // The declared shape [n] = [2] is not what comes, so binding the output fails and is given up.
  CHECK(a.output(0).dims == std::vector<int64_t>({1}));
  CHECK(a.output(0).as<float>() == std::vector<float>({10}));
  CHECK(b.output(0).as<float>() == std::vector<float>({26}));
}

TEST(a_failed_batch_fails_every_task_of_it) {
  need_onnxruntime();
  Plugin plugin;
  axle_model *model = plugin.load(Graph()
                                      .input("i", kInt64, {"n"})
                                      .output("y", kFloat, {"n"})
                                      .initializer(tensor("t", kFloat, {3}, raw<float>({1, 2, 3})))
                                      .node("Gather", {"t", "i"}, {"y"})
                                      .model());
  TestTask good(AXLE_OP_INFER, model);
  TestTask bad(AXLE_OP_INFER, model);
  good.tensor<int64_t>("i", AXLE_DTYPE_INT64, {2}, {2, 0});
  bad.tensor<int64_t>("i", AXLE_DTYPE_INT64, {1}, {7});
  CHECK_EQ(plugin.submit({&good, &bad}), AXLE_STATUS_OK);
  good.wait();
  bad.wait();
  CHECK_EQ(good.status(), AXLE_STATUS_INVALID_ARGUMENT);
  CHECK_EQ(bad.status(), AXLE_STATUS_INVALID_ARGUMENT);
  CHECK_HAS(bad.message(), "out of data bounds");
  CHECK_EQ(good.completion().batch_size, 2u);

  TestTask alone(AXLE_OP_INFER, model);
  alone.tensor<int64_t>("i", AXLE_DTYPE_INT64, {2}, {2, 0});
  CHECK(plugin.run(alone).output(0).as<float>() == std::vector<float>({3, 1}));
}

TEST(outputs_stay_under_the_cap) {
  need_onnxruntime();
  Plugin plugin;
  axle_model *model = plugin.load(linear("n"));
  for (const uint64_t cap : {0u, 7u, 8u}) {
    TestTask task(AXLE_OP_INFER, model);
    task.tensor<float>("x", AXLE_DTYPE_FP32, {1, 3}, {1, 2, 3}).output_bytes_max(cap);
    plugin.run(task);
    CHECK_EQ(task.status(), cap == 8 ? AXLE_STATUS_OK : AXLE_STATUS_RESOURCE_EXHAUSTED);
  }
  TestTask small(AXLE_OP_INFER, model);
  TestTask large(AXLE_OP_INFER, model);
  small.tensor<float>("x", AXLE_DTYPE_FP32, {1, 3}, {1, 2, 3}).output_bytes_max(7);
  large.tensor<float>("x", AXLE_DTYPE_FP32, {1, 3}, {1, 2, 3});
  CHECK_EQ(plugin.submit({&small, &large}), AXLE_STATUS_OK);
  small.wait();
  large.wait();
  CHECK_EQ(small.status(), AXLE_STATUS_RESOURCE_EXHAUSTED);
  CHECK_HAS(small.message(), "8 bytes");
  CHECK_EQ(large.status(), AXLE_STATUS_OK);
}

TEST(empty_scalar_and_shapeless_tensors) {
  need_onnxruntime();
  Plugin plugin;
  {
    axle_model *model = plugin.load(linear("n"));
    TestTask task(AXLE_OP_INFER, model);
    task.input("x", AXLE_DTYPE_FP32, {0, 3}, "");
    CHECK(plugin.run(task).output(0).dims == std::vector<int64_t>({0, 2}));
  }
  {
    axle_model *model = plugin.load(identity(kFloat, {}));
    TestTask task(AXLE_OP_INFER, model);
    task.tensor<float>("x", AXLE_DTYPE_FP32, {}, {3});
    CHECK(plugin.run(task).output(0).as<float>() == std::vector<float>({3}));
    TestTask wrong(AXLE_OP_INFER, model);
    wrong.tensor<float>("x", AXLE_DTYPE_FP32, {1}, {3});
    CHECK_HAS(plugin.run(wrong).message(), "takes FP32 [], not FP32 [1]");
  }
  {
    axle_model *model = plugin.load(Graph()
                                        .input_without_shape("x", kFloat)
                                        .output_without_shape("y", kFloat)
                                        .node("Relu", {"x"}, {"y"})
                                        .model());
    TestTask task(AXLE_OP_INFER, model);
    task.tensor<float>("x", AXLE_DTYPE_FP32, {1, 2}, {-3, 3});
    CHECK(plugin.run(task).output(0).as<float>() == std::vector<float>({0, 3}));
    CHECK(task.output(0).dims == std::vector<int64_t>({1, 2}));
  }
}

TEST(many_threads_share_one_model) {
  need_onnxruntime();
  Plugin plugin(Plugin::Options{{"threads", "4"}});
  axle_model *model = plugin.load(linear("n"));
  std::vector<std::thread> users;
  std::atomic<int> wrong{0};
  for (int user = 0; user < 4; user++) {
    users.emplace_back([&, user] {
      axle_queue *queue = nullptr;
      axle_error error = make_error();
      if (plugin.table()->queue_open(plugin.instance(), 0, &queue, &error) != 0) wrong++;
      for (int round = 0; round < 50; round++) {
        TestTask a(AXLE_OP_INFER, model);
        TestTask b(AXLE_OP_INFER, model);
        const std::vector<float> x = {static_cast<float>(user), static_cast<float>(round), 1};
        a.tensor("x", AXLE_DTYPE_FP32, {1, 3}, x);
        b.tensor("x", AXLE_DTYPE_FP32, {1, 3}, x);
        axle_task *tasks[] = {a.raw(), b.raw()};
        if (plugin.table()->submit(plugin.instance(), queue, tasks, 2, &error) != 0) wrong++;
        a.wait();
        b.wait();
        if (a.output(0).as<float>() != linear_of(x)) wrong++;
        if (b.output(0).as<float>() != linear_of(x)) wrong++;
      }
      plugin.table()->queue_close(plugin.instance(), queue);
    });
  }
  for (std::thread &user : users) user.join();
  CHECK_EQ(wrong.load(), 0);
  CHECK_EQ(breaches(), 0);
}
