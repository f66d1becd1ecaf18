// SPDX-License-Identifier: Apache-2.0
#include "network/network.h"

#include <string>

#include "common/failure.h"
#include "common/test/harness.h"
#include "model.h"
#include "network/planner.h"
#include "onnx_bytes.h"

using axle::Failure;
using axle::cuda::Model;
using axle::cuda::Plan;
using axle::test::Message;
using axle::test::OneFile;
using axle::test::onnx_node;
using axle::test::onnx_tensor;
using axle::test::onnx_value;
using axle::test::small_model;

namespace {

struct Outcome {
  int32_t status = AXLE_STATUS_OK;
  std::string message;
};

Outcome load(const std::string &text) {
  // Its end is the end of the allocation, so that a sanitizer sees a byte too many.
  const std::vector<char> exact(text.begin(), text.end());
  OneFile file(text);
  file.file.data = exact.data();
  try {
    Model::load(file.source);
    return {};
  } catch (const Failure &failure) {
    return {failure.status(), failure.what()};
  }
}

bool is_refusal(const Outcome &outcome) {
  return (outcome.status == AXLE_STATUS_INVALID_ARGUMENT ||
          outcome.status == AXLE_STATUS_UNIMPLEMENTED) &&
         !outcome.message.empty() && outcome.message.find('\n') == std::string::npos;
}

std::string model_of(const Message &graph, uint64_t opset = 13) {
  Message operators;
  operators.bytes(1, "").number(2, opset);
  Message model;
  return model.number(1, 8).message(7, graph).message(8, operators).text();
}

}  // namespace

TEST(a_model_is_read_and_its_nodes_are_put_together) {
  const std::string text = small_model(3, 2);
  const OneFile file(text);
  const auto model = Model::load(file.source);
  CHECK(model->network().takes_batches);
  // The bias and the activation are part of the product.
  CHECK_EQ(model->network().nodes.size(), 1u);
  const auto plan = model->plan_for({{5, 3}});
  CHECK_EQ(plan->steps.size(), 1u);
  CHECK(plan->output_dims[0] == axle::cuda::Dims({5, 2}));
  CHECK(model->plan_for({{5, 3}}) == plan);
}

TEST(every_cut_of_a_model_is_refused) {
  const std::string text = small_model(3, 2);
  CHECK_EQ(load(text).status, AXLE_STATUS_OK);
  for (size_t bytes = 0; bytes < text.size(); bytes++) {
    const Outcome outcome = load(text.substr(0, bytes));
    CHECK(outcome.status == AXLE_STATUS_INVALID_ARGUMENT && is_refusal(outcome));
  }
}

// Every length in the file is among these bytes. What still loads has to be planned as it says.
TEST(every_changed_byte_of_a_model_is_read_within_bounds) {
  const std::string text = small_model(3, 2);
  size_t refused = 0;
  for (size_t at = 0; at < text.size(); at++) {
    for (const unsigned char value : {0x00, 0x01, 0x7F, 0x80, 0xFF}) {
      std::string changed = text;
      changed[at] = static_cast<char>(value);
      const Outcome outcome = load(changed);
      if (outcome.status == AXLE_STATUS_OK) continue;
      CHECK(is_refusal(outcome));
      refused++;
    }
  }
  CHECK(refused > text.size());
}

TEST(lengths_and_shapes_that_cannot_be_are_refused) {
  const auto with = [](const Message &weight) {
    Message graph;
    graph.message(1, onnx_node("MatMul", {"x", "w"}, "y"))
        .message(5, weight)
        .message(11, onnx_value("x", {-1, 4}))
        .message(12, onnx_value("y", {-1, 2}));
    return load(model_of(graph));
  };
  CHECK_EQ(with(onnx_tensor("w", {4, 2}, std::vector<float>(8))).status, AXLE_STATUS_OK);
  CHECK_HAS(with(onnx_tensor("w", {4, 2}, std::vector<float>(7))).message,
            "does not have as much data as its shape says");
  CHECK_HAS(with(onnx_tensor("w", {4, -2}, {})).message, "a shape that is not possible");
  CHECK_HAS(with(onnx_tensor("w", {1LL << 40, 1LL << 40}, {})).message,
            "a shape that is not possible");
  CHECK_HAS(with(onnx_tensor("w", {1LL << 40, 0}, {})).message, "more than 2147483647 elements");
  CHECK_HAS(with(onnx_tensor("w", {3, 2}, std::vector<float>(6))).message,
            "operator MatMul takes matrices that do not fit each other");
  Message outside = onnx_tensor("w", {4, 2}, {});
  Message location;
  location.bytes(1, "location").bytes(2, "/etc/passwd");
  outside.message(13, location);
  CHECK_HAS(with(outside).message, "is not among the model's files");
}

TEST(what_is_not_run_is_named) {
  const auto with = [](const std::string &op, uint64_t opset) {
    Message graph;
    graph.message(1, onnx_node(op, {"x"}, "y"))
        .message(11, onnx_value("x", {-1, 4}))
        .message(12, onnx_value("y", {-1, 4}));
    return load(model_of(graph, opset));
  };
  CHECK_EQ(with("Relu", 13).status, AXLE_STATUS_OK);
  const Outcome known = with("Round", 13);
  CHECK_EQ(known.status, AXLE_STATUS_UNIMPLEMENTED);
  CHECK_HAS(known.message, "the operator Round");
  const Outcome unknown = with("AxleNoSuchOperator", 13);
  CHECK_EQ(unknown.status, AXLE_STATUS_INVALID_ARGUMENT);
  CHECK_HAS(unknown.message, "does not exist in ONNX");
  CHECK_EQ(with("Relu", 6).status, AXLE_STATUS_UNIMPLEMENTED);
  CHECK_EQ(with("Relu", 99).status, AXLE_STATUS_UNIMPLEMENTED);
}

// Values whose time is over leave their room to those that come.
TEST(a_long_network_takes_the_memory_of_a_short_one) {
  const auto arena_of = [](int layers) {
    Message graph;
    for (int i = 0; i < layers; i++) {
      const std::string from = i == 0 ? "x" : "h" + std::to_string(i);
      const std::string to = i == layers - 1 ? "y" : "h" + std::to_string(i + 1);
      graph.message(1, onnx_node("Softmax", {from.c_str()}, to));
    }
    graph.message(11, onnx_value("x", {-1, 1000})).message(12, onnx_value("y", {-1, 1000}));
    const std::string text = model_of(graph);
    const OneFile file(text);
    return Model::load(file.source)->plan_for({{10, 1000}})->arena_bytes;
  };
  CHECK_EQ(arena_of(3), arena_of(50));
}
