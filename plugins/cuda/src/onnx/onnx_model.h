// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CUDA_ONNX_ONNX_MODEL_H
#define AXLE_CUDA_ONNX_ONNX_MODEL_H

#include <axle/plugin.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace axle::cuda {

// Limits of a file, past which it is refused.
constexpr size_t kOnnxNodesMax = 65536;
constexpr size_t kOnnxTensorsMax = 65536;

// onnx.TensorProto.DataType
constexpr int32_t kOnnxFloat = 1;
constexpr int32_t kOnnxInt64 = 7;

// A constant of the file. Views are of the bytes that the file was read from.
struct OnnxTensor {
  std::string_view name;
  int32_t type = 0;
  std::vector<int64_t> dims;
  uint64_t count = 0;    // of elements
  std::string_view raw;  // `count` elements, little-endian, where has_raw
  bool has_raw = false;  // else they are in one of these
  std::vector<float> floats;
  std::vector<int64_t> int64s;

  void read_floats(float *to) const;      // FLOAT only
  std::vector<int64_t> integers() const;  // INT64 only
};

// An input or output of the graph.
struct OnnxValue {
  std::string_view name;
  bool is_tensor = false;
  int32_t type = 0;
  bool has_shape = false;
  std::vector<int64_t> dims;            // -1 where the file leaves it open
  std::vector<std::string_view> names;  // of those dimensions that have one
};

struct OnnxAttribute {
  std::string_view name;
  float f = 0;
  int64_t i = 0;
  std::string_view s;
  std::vector<int64_t> ints;
  std::vector<float> floats;
  bool has_tensor = false;
  OnnxTensor tensor;
  bool has_graph = false;
};

struct OnnxNode {
  std::string_view name;
  std::string_view domain;
  std::string_view op;
  std::vector<std::string_view> inputs;  // an empty name stands for one that is not there
  std::vector<std::string_view> outputs;
  std::vector<OnnxAttribute> attributes;

  const OnnxAttribute *find(std::string_view attribute) const;
};

// What an ONNX file holds of its main graph, as it is written there and with every length held against
// what is there; what its nodes mean is not looked at. Field numbers are those of onnx.proto.
struct OnnxModel {
  int64_t opset = 0;  // of the operators that have no domain
  bool has_functions = false;
  std::vector<OnnxNode> nodes;
  std::vector<OnnxTensor> initializers;
  bool has_sparse = false;
  std::vector<OnnxValue> inputs;
  std::vector<OnnxValue> outputs;

  // Throws Failure: INVALID_ARGUMENT where the bytes are no ONNX model, or a tensor is not as long as its shape,
  // or lies in a file that `source` has not. The source has to outlive the model.
  static OnnxModel read(const axle_model_source &source);
};

}  // namespace axle::cuda

#endif
