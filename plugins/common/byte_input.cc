// SPDX-License-Identifier: Apache-2.0
#include "byte_input.h"

#include <string>

#include "failure.h"

namespace axle {

void check_byte_input(const axle_task &task) {
  if (task.input_count != 1 || task.inputs[0].dtype != AXLE_DTYPE_UINT8) {
    throw Failure(AXLE_STATUS_INVALID_ARGUMENT, "the op takes one input, UINT8 [n]");
  }
  const axle_tensor &tensor = task.inputs[0];
  const uint64_t bytes = bytes_of(tensor);
  if (tensor.rank != 1 || tensor.dims[0] < 0 || static_cast<uint64_t>(tensor.dims[0]) != bytes) {
    throw Failure(AXLE_STATUS_INVALID_ARGUMENT,
                  "the input is not UINT8 [" + std::to_string(bytes) + "], as many as came");
  }
}

uint64_t bytes_of(const axle_tensor &tensor) {
  uint64_t bytes = 0;
  for (uint64_t i = 0; i < tensor.segment_count; i++) bytes += tensor.segments[i].bytes;
  return bytes;
}

}  // namespace axle
