// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <fstream>

#include "common/test/harness.h"
#include "onnx_writer.h"
#include "test_host.h"

using namespace axle::test;

namespace {

// y = x + w, with w in a file.
Graph with_weights(const Message &weights) {
  return Graph()
      .input("x", kFloat, {"n", 2})
      .output("y", kFloat, {"n", 2})
      .initializer(weights)
      .node("Add", {"x", "w"}, {"y"});
}

std::string external_model(const std::string &location, int64_t offset = 0, int64_t length = 8) {
  return with_weights(external_tensor("w", kFloat, {2}, location, offset, length)).model();
}

const std::string kWeights = raw<float>({10, 20});

void check_sum(Plugin &plugin, axle_model *model) {
  TestTask task(AXLE_OP_INFER, model);
  task.tensor<float>("x", AXLE_DTYPE_FP32, {1, 2}, {1, 2});
  CHECK(plugin.run(task).output(0).as<float>() == std::vector<float>({11, 22}));
}

// The model is refused as wrong, with a message of one line that has `part`.
void check_refused(Plugin &plugin, const std::vector<File> &files, const std::string &part) {
  const axle_error error = plugin.load_error(files);
  CHECK_HAS(std::string(error.message), part);
  CHECK_HAS(std::string(error.message), "model \"test\": ");
  CHECK_EQ(error.status, AXLE_STATUS_INVALID_ARGUMENT);
  CHECK(std::string(error.message).find('\n') == std::string::npos);
}

}  // namespace

TEST(model_info_tells_names_types_and_free_dimensions) {
  need_onnxruntime();
  Plugin plugin;
  axle_model *model = plugin.load(Graph()
                                      .input("a", kFloat, {"n", 3, "width"})
                                      .input("b", kInt64, {})
                                      .output("c", kFloat, {"n", 3, "width"})
                                      .output("d", kInt64, {})
                                      .node("Relu", {"a"}, {"c"})
                                      .node("Identity", {"b"}, {"d"})
                                      .model());
  axle_model_info info = {};
  info.struct_size = sizeof(info);
  plugin.table()->model_info(plugin.instance(), model, &info);
  CHECK_EQ(info.input_count, 2u);
  CHECK_EQ(info.output_count, 2u);
  CHECK_EQ(std::string(info.inputs[0].name), "a");
  CHECK_EQ(info.inputs[0].rank, 3u);
  CHECK_EQ(info.inputs[0].dims[0], -1);
  CHECK_EQ(info.inputs[0].dims[1], 3);
  CHECK_EQ(info.inputs[0].dims[2], -1);
  CHECK_EQ(info.inputs[1].dtype, AXLE_DTYPE_INT64);
  CHECK_EQ(info.inputs[1].rank, 0u);
  CHECK_EQ(std::string(info.outputs[1].name), "d");
  CHECK(info.memory_bytes > 0);

  // A host that was built with a shorter struct gets no more than that.
  axle_model_info shorter = {};
  shorter.struct_size = offsetof(axle_model_info, outputs);
  plugin.table()->model_info(plugin.instance(), model, &shorter);
  CHECK_EQ(shorter.input_count, 2u);
  CHECK_EQ(shorter.output_count, 0u);
}

TEST(external_data_comes_from_the_files_of_the_model) {
  need_onnxruntime();
  Plugin plugin;
  check_sum(plugin, plugin.load({{"model.onnx", external_model("weights.bin")},
                                 {"weights.bin", kWeights}}));
  check_sum(plugin, plugin.load({{"model.onnx", external_model("data/w.bin", 4)},
                                 {"other.bin", "unused"},
                                 {"data/w.bin", "????" + kWeights}}));
}

TEST(external_data_elsewhere_is_refused) {
  need_onnxruntime();
  Plugin plugin;
  // A file that is there, with the right bytes, and must not be read all the same.
  char path[] = "/tmp/axle-cpu-test-XXXXXX";
  CHECK(mkstemp(path) >= 0);
  std::ofstream(path) << kWeights;
  for (const std::string &location :
       {std::string(path), "../../.." + std::string(path), std::string("weights.bin"),
        std::string("model.onnx"), std::string()}) {
    check_refused(
        plugin, {{"model.onnx", external_model(location)}, {"w.bin", kWeights}},
        "tensor \"w\" has its data in \"" + location + "\", which is not among the model's files");
  }
  // Nor by giving the bundle's file that name.
  for (const std::string &name :
       {std::string(path), std::string("../w.bin"), std::string("a//b"), std::string("./w.bin"),
        std::string("a\\b"), std::string(""), std::string("*/_ORT_MEM_ADDR_/*")}) {
    check_refused(plugin, {{"model.onnx", external_model(name)}, {name, kWeights}}, "is refused");
  }
  std::remove(path);
}

TEST(external_data_past_the_end_of_its_file_is_refused) {
  need_onnxruntime();
  Plugin plugin;
  const struct {
    int64_t offset;
    int64_t length;
  } places[] = {{4, 8}, {9, 0}, {0, 9}, {INT64_MAX, 8}, {8, INT64_MAX}};
  for (const auto &place : places) {
    check_refused(
        plugin,
        {{"model.onnx", external_model("w.bin", place.offset, place.length)}, {"w.bin", kWeights}},
        "past the end");
  }
  check_refused(plugin, {{"model.onnx", external_model("w.bin", -1)}, {"w.bin", kWeights}},
                "no number");
  // Too few bytes for the shape, which only ONNX Runtime sees.
  check_refused(plugin, {{"model.onnx", external_model("w.bin", 0, 4)}, {"w.bin", kWeights}}, "");
  check_refused(plugin, {{"model.onnx", external_model("w.bin", 4, 0)}, {"w.bin", kWeights}}, "");
}

// Wherever a tensor can hide, its external data is found.
TEST(external_data_is_found_at_every_depth) {
  need_onnxruntime();
  Plugin plugin;
  const Message outside = external_tensor("w", kFloat, {2}, "/etc/passwd", 0, 8);
  const Message inside = external_tensor("w", kFloat, {2}, "w.bin", 0, 8);
  const auto constant = [](const Message &value) {
    return Graph()
        .input("x", kFloat, {"n", 2})
        .output("y", kFloat, {"n", 2})
        .node("Constant", {}, {"w"}, {tensor_attribute("value", value)})
        .node("Add", {"x", "w"}, {"y"});
  };
  const auto nested = [](const Message &value) {
    const Graph branch = Graph().output("w", kFloat, {2}).initializer(value);
    return Graph()
        .input("c", kBool, {})
        .output("y", kFloat, {2})
        .node("If", {"c"}, {"y"},
              {graph_attribute("then_branch", branch.message()),
               graph_attribute("else_branch", branch.message())});
  };
  for (const Message &value : {outside, inside}) {
    for (const std::string &model : {constant(value).model(), nested(value).model()}) {
      check_refused(plugin, {{"model.onnx", model}, {"w.bin", kWeights}},
                    "is no initializer of the main graph");
    }
  }
  // Sparse tensors, functions and training graphs.
  const std::string graph = with_weights(tensor("w", kFloat, {2}, kWeights)).model();
  const Message sparse = Message().message(1, outside);
  const Message node = Message().message(5, Message().bytes(1, "value").message(22, sparse));
  for (const std::string &extra :
       {Message().message(7, Message().message(15, sparse)).text(),
        Message().message(25, Message().message(7, node)).text(),
        Message().message(20, Message().message(1, Message().message(1, node))).text()}) {
    check_refused(plugin, {{"model.onnx", graph + extra}}, "/etc/passwd");
  }
}

TEST(a_model_that_is_no_model_is_refused_in_one_line) {
  need_onnxruntime();
  Plugin plugin;
  const std::string good = with_weights(tensor("w", kFloat, {2}, kWeights)).model();
  check_refused(plugin, {}, "no bytes");
  check_refused(plugin, {{"model.onnx", ""}}, "no bytes");
  check_refused(plugin, {{"model.onnx", "this is no model"}}, "not a protobuf message");
  check_refused(plugin, {{"model.onnx", std::string(1000, '\0')}}, "not a protobuf message");
  check_refused(plugin, {{"model.onnx", Message().number(1, 8).text()}}, "it has no graph");
  check_refused(plugin,
                {{"model.onnx", Graph()
                                    .input("x", kFloat, {1})
                                    .output("y", kFloat, {1})
                                    .node("NoSuchOp", {"x"}, {"y"})
                                    .model()}},
                "NoSuchOp");
  check_refused(plugin, {{"model.onnx", with_weights(tensor("w", kFloat, {2}, "abc")).model()}},
                "ONNX Runtime refuses it");
  // Cut anywhere, it is refused or it loads, and nothing else.
  for (size_t bytes = 1; bytes < good.size(); bytes++) {
    axle_error error = make_error();
    try {
      error = plugin.load_error({{"model.onnx", good.substr(0, bytes)}});
      CHECK_EQ(error.status, AXLE_STATUS_INVALID_ARGUMENT);
    } catch (const Failed &) {
    }
  }
  // ONNX Runtime's own format is not what it is taken for.
  check_refused(plugin, {{"model.ort", std::string("\x20\0\0\0ORTM", 8) + std::string(64, '\0')}},
                "");
}

TEST(nesting_has_a_limit) {
  need_onnxruntime();
  Plugin plugin;
  Message graph;
  for (int i = 0; i < 2000; i++) {
    graph = Message().message(1, Message().message(5, Message().message(6, graph)));
  }
  check_refused(plugin, {{"model.onnx", Message().message(7, graph).text()}}, "nested more than");
}

TEST(what_axle_cannot_carry_is_said) {
  need_onnxruntime();
  Plugin plugin;
  const axle_error type = plugin.load_error({{"model.onnx", Graph()
                                                                .input("x", kComplex64, {1})
                                                                .output("y", kComplex64, {1})
                                                                .node("Identity", {"x"}, {"y"})
                                                                .model()}});
  CHECK(type.status == AXLE_STATUS_UNIMPLEMENTED || type.status == AXLE_STATUS_INVALID_ARGUMENT);
  const axle_error sequence =
      plugin.load_error({{"model.onnx", Graph()
                                            .input("x", kFloat, {1})
                                            .output_without_shape("y", kFloat)
                                            .node("SequenceConstruct", {"x"}, {"y"})
                                            .model()}});
  CHECK(sequence.status != AXLE_STATUS_OK);
  const axle_error format = plugin.load_error({{"model.tflite", "x"}}, "tflite");
  CHECK_EQ(format.status, AXLE_STATUS_UNIMPLEMENTED);
  CHECK_HAS(std::string(format.message), "cpu-fallback runs \"onnx\"");
}
