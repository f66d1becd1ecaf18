// SPDX-License-Identifier: Apache-2.0
#include "operators.h"

namespace axle::cuda {

namespace {

constexpr size_t kAny = SIZE_MAX;

constexpr Operator kOperators[] = {
    {"Add", 2, 2, plan_add},
    {"AveragePool", 1, 1, plan_average_pool},
    {"BatchNormalization", 5, 5, plan_batch_normalization},
    {"Clip", 1, 3, plan_clip},
    {"Concat", 1, kAny, plan_concat},
    {"Conv", 2, 3, plan_conv},
    {"Div", 2, 2, plan_divide},
    {"Dropout", 1, 3, plan_identity},
    {"Erf", 1, 1, plan_unary},
    {"Exp", 1, 1, plan_unary},
    {"Flatten", 1, 1, plan_flatten},
    {"Gelu", 1, 1, plan_unary},
    {"Gemm", 2, 3, plan_gemm},
    {"GlobalAveragePool", 1, 1, plan_global_average_pool},
    {"Identity", 1, 1, plan_identity},
    {"LayerNormalization", 2, 3, plan_layer_normalization},
    {"LeakyRelu", 1, 1, plan_unary},
    {"MatMul", 2, 2, plan_matmul},
    {"MaxPool", 1, 1, plan_max_pool},
    {"Mul", 2, 2, plan_multiply},
    {"Neg", 1, 1, plan_unary},
    {"Relu", 1, 1, plan_unary},
    {"Reshape", 2, 2, plan_reshape},
    {"Sigmoid", 1, 1, plan_unary},
    {"Softmax", 1, 1, plan_softmax},
    {"Sqrt", 1, 1, plan_unary},
    {"Squeeze", 1, 2, plan_squeeze},
    {"Sub", 2, 2, plan_subtract},
    {"Tanh", 1, 1, plan_unary},
    {"Transpose", 1, 1, plan_transpose},
    {"Unsqueeze", 1, 2, plan_unsqueeze},
};

}  // namespace

const Operator *find_operator(std::string_view name) {
  for (const Operator &op : kOperators) {
    if (name == op.name) return &op;
  }
  return nullptr;
}

size_t axis_of(const Planner &planner, int64_t axis, size_t rank) {
  const auto size = static_cast<int64_t>(rank);
  const int64_t from_front = axis < 0 ? axis + size : axis;
  if (axis < -size || from_front >= size) {
    planner.mismatch("has axis " + std::to_string(axis) + ", and its input " +
                     std::to_string(rank) + " dimensions");
  }
  return static_cast<size_t>(from_front);
}

int64_t product(const Dims &dims, size_t from, size_t to) {
  return elements_of(
      Dims(dims.begin() + static_cast<ptrdiff_t>(from), dims.begin() + static_cast<ptrdiff_t>(to)));
}

}  // namespace axle::cuda
