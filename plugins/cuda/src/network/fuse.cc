// SPDX-License-Identifier: Apache-2.0
#include <cstring>

#include "network.h"
#include "operators.h"

namespace axle::cuda {

namespace {

constexpr const char *kTakesActivation[] = {
    "Add", "BatchNormalization", "Conv", "Div", "Gemm", "MatMul", "Mul", "Sub"};

bool is(const NetworkNode &node, const char *name) { return std::strcmp(node.op->name, name) == 0; }

bool takes_activation(const NetworkNode &node) {
  if (node.after.what != kernels::Unary::kNone) return false;
  for (const char *name : kTakesActivation) {
    if (is(node, name)) return true;
  }
  return false;
}

class Fuser {
 public:
  explicit Fuser(Network &network)
      : network_(network),
        readers_(network.values.size(), 0),
        maker_(network.values.size(), kNoValue) {
    for (const NetworkNode &node : network.nodes) {
      for (const size_t input : node.inputs) {
        if (input != kNoValue) readers_[input]++;
      }
    }
    for (const NetworkPort &port : network.outputs) readers_[port.value]++;
  }

  void run() {
    std::vector<NetworkNode> kept;
    for (NetworkNode &node : network_.nodes) {
      NetworkNode *before = node_that_may_take(node, kept);
      if (before != nullptr) {
        before->output = node.output;
      } else {
        kept.push_back(std::move(node));
      }
      maker_[kept[before == nullptr ? kept.size() - 1 : index_].output] =
          before == nullptr ? kept.size() - 1 : index_;
    }
    network_.nodes = std::move(kept);
  }

 private:
  // The node that makes `value`, where nobody else reads it.
  NetworkNode *only_maker(size_t value, std::vector<NetworkNode> &kept) {
    if (value == kNoValue || readers_[value] != 1 || maker_[value] == kNoValue) return nullptr;
    index_ = maker_[value];
    return &kept[index_];
  }

  NetworkNode *node_that_may_take(const NetworkNode &node, std::vector<NetworkNode> &kept) {
    if (const auto step = unary_step(node)) {
      NetworkNode *before = only_maker(node.inputs[0], kept);
      if (before == nullptr || !takes_activation(*before)) return nullptr;
      before->after = *step;
      return before;
    }
    if (!is(node, "Add")) return nullptr;
    for (const size_t side : {0u, 1u}) {
      NetworkNode *before = only_maker(node.inputs[side], kept);
      const size_t other = node.inputs[1 - side];
      if (before == nullptr || !is(*before, "MatMul") || !takes_activation(*before)) continue;
      if (before->bias != kNoValue || !is_bias_of(*before, other)) continue;
      before->bias = other;
      return before;
    }
    return nullptr;
  }

  // A vector as long as the product's rows, which are as long as those of a constant second operand.
  bool is_bias_of(const NetworkNode &matmul, size_t value) const {
    const NetworkValue &bias = network_.values[value];
    const NetworkValue &right = network_.values[matmul.inputs[1]];
    return bias.kind == NetworkValue::Kind::kWeight && right.kind == NetworkValue::Kind::kWeight &&
           right.dims.size() == 2 && bias.dims == Dims{right.dims[1]};
  }

  Network &network_;
  std::vector<size_t> readers_;  // by value
  std::vector<size_t> maker_;    // by value: index among the nodes that are kept
  size_t index_ = 0;
};

}  // namespace

void fuse(Network &network) { Fuser(network).run(); }

}  // namespace axle::cuda
