// SPDX-License-Identifier: Apache-2.0
#include "protobuf_reader.h"

#include "common/failure.h"

namespace axle::cpu {

namespace {

[[noreturn]] void malformed(const char *what) {
  throw Failure(AXLE_STATUS_INVALID_ARGUMENT, std::string("not a protobuf message: ") + what);
}

}  // namespace

uint64_t ProtobufReader::varint() {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (rest_.empty()) malformed("it ends inside a number");
    const auto byte = static_cast<unsigned char>(rest_.front());
    rest_.remove_prefix(1);
    value |= static_cast<uint64_t>(byte & 0x7Fu) << shift;
    if ((byte & 0x80u) == 0) return value;
  }
  malformed("a number is too long");
}

std::string_view ProtobufReader::take(uint64_t bytes) {
  if (bytes > rest_.size()) malformed("a field reaches past the end");
  const std::string_view taken = rest_.substr(0, bytes);
  rest_.remove_prefix(bytes);
  return taken;
}

uint64_t ProtobufReader::little_endian(size_t bytes) {
  uint64_t value = 0;
  unsigned shift = 0;
  for (const char c : take(bytes)) {
    value |= static_cast<uint64_t>(static_cast<unsigned char>(c)) << shift;
    shift += 8;
  }
  return value;
}

bool ProtobufReader::next(ProtobufField *field) {
  if (rest_.empty()) return false;
  const uint64_t tag = varint();
  *field = ProtobufField{};
  if (tag >> 3 == 0 || tag >> 3 > 0x1FFFFFFF) malformed("a field number is out of range");
  field->number = static_cast<uint32_t>(tag >> 3);
  switch (tag & 7) {
    case 0:
      field->value = varint();
      return true;
    case 1:
      field->value = little_endian(8);
      return true;
    case 2:
      field->is_bytes = true;
      field->bytes = take(varint());
      return true;
    case 5:
      field->value = little_endian(4);
      return true;
    default:
      malformed("a field has a wire type that ONNX does not use");
  }
}

}  // namespace axle::cpu
