// SPDX-License-Identifier: Apache-2.0
#include "protobuf_reader.h"

#include <cstring>
#include <string>

#include "common/failure.h"

namespace axle::cuda {

namespace {

[[noreturn]] void malformed(const char *what) {
  throw Failure(AXLE_STATUS_INVALID_ARGUMENT,
                std::string("it is no ONNX model: as protobuf, ") + what);
}

float as_float(uint64_t bits) {
  const auto low = static_cast<uint32_t>(bits);
  float value = 0;
  std::memcpy(&value, &low, sizeof(value));
  return value;
}

}  // namespace

std::string_view ProtobufReader::take(uint64_t bytes) {
  if (bytes > left_.size()) malformed("a field ends past the end of its message");
  const std::string_view taken = left_.substr(0, bytes);
  left_.remove_prefix(bytes);
  return taken;
}

uint64_t ProtobufReader::fixed(size_t bytes) {
  const std::string_view taken = take(bytes);
  uint64_t value = 0;
  for (size_t i = bytes; i-- > 0;) value = value << 8 | static_cast<unsigned char>(taken[i]);
  return value;
}

uint64_t ProtobufReader::varint() {
  constexpr unsigned kBits = 64;
  uint64_t value = 0;
  for (unsigned shift = 0; shift < kBits; shift += 7) {
    const auto byte = static_cast<unsigned char>(take(1)[0]);
    value |= uint64_t{byte & 0x7Fu} << shift;
    if (byte < 0x80u) return value;
  }
  malformed("a number has more than ten bytes");
}

bool ProtobufReader::next(ProtobufField *field) {
  if (left_.empty()) return false;
  const uint64_t tag = varint();
  constexpr uint64_t kNumberMax = (1u << 29) - 1;
  *field = ProtobufField();
  if (tag >> 3 == 0 || tag >> 3 > kNumberMax) malformed("a field has a number that there is not");
  field->number = static_cast<uint32_t>(tag >> 3);
  field->wire = static_cast<uint32_t>(tag & 7u);
  switch (field->wire) {
    case kProtobufVarint:
      field->value = varint();
      return true;
    case kProtobufFixed64:
      field->value = fixed(8);
      return true;
    case kProtobufFixed32:
      field->value = fixed(4);
      return true;
    case kProtobufBytes:
      field->bytes = take(varint());
      return true;
    default:
      malformed("a field is of a kind that ONNX has not");
  }
}

std::string_view bytes_of(const ProtobufField &field) {
  if (field.wire != kProtobufBytes) malformed("a number stands where bytes belong");
  return field.bytes;
}

uint64_t varint_of(const ProtobufField &field) {
  if (field.wire != kProtobufVarint) malformed("something else stands where an integer belongs");
  return field.value;
}

float float_of(const ProtobufField &field) {
  if (field.wire != kProtobufFixed32) malformed("something else stands where a float belongs");
  return as_float(field.value);
}

void add_varints(const ProtobufField &field, std::vector<int64_t> *to) {
  if (field.wire != kProtobufBytes) {
    to->push_back(static_cast<int64_t>(varint_of(field)));
    return;
  }
  // Packed numbers are varints without tags; the reader wants a tag before each, so they are cut here.
  std::string_view left = field.bytes;
  while (!left.empty()) {
    uint64_t value = 0;
    unsigned shift = 0;
    for (;; shift += 7) {
      if (left.empty() || shift >= 64) malformed("packed numbers end inside of one");
      const auto byte = static_cast<unsigned char>(left.front());
      left.remove_prefix(1);
      value |= uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80u) break;
    }
    to->push_back(static_cast<int64_t>(value));
  }
}

void add_floats(const ProtobufField &field, std::vector<float> *to) {
  if (field.wire != kProtobufBytes) {
    to->push_back(float_of(field));
    return;
  }
  if (field.bytes.size() % sizeof(float) != 0) malformed("packed floats end inside of one");
  const size_t before = to->size();
  to->resize(before + field.bytes.size() / sizeof(float));
  if (!field.bytes.empty()) {
    std::memcpy(to->data() + before, field.bytes.data(), field.bytes.size());
  }
}

}  // namespace axle::cuda
