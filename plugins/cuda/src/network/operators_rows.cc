// SPDX-License-Identifier: Apache-2.0
//
// Softmax and normalisations.
#include "operators.h"

namespace axle::cuda {

void plan_softmax(Planner &planner) {
  const Dims dims = planner.dims(0);
  // Before 13 everything from the axis on is one row; an axis may then stand behind the last dimension.
  const bool coerces = planner.opset() < 13;
  const int64_t axis = planner.integer("axis", coerces ? 1 : -1);
  const bool behind = coerces && axis == static_cast<int64_t>(dims.size());
  const size_t at = behind ? dims.size() : axis_of(planner, axis, dims.size());
  kernels::RowShape shape = {};
  const int64_t outer = product(dims, 0, at);
  const int64_t inner = coerces ? 1 : product(dims, at + 1, dims.size());
  shape.count = static_cast<uint32_t>(coerces ? product(dims, at, dims.size()) : dims[at]);
  shape.stride = static_cast<uint32_t>(inner);
  shape.rows = static_cast<uint32_t>(outer * inner);
  const uint32_t elements = elements_of(dims);
  const Place from = planner.place(0);
  const Place to = planner.make_output(dims);
  planner.for_each_block(elements == 0 ? 0 : shape.rows, [=](Launcher &launcher, uint32_t rows) {
    launcher.lane.launch(launcher.kernels.axle_softmax, rows, kernels::kNetworkThreads, shape,
                         launcher.at(from), launcher.at(to));
  });
}

void plan_batch_normalization(Planner &planner) {
  constexpr float kEpsilon = 1e-5f;
  const Dims dims = planner.dims(0);
  if (dims.size() < 2) planner.mismatch("takes images and channels");
  if (planner.integer("training_mode", 0) != 0) planner.unsupported("is in training mode");
  if (planner.opset() < 9 && planner.integer("spatial", 1) != 1)
    planner.unsupported("is not spatial");
  for (size_t i = 1; i < 5; i++) {
    if (planner.dims(i) != Dims{dims[1]}) planner.mismatch("takes one number for each channel");
  }
  const float epsilon = planner.number("epsilon", kEpsilon);
  const kernels::UnaryStep after = planner.node().after;
  const uint32_t count = elements_of(dims);
  const auto channels = static_cast<uint32_t>(dims[1]);
  const auto area = static_cast<uint32_t>(product(dims, 2, dims.size()));
  const Place from = planner.place(0);
  const Place scale = planner.place(1);
  const Place shift = planner.place(2);
  const Place mean = planner.place(3);
  const Place variance = planner.place(4);
  const Place to = planner.make_output(dims);
  planner.for_each_element(count, [=](Launcher &launcher, uint32_t blocks) {
    launcher.lane.launch(launcher.kernels.axle_batch_norm, blocks, kernels::kNetworkThreads, after,
                         count, channels, area, epsilon, launcher.at(from), launcher.at(scale),
                         launcher.at(shift), launcher.at(mean), launcher.at(variance),
                         launcher.at(to));
  });
}

void plan_layer_normalization(Planner &planner) {
  constexpr float kEpsilon = 1e-5f;
  const Dims dims = planner.dims(0);
  const size_t axis = axis_of(planner, planner.integer("axis", -1), dims.size());
  const Dims normalized(dims.begin() + static_cast<ptrdiff_t>(axis), dims.end());
  for (size_t i = 1; i < (planner.has(2) ? 3u : 2u); i++) {
    if (planner.dims(i) != normalized) planner.unsupported("has a scale or bias that repeats");
  }
  const float epsilon = planner.number("epsilon", kEpsilon);
  const uint32_t count = elements_of(normalized);
  const auto rows = static_cast<uint32_t>(product(dims, 0, axis));
  const Place from = planner.place(0);
  const Place scale = planner.place(1);
  const Place shift = planner.has(2) ? planner.place(2) : Place();
  const Place to = planner.make_output(dims);
  planner.for_each_block(count == 0 ? 0 : rows, [=](Launcher &launcher, uint32_t blocks) {
    launcher.lane.launch(launcher.kernels.axle_layer_norm, blocks, kernels::kNetworkThreads, count,
                         epsilon, launcher.at(from), launcher.at(scale), launcher.at(shift),
                         launcher.at(to));
  });
}

}  // namespace axle::cuda
