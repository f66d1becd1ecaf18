// SPDX-License-Identifier: Apache-2.0
#include "onnx_tensor.h"

#include <charconv>
#include <cstring>
#include <string>

#include "common/failure.h"
#include "protobuf_reader.h"

namespace axle::cuda {

namespace {

struct External {
  bool any = false;
  std::string_view location;
  uint64_t offset = 0;
  uint64_t length = 0;
  bool has_length = false;
};

[[noreturn]] void refuse(const OnnxTensor &tensor, const std::string &what) {
  throw Failure(AXLE_STATUS_INVALID_ARGUMENT,
                one_line("tensor \"" + std::string(tensor.name) + "\" " + what));
}

// Bytes of one element; 0 for types that no network here has.
uint64_t element_bytes(int32_t type) {
  switch (type) {
    case kOnnxFloat:
      return sizeof(float);
    case kOnnxInt64:
      return sizeof(int64_t);
    default:
      return 0;
  }
}

void count_elements(OnnxTensor &tensor) {
  if (tensor.dims.size() > AXLE_RANK_MAX) refuse(tensor, "has more than 16 dimensions");
  tensor.count = 1;
  for (const int64_t size : tensor.dims) {
    if (size < 0 ||
        __builtin_mul_overflow(tensor.count, static_cast<uint64_t>(size), &tensor.count)) {
      refuse(tensor, "has a shape that is not possible");
    }
  }
}

uint64_t number(const OnnxTensor &tensor, std::string_view text) {
  uint64_t value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || rest != text.data() + text.size()) {
    refuse(tensor, "has external data with an offset or length that is no number");
  }
  return value;
}

void read_external(const OnnxTensor &tensor, std::string_view message, External *external) {
  std::string_view key;
  std::string_view value;
  ProtobufReader reader(message);
  for (ProtobufField field; reader.next(&field);) {
    if (field.number == 1) key = bytes_of(field);
    if (field.number == 2) value = bytes_of(field);
  }
  external->any = true;
  if (key == "location") external->location = value;
  if (key == "offset") external->offset = number(tensor, value);
  if (key == "length") {
    external->length = number(tensor, value);
    external->has_length = true;
  }
}

std::string_view find_file(const OnnxTensor &tensor, const axle_model_source &source,
                           std::string_view name) {
  for (uint64_t i = 1; i < source.file_count; i++) {
    const axle_file &file = source.files[i];
    if (name == file.name) return {static_cast<const char *>(file.data), file.bytes};
  }
  refuse(tensor, "has its data in \"" + std::string(name) +
                     "\", which is not among the model's files; add that file to the model");
}

void take_external(OnnxTensor &tensor, const axle_model_source &source, const External &external) {
  const std::string_view file = find_file(tensor, source, external.location);
  if (external.offset > file.size()) refuse(tensor, "has its data past the end of its file");
  const std::string_view rest = file.substr(external.offset);
  const uint64_t length = external.has_length ? external.length : rest.size();
  if (length > rest.size()) refuse(tensor, "has its data past the end of its file");
  tensor.raw = rest.substr(0, length);
  tensor.has_raw = true;
}

void check_length(const OnnxTensor &tensor) {
  const uint64_t each = element_bytes(tensor.type);
  if (each == 0) return;  // never read
  uint64_t wanted = 0;
  if (__builtin_mul_overflow(tensor.count, each, &wanted)) refuse(tensor, "is too large");
  if (tensor.has_raw && tensor.raw.size() == wanted) return;
  const uint64_t given = tensor.type == kOnnxFloat ? tensor.floats.size() : tensor.int64s.size();
  if (!tensor.has_raw && given == tensor.count) return;
  refuse(tensor, "does not have as much data as its shape says");
}

}  // namespace

OnnxTensor read_onnx_tensor(std::string_view message, const axle_model_source &source) {
  OnnxTensor tensor;
  External external;
  bool segmented = false;
  ProtobufReader reader(message);
  for (ProtobufField field; reader.next(&field);) {
    switch (field.number) {
      case 1:
        add_varints(field, &tensor.dims);
        break;
      case 2:
        tensor.type = static_cast<int32_t>(varint_of(field));
        break;
      case 3:
        segmented = true;
        break;
      case 4:
        add_floats(field, &tensor.floats);
        break;
      case 7:
        add_varints(field, &tensor.int64s);
        break;
      case 8:
        tensor.name = bytes_of(field);
        break;
      case 9:
        tensor.raw = bytes_of(field);
        tensor.has_raw = true;
        break;
      case 13:
        read_external(tensor, bytes_of(field), &external);
        break;
      default:
        break;
    }
  }
  if (segmented) refuse(tensor, "is in segments, which ONNX has given up");
  count_elements(tensor);
  if (external.any) take_external(tensor, source, external);
  check_length(tensor);
  return tensor;
}

void OnnxTensor::read_floats(float *to) const {
  if (count == 0) return;
  std::memcpy(to, has_raw ? raw.data() : reinterpret_cast<const char *>(floats.data()),
              count * sizeof(float));
}

std::vector<int64_t> OnnxTensor::integers() const {
  if (!has_raw) return int64s;
  std::vector<int64_t> values(count);
  if (count > 0) std::memcpy(values.data(), raw.data(), count * sizeof(int64_t));
  return values;
}

}  // namespace axle::cuda
