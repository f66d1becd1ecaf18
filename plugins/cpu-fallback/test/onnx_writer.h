// SPDX-License-Identifier: Apache-2.0
//
// Writes small ONNX models, so that the tests need no tool and no binary file.
#ifndef AXLE_CPU_TEST_ONNX_WRITER_H
#define AXLE_CPU_TEST_ONNX_WRITER_H

#include <cstdint>
#include <string>
#include <vector>

namespace axle::test {

// ONNX's numbers of element types (TensorProto.DataType).
enum OnnxType {
  kFloat = 1,
  kUint8 = 2,
  kInt8 = 3,
  kUint16 = 4,
  kInt16 = 5,
  kInt32 = 6,
  kInt64 = 7,
  kString = 8,
  kBool = 9,
  kFloat16 = 10,
  kDouble = 11,
  kUint32 = 12,
  kUint64 = 13,
  kComplex64 = 14,
  kBfloat16 = 16,
};

// A protobuf message under construction.
class Message {
 public:
  Message &number(uint32_t field, uint64_t value);
  Message &bytes(uint32_t field, const std::string &value);
  Message &message(uint32_t field, const Message &value) { return bytes(field, value.text_); }
  const std::string &text() const { return text_; }

 private:
  void varint(uint64_t value);
  std::string text_;
};

// One dimension: a size, or a name of a free one ("" = free and without a name).
struct Dim {
  Dim(int value) : size(value) {}
  Dim(const char *text) : name(text) {}
  int64_t size = -1;
  std::string name;
};

Message tensor(const std::string &name, int type, const std::vector<int64_t> &dims,
               const std::string &raw);
Message external_tensor(const std::string &name, int type, const std::vector<int64_t> &dims,
                        const std::string &location, int64_t offset, int64_t length);

Message int_attribute(const std::string &name, int64_t value);
Message ints_attribute(const std::string &name, const std::vector<int64_t> &values);
Message tensor_attribute(const std::string &name, const Message &value);
Message graph_attribute(const std::string &name, const Message &value);

class Graph {
 public:
  Graph();
  Graph &input(const std::string &name, int type, const std::vector<Dim> &dims);
  Graph &input_without_shape(const std::string &name, int type);
  Graph &output(const std::string &name, int type, const std::vector<Dim> &dims);
  Graph &output_without_shape(const std::string &name, int type);
  Graph &node(const std::string &op, const std::vector<std::string> &inputs,
              const std::vector<std::string> &outputs, const std::vector<Message> &attributes = {});
  Graph &initializer(const Message &value);

  const Message &message() const { return graph_; }
  // The whole .onnx file.
  std::string model() const;

 private:
  Message graph_;
};

// The bytes of values, as raw tensor data.
template <class T>
std::string raw(const std::vector<T> &values) {
  return std::string(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(T));
}

}  // namespace axle::test

#endif
