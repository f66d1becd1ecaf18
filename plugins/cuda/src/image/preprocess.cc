// SPDX-License-Identifier: Apache-2.0
#include "preprocess.h"

#include <algorithm>
#include <cmath>

#include "../kernels/network_layout.h"
#include "../tensor_checks.h"
#include "common/failure.h"

namespace axle::cuda {

namespace {

constexpr int64_t kChannelsMax = 1024;
constexpr int64_t kSideMax = 16384;
constexpr int64_t kFromSideMax = 1 << 24;

[[noreturn]] void refuse(const std::string &what) {
  throw Failure(AXLE_STATUS_INVALID_ARGUMENT, one_line(what));
}

bool is_other(const Arguments &arguments, const char *name, const char *usual, const char *other) {
  const std::string value = arguments.string(name, usual);
  if (value == other) return true;
  if (value == usual) return false;
  refuse(std::string("argument \"") + name + "\" is \"" + value + "\"; give \"" + usual +
         "\" or \"" + other + "\"");
}

uint32_t side_of(const Arguments &arguments, const char *name, int64_t own) {
  const int64_t value = arguments.integer(name, own);
  if (value == own || (value >= 1 && value <= kSideMax)) return static_cast<uint32_t>(value);
  refuse(std::string("argument \"") + name + "\" is " + std::to_string(value) + "; give 1 to " +
         std::to_string(kSideMax));
}

void check_numbers(const char *name, const std::vector<float> &values, bool divides) {
  for (const float value : values) {
    if (std::isfinite(value) && !(divides && value == 0.0f)) continue;
    refuse(std::string("argument \"") + name + "\" holds a value that is not finite" +
           (divides ? " or is 0" : ""));
  }
}

}  // namespace

Preprocess::Preprocess(const axle_tensor &image, const Arguments &arguments) {
  if (image.dtype != AXLE_DTYPE_UINT8 || image.rank != 3) {
    refuse("preprocess takes UINT8 [height, width, channels], not " + tensor_text(image));
  }
  if (check_bytes(image, 1, "the image") == 0) {
    refuse("preprocess got an image without pixels: " + tensor_text(image));
  }
  if (std::max(image.dims[0], image.dims[1]) > kFromSideMax) {
    refuse("the image " + tensor_text(image) + " is too long; at most " +
           std::to_string(kFromSideMax) + " pixels a side are taken");
  }
  if (image.dims[2] > kChannelsMax) {
    refuse("the image " + tensor_text(image) + " has more than " + std::to_string(kChannelsMax) +
           " channels");
  }
  from_width = static_cast<uint32_t>(image.dims[1]);
  from_height = static_cast<uint32_t>(image.dims[0]);
  channels = static_cast<uint32_t>(image.dims[2]);
  width = side_of(arguments, "width", image.dims[1]);
  height = side_of(arguments, "height", image.dims[0]);
  if (uint64_t{width} * height > kernels::kElementsMax / channels) {
    refuse("the image would have more than " + std::to_string(kernels::kElementsMax) + " values");
  }
  planar = !is_other(arguments, "layout", "nchw", "nhwc");
  standardizes = is_other(arguments, "standardize", "none", "image");
  mean = arguments.floats("mean", channels, 0.0f);
  std = arguments.floats("std", channels, 1.0f);
  check_numbers("mean", mean, false);
  check_numbers("std", std, true);
}

std::vector<int64_t> Preprocess::shape() const {
  if (planar) return {1, channels, height, width};
  return {1, height, width, channels};
}

}  // namespace axle::cuda
