// SPDX-License-Identifier: Apache-2.0
//
// What is done number by number.
#include <algorithm>
#include <cstring>
#include <limits>

#include "operators.h"

namespace axle::cuda {

namespace {

using kernels::Binary;
using kernels::BroadcastShape;
using kernels::Unary;
using kernels::UnaryStep;

constexpr std::pair<const char *, Unary> kUnary[] = {
    {"Erf", Unary::kErf},    {"Exp", Unary::kExp},   {"LeakyRelu", Unary::kLeakyRelu},
    {"Neg", Unary::kNegate}, {"Relu", Unary::kRelu}, {"Sigmoid", Unary::kSigmoid},
    {"Sqrt", Unary::kSqrt},  {"Tanh", Unary::kTanh},
};

void add_unary(Planner &planner, const UnaryStep &step) {
  const Dims dims = planner.dims(0);
  const uint32_t count = elements_of(dims);
  const Place from = planner.place(0);
  const Place to = planner.make_output(dims);
  planner.for_each_element(count, [=](Launcher &launcher, uint32_t blocks) {
    launcher.lane.launch(launcher.kernels.axle_unary, blocks, kernels::kNetworkThreads, step, count,
                         launcher.at(from), launcher.at(to));
  });
}

// Aligned at the last dimension; a size of 1 repeats.
Dims broadcast(const Planner &planner, const Dims &a, const Dims &b) {
  Dims out(std::max(a.size(), b.size()));
  for (size_t i = 0; i < out.size(); i++) {
    const int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1;
    const int64_t y = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (x != y && x != 1 && y != 1) planner.mismatch("takes two shapes that do not fit each other");
    out[out.size() - 1 - i] = x == 1 ? y : x;
  }
  return out;
}

// By dimension of `out`; 0 where `in` repeats.
std::vector<uint32_t> strides_of(const Dims &in, const Dims &out) {
  std::vector<uint32_t> strides(out.size(), 0);
  uint32_t stride = 1;
  for (size_t i = 0; i < in.size(); i++) {
    const auto size = static_cast<uint32_t>(in[in.size() - 1 - i]);
    if (size != 1) strides[out.size() - 1 - i] = stride;
    stride *= size;
  }
  return strides;
}

BroadcastShape shape_of(const Planner &planner, const Dims &a, const Dims &b, const Dims &out) {
  const std::vector<uint32_t> a_strides = strides_of(a, out);
  const std::vector<uint32_t> b_strides = strides_of(b, out);
  BroadcastShape shape = {};
  shape.count = elements_of(out);
  for (size_t i = 0; i < out.size(); i++) {
    const auto size = static_cast<uint32_t>(out[i]);
    if (size == 1) continue;
    const uint32_t last = shape.rank - 1;
    // One behind the other in both operands: one dimension.
    if (shape.rank > 0 && shape.a[last] == a_strides[i] * size &&
        shape.b[last] == b_strides[i] * size) {
      shape.dims[last] *= size;
      shape.a[last] = a_strides[i];
      shape.b[last] = b_strides[i];
      continue;
    }
    if (shape.rank == kernels::kStridedRankMax) planner.unsupported("has too many dimensions");
    shape.dims[shape.rank] = size;
    shape.a[shape.rank] = a_strides[i];
    shape.b[shape.rank] = b_strides[i];
    shape.rank++;
  }
  return shape;
}

void plan_binary(Planner &planner, Binary what) {
  const Dims a = planner.dims(0);
  const Dims b = planner.dims(1);
  const Dims out = broadcast(planner, a, b);
  const BroadcastShape shape = shape_of(planner, a, b, out);
  const UnaryStep after = planner.node().after;
  const Place left = planner.place(0);
  const Place right = planner.place(1);
  const Place to = planner.make_output(out);
  planner.for_each_element(shape.count, [=](Launcher &launcher, uint32_t blocks) {
    launcher.lane.launch(launcher.kernels.axle_binary, blocks, kernels::kNetworkThreads, what,
                         after, shape, launcher.at(left), launcher.at(right), launcher.at(to));
  });
}

}  // namespace

std::optional<UnaryStep> unary_step(const NetworkNode &node) {
  UnaryStep step;
  if (std::strcmp(node.op->name, "Gelu") == 0) {
    const NetworkAttribute *approximate = node.find("approximate");
    const bool by_tanh = approximate != nullptr && approximate->s == "tanh";
    step.what = by_tanh ? Unary::kGeluTanh : Unary::kGelu;
    return step;
  }
  for (const auto &[name, what] : kUnary) {
    if (std::strcmp(node.op->name, name) != 0) continue;
    step.what = what;
    const NetworkAttribute *alpha = node.find("alpha");
    constexpr float kLeakyReluSlope = 0.01f;
    if (what == Unary::kLeakyRelu) step.p = alpha == nullptr ? kLeakyReluSlope : alpha->f;
    return step;
  }
  return std::nullopt;
}

void plan_unary(Planner &planner) { add_unary(planner, *unary_step(planner.node())); }

void plan_clip(Planner &planner) {
  UnaryStep step;
  step.what = Unary::kClip;
  step.p = std::numeric_limits<float>::lowest();
  step.q = std::numeric_limits<float>::max();
  if (planner.opset() < 11) {
    step.p = planner.number("min", step.p);
    step.q = planner.number("max", step.q);
  } else {
    if (planner.has(1)) step.p = planner.scalar(1);
    if (planner.has(2)) step.q = planner.scalar(2);
  }
  add_unary(planner, step);
}

void plan_add(Planner &planner) { plan_binary(planner, Binary::kAdd); }
void plan_subtract(Planner &planner) { plan_binary(planner, Binary::kSubtract); }
void plan_multiply(Planner &planner) { plan_binary(planner, Binary::kMultiply); }
void plan_divide(Planner &planner) { plan_binary(planner, Binary::kDivide); }

}  // namespace axle::cuda
