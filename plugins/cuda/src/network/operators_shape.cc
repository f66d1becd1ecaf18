// SPDX-License-Identifier: Apache-2.0
//
// What moves numbers, or only says otherwise how they lie.
#include <algorithm>

#include "operators.h"

namespace axle::cuda {

namespace {

using kernels::CopyShape;

void add_copy(Planner &planner, const CopyShape &shape, Place from, Place to) {
  planner.for_each_element(shape.count, [=](Launcher &launcher, uint32_t blocks) {
    launcher.lane.launch(launcher.kernels.axle_copy, blocks, kernels::kNetworkThreads, shape,
                         launcher.at(from), launcher.at(to));
  });
}

std::vector<int64_t> axes_of(Planner &planner) {
  if (planner.opset() < 13) return planner.integers("axes");
  return planner.has(1) ? planner.integers(size_t{1}) : std::vector<int64_t>();
}

}  // namespace

void plan_identity(Planner &planner) { planner.keep_as_output(0, Dims(planner.dims(0))); }

void plan_flatten(Planner &planner) {
  const Dims dims = planner.dims(0);
  const int64_t axis = planner.integer("axis", 1);
  const bool behind = axis == static_cast<int64_t>(dims.size());
  const size_t at = behind ? dims.size() : axis_of(planner, axis, dims.size());
  planner.keep_as_output(0, {product(dims, 0, at), product(dims, at, dims.size())});
}

void plan_reshape(Planner &planner) {
  const Dims dims = planner.dims(0);
  Dims out = planner.integers(size_t{1});
  const bool zero_is_zero = planner.integer("allowzero", 0) != 0;
  if (out.size() > AXLE_RANK_MAX) planner.mismatch("makes more than 16 dimensions");
  size_t open = out.size();
  for (size_t i = 0; i < out.size(); i++) {
    if (out[i] == 0 && !zero_is_zero) {
      if (i >= dims.size()) planner.mismatch("keeps a dimension that its input has not");
      out[i] = dims[i];
    }
    if (out[i] < -1) planner.mismatch("makes a dimension of " + std::to_string(out[i]));
    if (out[i] != -1) continue;
    if (open != out.size()) planner.mismatch("leaves two dimensions open");
    open = i;
  }
  const uint32_t count = elements_of(dims);
  if (open != out.size()) {
    out[open] = 1;
    const uint32_t others = elements_of(out);
    if (others == 0 || count % others != 0) planner.mismatch("does not fit its input");
    out[open] = count / others;
  }
  if (elements_of(out) != count) planner.mismatch("does not fit its input");
  planner.keep_as_output(0, out);
}

void plan_squeeze(Planner &planner) {
  const Dims dims = planner.dims(0);
  std::vector<bool> goes(dims.size(), false);
  const std::vector<int64_t> axes = axes_of(planner);
  for (const int64_t axis : axes) goes[axis_of(planner, axis, dims.size())] = true;
  Dims out;
  for (size_t i = 0; i < dims.size(); i++) {
    if (axes.empty() && dims[i] == 1) continue;
    if (goes[i] && dims[i] != 1) planner.mismatch("takes a dimension away that is not 1");
    if (!goes[i]) out.push_back(dims[i]);
  }
  planner.keep_as_output(0, out);
}

void plan_unsqueeze(Planner &planner) {
  const Dims dims = planner.dims(0);
  const std::vector<int64_t> axes = axes_of(planner);
  const size_t rank = dims.size() + axes.size();
  if (rank > AXLE_RANK_MAX) planner.mismatch("makes more than 16 dimensions");
  std::vector<bool> is_new(rank, false);
  for (const int64_t axis : axes) {
    const size_t at = axis_of(planner, axis, rank);
    if (is_new[at]) planner.mismatch("names an axis twice");
    is_new[at] = true;
  }
  Dims out;
  size_t next = 0;
  for (size_t i = 0; i < rank; i++) out.push_back(is_new[i] ? 1 : dims[next++]);
  planner.keep_as_output(0, out);
}

void plan_transpose(Planner &planner) {
  const Dims dims = planner.dims(0);
  const size_t rank = dims.size();
  std::vector<int64_t> order = planner.integers("perm");
  if (order.empty()) {
    for (size_t i = rank; i-- > 0;) order.push_back(static_cast<int64_t>(i));
  }
  std::vector<bool> taken(rank, false);
  if (order.size() != rank) planner.mismatch("has a perm of another rank");
  std::vector<uint32_t> strides(rank, 1);
  for (size_t i = rank; i-- > 1;) strides[i - 1] = strides[i] * static_cast<uint32_t>(dims[i]);
  Dims out;
  CopyShape shape = {};
  shape.count = elements_of(dims);
  for (const int64_t axis : order) {
    const size_t at = axis_of(planner, axis, rank);
    if (taken[at]) planner.mismatch("has a perm that names an axis twice");
    taken[at] = true;
    out.push_back(dims[at]);
    if (dims[at] == 1) continue;
    const auto size = static_cast<uint32_t>(dims[at]);
    if (shape.rank > 0 && shape.from[shape.rank - 1] == strides[at] * size) {
      shape.dims[shape.rank - 1] *= size;
      shape.from[shape.rank - 1] = strides[at];
      continue;
    }
    if (shape.rank == kernels::kStridedRankMax) planner.unsupported("has too many dimensions");
    shape.dims[shape.rank] = size;
    shape.from[shape.rank] = strides[at];
    shape.rank++;
  }
  if (shape.rank <= 1) {  // everything lies as before
    planner.keep_as_output(0, out);
    return;
  }
  uint32_t stride = 1;
  for (uint32_t d = shape.rank; d-- > 0;) {
    shape.to[d] = stride;
    stride *= shape.dims[d];
  }
  const Place from = planner.place(0);
  add_copy(planner, shape, from, planner.make_output(out));
}

void plan_concat(Planner &planner) {
  Dims out = planner.dims(0);
  const size_t count = planner.node().inputs.size();
  if (planner.node().find("axis") == nullptr) planner.mismatch("does not say along which axis");
  const size_t axis = axis_of(planner, planner.integer("axis", 0), out.size());
  for (size_t i = 1; i < count; i++) {
    Dims part = planner.dims(i);
    if (part.size() != out.size()) planner.mismatch("takes inputs of different ranks");
    if (__builtin_add_overflow(out[axis], part[axis], &out[axis])) planner.mismatch("is too long");
    part[axis] = out[axis];
    if (part != out) planner.mismatch("takes inputs that differ in more than its axis");
  }
  elements_of(out);
  const auto rows = static_cast<uint32_t>(product(out, 0, axis));
  const auto inner = static_cast<uint32_t>(product(out, axis + 1, out.size()));
  const uint32_t across = static_cast<uint32_t>(out[axis]) * inner;
  std::vector<Place> from;
  for (size_t i = 0; i < count; i++) from.push_back(planner.place(i));
  const Place to = planner.make_output(out);
  CopyShape shape = {};
  shape.rank = 2;
  shape.to[0] = across;
  shape.to[1] = shape.from[1] = 1;
  shape.dims[0] = rows;
  for (size_t i = 0; i < count; i++) {
    const uint32_t part = static_cast<uint32_t>(planner.dims(i)[axis]) * inner;
    shape.dims[1] = shape.from[0] = part;
    shape.count = rows * part;
    add_copy(planner, shape, from[i], to);
    shape.to_offset += part;
  }
}

}  // namespace axle::cuda
