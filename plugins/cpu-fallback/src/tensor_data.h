// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CPU_TENSOR_DATA_H
#define AXLE_CPU_TENSOR_DATA_H

#include <axle/plugin.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace axle::cpu {

// Bytes of one element; 0 for BYTES and for a number that is no type.
size_t dtype_bytes(uint32_t dtype);

// "FP32", or "type 99" for a number that is no type.
std::string dtype_name(uint32_t dtype);

// "[1, 3, any]"; -1 reads "any".
std::string shape_text(const int64_t *dims, size_t rank);
std::string shape_text(const std::vector<int64_t> &dims);

// "FP32 [1, 10]"
std::string tensor_text(const axle_tensor &tensor);

// Product of the dimensions. Throws Failure (INVALID_ARGUMENT) when one is negative or the product
// does not fit.
uint64_t element_count(const int64_t *dims, size_t rank);

// Throws Failure (INVALID_ARGUMENT) when the segments do not hold as many bytes as type and shape say.
// The host has checked this already; a plugin that reads past a buffer takes the host down with it.
// `what` names the tensor: "input \"x\"".
void check_bytes(const axle_tensor &tensor, const std::string &what);

// Where the tensor's bytes lie when they lie in one piece, else NULL. An empty tensor is one piece.
const void *contiguous_data(const axle_tensor &tensor);

// Copies the segments one after another to `to`, which has room for tensor.bytes.
void gather(const axle_tensor &tensor, void *to);

}  // namespace axle::cpu

#endif
