// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CUDA_NETWORK_NETWORK_H
#define AXLE_CUDA_NETWORK_NETWORK_H

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "../kernels/network_layout.h"
#include "../onnx/onnx_model.h"

namespace axle::cuda {

using Dims = std::vector<int64_t>;

struct Operator;

// Something that a node reads or makes: an input, a constant, or the result of a node.
struct NetworkValue {
  enum class Kind { kComputed, kWeight, kIntegers, kAbsent };
  Kind kind = Kind::kComputed;
  std::string name;
  Dims dims;                      // of constants
  uint64_t weight_at = 0;         // kWeight: where it begins among the weights
  std::optional<float> scalar;    // kWeight, of one element: what it is
  std::vector<int64_t> integers;  // kIntegers
  std::string why;                // kAbsent: why nobody can read it
};

struct NetworkAttribute {
  std::string name;
  float f = 0;
  int64_t i = 0;
  std::string s;
  std::vector<int64_t> ints;
};

struct NetworkNode {
  const Operator *op = nullptr;
  std::string name;
  std::vector<size_t> inputs;  // of values; kNoValue where an optional one is not given
  size_t output = 0;
  std::vector<NetworkAttribute> attributes;
  // What other nodes were put into this one (fuse.cc).
  kernels::UnaryStep after;
  size_t bias = SIZE_MAX;  // MatMul: of the last dimension

  const NetworkAttribute *find(const char *attribute) const;
};
constexpr size_t kNoValue = SIZE_MAX;

// An input or output of the network, FP32 always.
struct NetworkPort {
  std::string name;
  size_t value = 0;
  Dims dims;               // -1 = any
  std::string batch_name;  // of dimension 0, where it has one
};

// A feed-forward network: nodes in an order in which each finds what it reads.
struct Network {
  int64_t opset = 0;
  std::vector<NetworkValue> values;
  std::vector<NetworkNode> nodes;
  std::vector<NetworkPort> inputs;
  std::vector<NetworkPort> outputs;
  uint64_t weight_bytes = 0;
  // Dimension 0 of every input and output is free and is the same one: tasks may be concatenated.
  bool takes_batches = false;
};

// A network and what its weights are to be read from, which the file's bytes have to outlive.
struct ReadNetwork {
  Network network;
  struct Weight {
    const OnnxTensor *tensor;
    uint64_t at;
  };
  std::vector<Weight> weights;

  std::vector<uint8_t> pack_weights() const;
};

// Throws Failure: UNIMPLEMENTED where the model has something that no kernel here does, named in the message;
// INVALID_ARGUMENT where it is wrong in itself. A model that passes can be planned for a batch of one.
ReadNetwork read_network(const OnnxModel &model);

// Puts activations, and the bias of a MatMul, into the node before them.
void fuse(Network &network);

// Whether ONNX has an operator of that name, in any version.
bool is_onnx_operator(std::string_view name);

}  // namespace axle::cuda

#endif
