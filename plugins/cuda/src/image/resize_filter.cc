// SPDX-License-Identifier: Apache-2.0
#include "resize_filter.h"

#include <algorithm>
#include <cmath>

namespace axle::cuda {

namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr double kLobes = 3;
// Averaging leaves at least this many times the wanted size to the filter, which hides its blocks.
constexpr uint32_t kFilteredScaleMin = 2;

double sinc(double x) { return x == 0 ? 1 : std::sin(kPi * x) / (kPi * x); }

double lanczos(double x) { return std::fabs(x) < kLobes ? sinc(x) * sinc(x / kLobes) : 0; }

}  // namespace

ResizeFilter::ResizeFilter(uint32_t size, uint32_t wanted)
    : block(std::max(size / wanted / kFilteredScaleMin, 1u)),
      left(size / block + (size % block != 0)) {
  // In pixels of what is left, of which the last may be cut.
  const double extent = static_cast<double>(size) / static_cast<double>(block);
  const double scale = extent / static_cast<double>(wanted);
  const double widening = std::max(scale, 1.0);
  const double radius = kLobes * widening;
  taps.reserve(wanted);
  for (uint32_t i = 0; i < wanted; i++) {
    const double centre = (static_cast<double>(i) + 0.5) * scale;
    const auto first = static_cast<uint32_t>(std::max(std::floor(centre - radius), 0.0));
    const auto end = std::min(static_cast<uint32_t>(std::ceil(centre + radius)), left);
    const auto begin = static_cast<uint32_t>(weights.size());
    taps.push_back({first, end - first, begin});
    double sum = 0;
    for (uint32_t at = first; at < end; at++) {
      const double weight = lanczos((static_cast<double>(at) + 0.5 - centre) / widening);
      weights.push_back(static_cast<float>(weight));
      sum += weight;
    }
    for (size_t at = begin; at < weights.size(); at++) weights[at] /= static_cast<float>(sum);
  }
}

}  // namespace axle::cuda
