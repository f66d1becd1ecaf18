// SPDX-License-Identifier: Apache-2.0
//
// Convolutions and pooling. Those of one dimension are of two, of which the first is 1.
#include "operators.h"

namespace axle::cuda {

namespace {

using kernels::ConvShape;
using kernels::PoolShape;
using kernels::WindowShape;

// Most that an attribute of a window may be, so that places stay far within 31 bits.
constexpr int64_t kWindowMax = 1 << 20;
constexpr uint32_t kSmallTile = 64;
constexpr uint32_t kLargeTile = 128;
constexpr uint64_t kLargeTilesMin = 64;
// Output channels of a group below which tiles would be mostly empty.
constexpr uint32_t kTiledRowsMin = 8;

// One dimension of a window.
struct Side {
  int64_t in, kernel, stride = 1, dilation = 1, pad = 0, pad_after = 0;
  int64_t out = 0;
};

struct Window {
  Side y, x;
  bool flat = false;  // one dimension: x alone counts
};

uint32_t size(int64_t value) { return static_cast<uint32_t>(value); }

void check_range(const Planner &planner, int64_t value, int64_t least, const char *what) {
  if (value < least || value > kWindowMax) {
    planner.mismatch(std::string("has ") + what + " " + std::to_string(value));
  }
}

// The attribute's numbers for each dimension, or `fallback`.
std::vector<int64_t> per_side(const Planner &planner, const char *name, size_t count,
                              int64_t fallback) {
  std::vector<int64_t> values = planner.integers(name);
  if (values.empty()) values.assign(count, fallback);
  if (values.size() != count) planner.mismatch(std::string("has ") + name + " of another rank");
  return values;
}

void set_out(const Planner &planner, Side &side, const std::string &auto_pad, bool ceiling) {
  const int64_t reach = side.dilation * (side.kernel - 1) + 1;
  if (auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER") {
    side.out = (side.in + side.stride - 1) / side.stride;
    const int64_t pads = std::max<int64_t>((side.out - 1) * side.stride + reach - side.in, 0);
    side.pad = auto_pad == "SAME_UPPER" ? pads / 2 : pads - pads / 2;
    side.pad_after = pads - side.pad;
    return;
  }
  const int64_t room = side.in + side.pad + side.pad_after - reach;
  if (room < 0) planner.mismatch("has a window that is larger than its input");
  side.out = (ceiling ? (room + side.stride - 1) / side.stride : room / side.stride) + 1;
  // No window begins in the padding behind the input.
  if (ceiling && (side.out - 1) * side.stride >= side.in + side.pad) side.out--;
}

Window read_window(const Planner &planner, const Dims &in, const Dims &kernel, bool ceiling) {
  const size_t rank = in.size();
  if (rank != 3 && rank != 4) {
    planner.unsupported("has " + std::to_string(rank < 2 ? 0 : rank - 2) +
                        " dimensions besides images and channels; 1 and 2 are run");
  }
  const size_t sides = rank - 2;
  if (kernel.size() != sides) planner.mismatch("has a kernel of another rank than its input");
  const std::vector<int64_t> strides = per_side(planner, "strides", sides, 1);
  const std::vector<int64_t> dilations = per_side(planner, "dilations", sides, 1);
  const std::vector<int64_t> pads = per_side(planner, "pads", 2 * sides, 0);
  const std::string auto_pad = planner.text("auto_pad", "NOTSET");
  const bool padded = auto_pad.empty() || auto_pad == "NOTSET";
  if (!padded && auto_pad != "VALID" && auto_pad != "SAME_UPPER" && auto_pad != "SAME_LOWER") {
    planner.mismatch("has auto_pad \"" + auto_pad + "\"");
  }
  Window window;
  window.flat = sides == 1;
  window.y = {1, 1, 1, 1, 0, 0, 1};
  for (size_t i = 0; i < sides; i++) {
    Side &side = i + 1 == sides ? window.x : window.y;
    check_range(planner, in[2 + i], 0, "an input of size");
    check_range(planner, kernel[i], 1, "a kernel of size");
    check_range(planner, strides[i], 1, "a stride of");
    check_range(planner, dilations[i], 1, "a dilation of");
    check_range(planner, pads[i], 0, "a padding of");
    check_range(planner, pads[i + sides], 0, "a padding of");
    side = {in[2 + i], kernel[i], strides[i], dilations[i], 0, 0, 0};
    if (padded) {
      side.pad = pads[i];
      side.pad_after = pads[i + sides];
    }
    if (kernel[i] * dilations[i] > kWindowMax) planner.mismatch("has a window that is too large");
    set_out(planner, side, auto_pad, ceiling);
  }
  return window;
}

WindowShape shape_of(const Window &window, const Dims &in) {
  WindowShape shape = {};
  shape.images = size(in[0]);
  shape.channels = size(in[1]);
  shape.height = size(window.y.in);
  shape.width = size(window.x.in);
  shape.out_height = size(window.y.out);
  shape.out_width = size(window.x.out);
  shape.kernel_height = size(window.y.kernel);
  shape.kernel_width = size(window.x.kernel);
  shape.stride_y = size(window.y.stride);
  shape.stride_x = size(window.x.stride);
  shape.pad_y = size(window.y.pad);
  shape.pad_x = size(window.x.pad);
  shape.dilation_y = size(window.y.dilation);
  shape.dilation_x = size(window.x.dilation);
  return shape;
}

Dims out_dims(const Window &window, int64_t images, int64_t channels) {
  if (window.flat) return {images, channels, window.x.out};
  return {images, channels, window.y.out, window.x.out};
}

uint64_t tiles(uint64_t rows, uint64_t columns, uint64_t groups, uint32_t side) {
  return (rows + side - 1) / side * ((columns + side - 1) / side) * groups;
}

void plan_pool(Planner &planner, bool averages) {
  const Dims in = planner.dims(0);
  if (planner.integer("storage_order", 0) != 0) planner.unsupported("counts columns first");
  const Window window = read_window(planner, in, planner.integers("kernel_shape"),
                                    planner.integer("ceil_mode", 0) != 0);
  for (const Side *side : {&window.y, &window.x}) {
    const int64_t reach = side->dilation * (side->kernel - 1) + 1;
    if (side->pad >= reach || side->pad_after >= reach) {
      planner.mismatch("has as much padding as its kernel has places");
    }
  }
  PoolShape shape = {};
  shape.window = shape_of(window, in);
  shape.averages = averages ? 1 : 0;
  shape.counts_padding = planner.integer("count_include_pad", 0) != 0 ? 1 : 0;
  shape.pad_y_after = size(window.y.pad_after);
  shape.pad_x_after = size(window.x.pad_after);
  const Place from = planner.place(0);
  const Dims out = out_dims(window, in[0], in[1]);
  const Place to = planner.make_output(out);
  planner.for_each_element(elements_of(out), [=](Launcher &launcher, uint32_t blocks) {
    launcher.lane.launch(launcher.kernels.axle_pool, blocks, kernels::kNetworkThreads, shape,
                         launcher.at(from), launcher.at(to));
  });
}

}  // namespace

void plan_conv(Planner &planner) {
  const Dims in = planner.dims(0);
  const Dims weights = planner.dims(1);
  if (in.size() < 3 || weights.size() != in.size()) {
    planner.mismatch("takes an input and weights of one rank, with channels second");
  }
  const Dims kernel(weights.begin() + 2, weights.end());
  const std::vector<int64_t> declared = planner.integers("kernel_shape");
  if (!declared.empty() && declared != kernel)
    planner.mismatch("has a kernel_shape of other sizes than its weights");
  const Window window = read_window(planner, in, kernel, false);
  const int64_t groups = planner.integer("group", 1);
  const int64_t channels = weights[0];
  if (groups < 1 || groups > channels || channels % groups != 0 || in[1] % groups != 0 ||
      weights[1] != in[1] / groups) {
    planner.mismatch("has channels, weights and groups that do not fit one another");
  }
  ConvShape shape = {};
  shape.window = shape_of(window, in);
  shape.out_channels = size(channels);
  shape.groups = size(groups);
  shape.after = planner.node().after;
  Place bias;
  if (planner.has(2)) {
    if (planner.dims(2) != Dims{channels}) planner.mismatch("has a bias of another size");
    bias = planner.place(2);
  }
  const Place from = planner.place(0);
  const Place by = planner.place(1);
  const Dims out = out_dims(window, in[0], channels);
  const uint32_t count = elements_of(out);
  const Place to = planner.make_output(out);
  if (count == 0) return;
  const uint32_t rows = shape.out_channels / shape.groups;
  const uint64_t columns = count / shape.out_channels;
  cu::Function Kernels::*chosen = &Kernels::axle_conv_64;
  uint64_t blocks = tiles(rows, columns, shape.groups, kSmallTile);
  if (rows < kTiledRowsMin) {
    chosen = &Kernels::axle_conv_direct;
    blocks = (uint64_t{count} + kernels::kNetworkThreads - 1) / kernels::kNetworkThreads;
  } else if (rows > kSmallTile &&
             tiles(rows, columns, shape.groups, kLargeTile) >= kLargeTilesMin) {
    chosen = &Kernels::axle_conv_128;
    blocks = tiles(rows, columns, shape.groups, kLargeTile);
  }
  planner.for_each_block(static_cast<uint32_t>(blocks), [=](Launcher &launcher, uint32_t grid) {
    launcher.lane.launch(launcher.kernels.*chosen, grid, kernels::kNetworkThreads, shape,
                         launcher.at(from), launcher.at(by), launcher.at(bias), launcher.at(to));
  });
}

void plan_max_pool(Planner &planner) { plan_pool(planner, false); }

void plan_average_pool(Planner &planner) { plan_pool(planner, true); }

void plan_global_average_pool(Planner &planner) {
  const Dims in = planner.dims(0);
  if (in.size() < 3) planner.mismatch("takes images and channels with something besides");
  Dims out(in.size(), 1);
  out[0] = in[0];
  out[1] = in[1];
  const auto count = static_cast<uint32_t>(product(in, 2, in.size()));
  const Place from = planner.place(0);
  const Place to = planner.make_output(out);
  planner.for_each_block(elements_of(out), [=](Launcher &launcher, uint32_t rows) {
    launcher.lane.launch(launcher.kernels.axle_mean, rows, kernels::kNetworkThreads, count,
                         launcher.at(from), launcher.at(to));
  });
}

}  // namespace axle::cuda
