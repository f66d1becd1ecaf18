// SPDX-License-Identifier: Apache-2.0
#include "tensor_checks.h"

#include <cstring>

#include "common/byte_input.h"
#include "common/failure.h"

namespace axle::cuda {

uint64_t check_bytes(const axle_tensor &tensor, uint64_t element_bytes, const std::string &what) {
  const uint64_t bytes = bytes_of(tensor);
  uint64_t wanted = element_bytes;
  bool fits = true;
  for (uint32_t i = 0; i < tensor.rank; i++) {
    fits = fits && tensor.dims[i] >= 0 &&
           !__builtin_mul_overflow(wanted, static_cast<uint64_t>(tensor.dims[i]), &wanted);
  }
  if (!fits || wanted != bytes) {
    throw Failure(AXLE_STATUS_INVALID_ARGUMENT,
                  one_line(what + " " + tensor_text(tensor) + " came with " +
                           std::to_string(bytes) + " bytes"));
  }
  return bytes;
}

void gather(const axle_tensor &tensor, void *to) {
  auto *next = static_cast<uint8_t *>(to);
  for (uint64_t i = 0; i < tensor.segment_count; i++) {
    const axle_segment &segment = tensor.segments[i];
    if (segment.bytes == 0) continue;
    std::memcpy(next, segment.data, segment.bytes);
    next += segment.bytes;
  }
}

std::string dtype_name(uint32_t dtype) {
  switch (dtype) {
    case AXLE_DTYPE_UINT8:
      return "UINT8";
    case AXLE_DTYPE_INT32:
      return "INT32";
    case AXLE_DTYPE_INT64:
      return "INT64";
    case AXLE_DTYPE_FP16:
      return "FP16";
    case AXLE_DTYPE_BF16:
      return "BF16";
    case AXLE_DTYPE_FP32:
      return "FP32";
    case AXLE_DTYPE_FP64:
      return "FP64";
    default:
      return "type " + std::to_string(dtype);
  }
}

std::string shape_text(const int64_t *dims, size_t rank) {
  std::string text = "[";
  for (size_t i = 0; i < rank; i++) {
    if (i > 0) text += ", ";
    text += dims[i] < 0 ? "any" : std::to_string(dims[i]);
  }
  return text + "]";
}

std::string tensor_text(const axle_tensor &tensor) {
  return dtype_name(tensor.dtype) + " " + shape_text(tensor.dims, tensor.rank);
}

}  // namespace axle::cuda
