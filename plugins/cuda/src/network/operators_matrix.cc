// SPDX-License-Identifier: Apache-2.0
//
// Gemm and MatMul.
#include "operators.h"

namespace axle::cuda {

namespace {

using kernels::GemmShape;

constexpr uint32_t kSmallTile = 64;
constexpr uint32_t kLargeTile = 128;
// Large tiles do more with what they load, once there are enough of them to have all of a device at work.
constexpr uint32_t kLargeTilesMin = 64;

uint32_t ceiling(uint32_t count, uint32_t each) { return (count + each - 1) / each; }

uint64_t tiles(const GemmShape &shape, uint32_t side) {
  return uint64_t{ceiling(shape.m, side)} * ceiling(shape.n, side) * shape.batches;
}

void add_gemm(Planner &planner, const GemmShape &shape, Place a, Place b, Place bias, Place c) {
  if (shape.m == 0 || shape.n == 0 || shape.batches == 0) return;
  cu::Function Kernels::*kernel = &Kernels::axle_gemm_64;
  uint64_t blocks = tiles(shape, kSmallTile);
  if (shape.batches == 1 && shape.m <= kernels::kFewRowsMax) {
    const bool along_k = shape.b_row == 1;
    kernel = along_k ? &Kernels::axle_gemm_few_rows : &Kernels::axle_gemm_few_rows_across;
    constexpr uint32_t kLanes = 32;
    blocks = ceiling(shape.n, along_k ? kernels::kNetworkThreads / kLanes : kLanes);
  } else if (shape.m > kSmallTile && shape.n > kSmallTile &&
             tiles(shape, kLargeTile) >= kLargeTilesMin) {
    kernel = &Kernels::axle_gemm_128;
    blocks = tiles(shape, kLargeTile);
  }
  planner.for_each_block(static_cast<uint32_t>(blocks),  // no more than elements
                         [=](Launcher &launcher, uint32_t count) {
                           launcher.lane.launch(launcher.kernels.*kernel, count,
                                                kernels::kNetworkThreads, shape, launcher.at(a),
                                                launcher.at(b), launcher.at(bias), launcher.at(c));
                         });
}

uint32_t size(int64_t value) { return static_cast<uint32_t>(value); }

// The strides by which `dims` are repeated to be [m, n].
void set_bias(const Planner &planner, const Dims &dims, GemmShape &shape) {
  const uint32_t columns = dims.empty() ? 1 : size(dims.back());
  const uint32_t rows = dims.size() < 2 ? 1 : size(dims[dims.size() - 2]);
  const bool fits =
      dims.size() <= 2 && (columns == 1 || columns == shape.n) && (rows == 1 || rows == shape.m);
  if (!fits) planner.mismatch("has a C that does not fit its product");
  shape.bias_column = columns == 1 ? 0 : 1;
  shape.bias_row = rows == 1 ? 0 : columns;
}

}  // namespace

void plan_gemm(Planner &planner) {
  const Dims a = planner.dims(0);
  const Dims b = planner.dims(1);
  if (a.size() != 2 || b.size() != 2) planner.mismatch("takes two matrices");
  const bool a_turned = planner.integer("transA", 0) != 0;
  const bool b_turned = planner.integer("transB", 0) != 0;
  const int64_t m = a_turned ? a[1] : a[0];
  const int64_t k = a_turned ? a[0] : a[1];
  const int64_t n = b_turned ? b[0] : b[1];
  if (k != (b_turned ? b[1] : b[0])) planner.mismatch("takes matrices that do not fit each other");
  GemmShape shape = {};
  shape.m = size(m);
  shape.n = size(n);
  shape.k = size(k);
  shape.batches = 1;
  shape.a_row = a_turned ? 1 : size(a[1]);
  shape.a_column = a_turned ? size(a[1]) : 1;
  shape.b_row = b_turned ? 1 : size(b[1]);
  shape.b_column = b_turned ? size(b[1]) : 1;
  shape.alpha = planner.number("alpha", 1);
  shape.beta = planner.number("beta", 1);
  shape.after = planner.node().after;
  Place bias;
  if (planner.has(2)) {
    bias = planner.place(2);
    set_bias(planner, planner.dims(2), shape);
  }
  const Place left = planner.place(0);
  const Place right = planner.place(1);
  add_gemm(planner, shape, left, right, bias, planner.make_output({m, n}));
}

void plan_matmul(Planner &planner) {
  Dims a = planner.dims(0);
  Dims b = planner.dims(1);
  if (a.empty() || b.empty()) planner.mismatch("takes no single numbers");
  const bool a_is_vector = a.size() == 1;
  const bool b_is_vector = b.size() == 1;
  if (a_is_vector) a.insert(a.begin(), 1);
  if (b_is_vector) b.push_back(1);
  const int64_t k = a.back();
  const int64_t n = b.back();
  if (k != b[b.size() - 2]) planner.mismatch("takes matrices that do not fit each other");
  const Dims a_batch(a.begin(), a.end() - 2);
  const Dims b_batch(b.begin(), b.end() - 2);
  const bool a_once = product(a_batch, 0, a_batch.size()) == 1;
  const bool b_once = product(b_batch, 0, b_batch.size()) == 1;
  if (!a_once && !b_once && a_batch != b_batch) {
    planner.unsupported("multiplies stacks of matrices of which one repeats");
  }
  GemmShape shape = {};
  int64_t m = a[a.size() - 2];
  // Batches whose second operand is the same are one tall matrix.
  const int64_t rows = b_once ? product(a, 0, a.size() - 1) : m;
  shape.m = size(rows);
  shape.n = size(n);
  shape.k = size(k);
  shape.batches = b_once ? 1 : size(product(b_batch, 0, b_batch.size()));
  shape.a_row = size(k);
  shape.a_column = 1;
  shape.b_row = size(n);
  shape.b_column = 1;
  shape.a_batch = b_once || a_once ? 0 : size(m * k);
  shape.b_batch = b_once ? 0 : size(k * n);
  shape.bias_column = 1;
  shape.alpha = 1;
  shape.beta = 1;
  shape.after = planner.node().after;
  Dims out = a_batch.size() >= b_batch.size() && !a_once ? a_batch : b_batch;
  if (a_once && b_once) out = a_batch.size() > b_batch.size() ? a_batch : b_batch;
  while (out.size() < std::max(a_batch.size(), b_batch.size())) out.insert(out.begin(), 1);
  if (!a_is_vector) out.push_back(m);
  if (!b_is_vector) out.push_back(n);
  const Place left = planner.place(0);
  const Place right = planner.place(1);
  add_gemm(planner, shape, left, right, planner.bias(), planner.make_output(out));
}

}  // namespace axle::cuda
