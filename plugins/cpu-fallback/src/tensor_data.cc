// SPDX-License-Identifier: Apache-2.0
#include "tensor_data.h"

#include <cstring>

#include "common/failure.h"

namespace axle::cpu {

namespace {

struct DtypeFacts {
  uint32_t dtype;
  size_t bytes;
  const char *name;
};

constexpr DtypeFacts kDtypes[] = {
    {AXLE_DTYPE_BOOL, 1, "BOOL"},     {AXLE_DTYPE_UINT8, 1, "UINT8"},
    {AXLE_DTYPE_UINT16, 2, "UINT16"}, {AXLE_DTYPE_UINT32, 4, "UINT32"},
    {AXLE_DTYPE_UINT64, 8, "UINT64"}, {AXLE_DTYPE_INT8, 1, "INT8"},
    {AXLE_DTYPE_INT16, 2, "INT16"},   {AXLE_DTYPE_INT32, 4, "INT32"},
    {AXLE_DTYPE_INT64, 8, "INT64"},   {AXLE_DTYPE_FP16, 2, "FP16"},
    {AXLE_DTYPE_FP32, 4, "FP32"},     {AXLE_DTYPE_FP64, 8, "FP64"},
    {AXLE_DTYPE_BYTES, 0, "BYTES"},   {AXLE_DTYPE_BF16, 2, "BF16"},
};

const DtypeFacts *find_dtype(uint32_t dtype) {
  for (const DtypeFacts &facts : kDtypes) {
    if (facts.dtype == dtype) return &facts;
  }
  return nullptr;
}

}  // namespace

size_t dtype_bytes(uint32_t dtype) {
  const DtypeFacts *facts = find_dtype(dtype);
  return facts == nullptr ? 0 : facts->bytes;
}

std::string dtype_name(uint32_t dtype) {
  const DtypeFacts *facts = find_dtype(dtype);
  return facts == nullptr ? "type " + std::to_string(dtype) : facts->name;
}

std::string shape_text(const int64_t *dims, size_t rank) {
  std::string text = "[";
  for (size_t i = 0; i < rank; i++) {
    if (i > 0) text += ", ";
    text += dims[i] < 0 ? "any" : std::to_string(dims[i]);
  }
  return text + "]";
}

std::string shape_text(const std::vector<int64_t> &dims) {
  return shape_text(dims.data(), dims.size());
}

std::string tensor_text(const axle_tensor &tensor) {
  return dtype_name(tensor.dtype) + " " + shape_text(tensor.dims, tensor.rank);
}

uint64_t element_count(const int64_t *dims, size_t rank) {
  uint64_t count = 1;
  for (size_t i = 0; i < rank; i++) {
    if (dims[i] < 0 || __builtin_mul_overflow(count, static_cast<uint64_t>(dims[i]), &count)) {
      throw Failure(AXLE_STATUS_INVALID_ARGUMENT,
                    "shape " + shape_text(dims, rank) + " is not possible");
    }
  }
  return count;
}

void check_bytes(const axle_tensor &tensor, const std::string &what) {
  uint64_t bytes = 0;
  for (uint64_t i = 0; i < tensor.segment_count; i++) bytes += tensor.segments[i].bytes;
  const uint64_t count = element_count(tensor.dims, tensor.rank);
  uint64_t wanted = bytes;
  const bool fits = tensor.dtype == AXLE_DTYPE_BYTES ||
                    !__builtin_mul_overflow(count, dtype_bytes(tensor.dtype), &wanted);
  if (!fits || wanted != bytes || bytes != tensor.bytes) {
    throw Failure(AXLE_STATUS_INVALID_ARGUMENT,
                  one_line(what + " " + tensor_text(tensor) + " came with " +
                           std::to_string(bytes) + " bytes"));
  }
}

const void *contiguous_data(const axle_tensor &tensor) {
  static const uint64_t nothing[8] = {};
  const void *data = nothing;
  for (uint64_t i = 0; i < tensor.segment_count; i++) {
    if (tensor.segments[i].bytes == 0) continue;
    if (data != nothing) return nullptr;
    data = tensor.segments[i].data;
  }
  return data;
}

void gather(const axle_tensor &tensor, void *to) {
  auto *next = static_cast<unsigned char *>(to);
  for (uint64_t i = 0; i < tensor.segment_count; i++) {
    const axle_segment &segment = tensor.segments[i];
    if (segment.bytes == 0) continue;
    std::memcpy(next, segment.data, segment.bytes);
    next += segment.bytes;
  }
}

}  // namespace axle::cpu
