// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CUDA_ONNX_PROTOBUF_READER_H
#define AXLE_CUDA_ONNX_PROTOBUF_READER_H

#include <cstdint>
#include <string_view>
#include <vector>

namespace axle::cuda {

// One field of a protobuf message.
struct ProtobufField {
  uint32_t number = 0;
  uint32_t wire = 0;       // kProtobuf*
  uint64_t value = 0;      // of a number
  std::string_view bytes;  // of what has a length; points into the message
};
constexpr uint32_t kProtobufVarint = 0;
constexpr uint32_t kProtobufFixed64 = 1;
constexpr uint32_t kProtobufBytes = 2;
constexpr uint32_t kProtobufFixed32 = 5;

// Reads the fields of one message in their order, of bytes that nobody has vouched for.
class ProtobufReader {
 public:
  explicit ProtobufReader(std::string_view message) : left_(message) {}

  // False at the end. Throws Failure (INVALID_ARGUMENT) where the message is malformed.
  bool next(ProtobufField *field);

 private:
  uint64_t varint();
  uint64_t fixed(size_t bytes);
  std::string_view take(uint64_t bytes);

  std::string_view left_;
};

// Getters for a field that has to be of some kind; they throw Failure (INVALID_ARGUMENT) where it is not.
std::string_view bytes_of(const ProtobufField &field);
uint64_t varint_of(const ProtobufField &field);
float float_of(const ProtobufField &field);

// Adds a repeated number, alone or packed.
void add_varints(const ProtobufField &field, std::vector<int64_t> *to);
void add_floats(const ProtobufField &field, std::vector<float> *to);

}  // namespace axle::cuda

#endif
