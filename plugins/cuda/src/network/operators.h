// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CUDA_NETWORK_OPERATORS_H
#define AXLE_CUDA_NETWORK_OPERATORS_H

#include <optional>
#include <string_view>

#include "planner.h"

namespace axle::cuda {

// An ONNX operator that is run here.
struct Operator {
  const char *name;
  size_t inputs_min;
  size_t inputs_max;
  // Looks at the node's shapes and attributes, and adds what it takes to run it. Throws Failure.
  void (*plan)(Planner &planner);
};

// NULL where there is none of that name.
const Operator *find_operator(std::string_view name);

// Versions of ONNX's operators whose meaning is that of the functions below.
constexpr int64_t kOpsetMin = 7;
constexpr int64_t kOpsetMax = 23;

// What a node of that operator does to each number, where that is all that it does and it has one input.
std::optional<kernels::UnaryStep> unary_step(const NetworkNode &node);

// By file: operators_matrix.cc, operators_window.cc, operators_elementwise.cc, operators_rows.cc,
// operators_shape.cc
void plan_gemm(Planner &planner);
void plan_matmul(Planner &planner);
void plan_conv(Planner &planner);
void plan_max_pool(Planner &planner);
void plan_average_pool(Planner &planner);
void plan_global_average_pool(Planner &planner);
void plan_unary(Planner &planner);
void plan_clip(Planner &planner);
void plan_add(Planner &planner);
void plan_subtract(Planner &planner);
void plan_multiply(Planner &planner);
void plan_divide(Planner &planner);
void plan_softmax(Planner &planner);
void plan_batch_normalization(Planner &planner);
void plan_layer_normalization(Planner &planner);
void plan_identity(Planner &planner);
void plan_flatten(Planner &planner);
void plan_reshape(Planner &planner);
void plan_squeeze(Planner &planner);
void plan_unsqueeze(Planner &planner);
void plan_transpose(Planner &planner);
void plan_concat(Planner &planner);

// `axis` counted from the front. Throws Failure (INVALID_ARGUMENT) outside of 0 .. rank - 1.
size_t axis_of(const Planner &planner, int64_t axis, size_t rank);
int64_t product(const Dims &dims, size_t from, size_t to);

}  // namespace axle::cuda

#endif
