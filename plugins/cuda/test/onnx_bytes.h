// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CUDA_TEST_ONNX_BYTES_H
#define AXLE_CUDA_TEST_ONNX_BYTES_H

#include <axle/plugin.h>

#include <cstring>
#include <initializer_list>
#include <string>
#include <vector>

namespace axle::test {

// A protobuf message, field by field as onnx.proto numbers them.
class Message {
 public:
  Message &number(uint32_t field, uint64_t value) {
    varint(field << 3);
    varint(value);
    return *this;
  }
  Message &bytes(uint32_t field, const std::string &value) {
    varint(field << 3 | 2u);
    varint(value.size());
    text_ += value;
    return *this;
  }
  Message &message(uint32_t field, const Message &value) { return bytes(field, value.text_); }
  const std::string &text() const { return text_; }

 private:
  void varint(uint64_t value) {
    for (; value >= 0x80u; value >>= 7) text_ += static_cast<char>(value | 0x80u);
    text_ += static_cast<char>(value);
  }
  std::string text_;
};

inline Message onnx_tensor(const std::string &name, std::initializer_list<int64_t> dims,
                           const std::vector<float> &values) {
  Message tensor;
  for (const int64_t size : dims) tensor.number(1, static_cast<uint64_t>(size));
  std::string raw(values.size() * sizeof(float), '\0');
  if (!values.empty()) std::memcpy(&raw[0], values.data(), raw.size());
  return tensor.number(2, 1).bytes(8, name).bytes(9, raw);
}

inline Message onnx_value(const std::string &name, std::initializer_list<int64_t> dims) {
  Message shape;
  for (const int64_t size : dims) {
    Message dim;
    if (size < 0) {
      dim.bytes(2, "n");
    } else {
      dim.number(1, static_cast<uint64_t>(size));
    }
    shape.message(1, dim);
  }
  Message tensor_type;
  tensor_type.number(1, 1).message(2, shape);
  Message type;
  type.message(1, tensor_type);
  Message value;
  return value.bytes(1, name).message(2, type);
}

inline Message onnx_node(const std::string &op, std::initializer_list<const char *> inputs,
                         const std::string &output) {
  Message node;
  for (const char *input : inputs) node.bytes(1, input);
  return node.bytes(2, output).bytes(4, op);
}

// y = x * w + b, then Relu: x [n, k], y [n, 2].
inline std::string small_model(int64_t k, float first) {
  std::vector<float> weights(static_cast<size_t>(k) * 2, 0.5f);
  weights[0] = first;
  Message graph;
  graph.message(1, onnx_node("MatMul", {"x", "w"}, "h"))
      .message(1, onnx_node("Add", {"h", "b"}, "s"))
      .message(1, onnx_node("Relu", {"s"}, "y"))
      .message(5, onnx_tensor("w", {k, 2}, weights))
      .message(5, onnx_tensor("b", {2}, {1, -1}))
      .message(11, onnx_value("x", {-1, k}))
      .message(12, onnx_value("y", {-1, 2}));
  Message operators;
  operators.bytes(1, "").number(2, 13);
  Message model;
  return model.number(1, 8).message(7, graph).message(8, operators).text();
}

// A model that is one file. The text has to outlive it.
struct OneFile {
  explicit OneFile(const std::string &text) : file{"model.onnx", text.data(), text.size()} {
    source.struct_size = sizeof(source);
    source.name = "test";
    source.format = "onnx";
    source.files = &file;
    source.file_count = 1;
  }
  OneFile(const OneFile &) = delete;
  OneFile &operator=(const OneFile &) = delete;

  axle_file file;
  axle_model_source source = {};
};

}  // namespace axle::test

#endif
