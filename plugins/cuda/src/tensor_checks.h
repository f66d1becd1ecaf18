// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CUDA_TENSOR_CHECKS_H
#define AXLE_CUDA_TENSOR_CHECKS_H

#include <axle/plugin.h>

#include <string>
#include <vector>

namespace axle::cuda {

// The host has checked all of this already; a plugin that reads past a buffer takes the host down with it.

// Throws Failure (INVALID_ARGUMENT) unless the segments of `tensor` hold `element_bytes` for each element. Returns how many bytes they are.
// `what` names the tensor: "input \"x\"".
uint64_t check_bytes(const axle_tensor &tensor, uint64_t element_bytes, const std::string &what);

// Copies the segments one after another to `to`, which has room for them.
void gather(const axle_tensor &tensor, void *to);

// "FP32", or "type 99" for one that is not named here.
std::string dtype_name(uint32_t dtype);
// "[any, 3]"
std::string shape_text(const int64_t *dims, size_t rank);
inline std::string shape_text(const std::vector<int64_t> &dims) {
  return shape_text(dims.data(), dims.size());
}
// "FP32 [1, 10]"
std::string tensor_text(const axle_tensor &tensor);

}  // namespace axle::cuda

#endif
