// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CPU_PROTOBUF_READER_H
#define AXLE_CPU_PROTOBUF_READER_H

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace axle::cpu {

// One field of a protobuf message.
struct ProtobufField {
  uint32_t number = 0;
  bool is_bytes = false;   // length-delimited: a string, bytes, a message or packed numbers
  uint64_t value = 0;      // of a varint or fixed-size field
  std::string_view bytes;  // of a length-delimited field; points into the message
};

// Reads the fields of one message in their order, of bytes that nobody has vouched for. Groups, which
// no ONNX file has, count as malformed.
class ProtobufReader {
 public:
  explicit ProtobufReader(std::string_view message) : rest_(message) {}

  // False at the end of the message. Throws Failure (INVALID_ARGUMENT) where it is malformed.
  bool next(ProtobufField *field);

 private:
  uint64_t varint();
  std::string_view take(uint64_t bytes);
  uint64_t little_endian(size_t bytes);

  std::string_view rest_;
};

}  // namespace axle::cpu

#endif
