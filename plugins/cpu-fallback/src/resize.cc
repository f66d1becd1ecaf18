// SPDX-License-Identifier: Apache-2.0
#include "resize.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "scratch.h"

namespace axle::cpu {

namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr double kLobes = 3;
// Averaging leaves at least this many times the wanted size to the filter, which hides its blocks.
constexpr size_t kFilteredScaleMin = 2;

double sinc(double x) { return x == 0 ? 1 : std::sin(kPi * x) / (kPi * x); }

double lanczos(double x) { return std::fabs(x) < kLobes ? sinc(x) * sinc(x / kLobes) : 0; }

size_t divide_up(size_t value, size_t by) { return value / by + (value % by != 0); }

// One axis: how pixels of the input become one of the output.
class Filter {
 public:
  // `extent` is the length of the input in its own pixels, at most `count`: the last one may be cut.
  Filter(size_t count, double extent, size_t wanted) {
    const double scale = extent / static_cast<double>(wanted);
    const double widening = std::max(scale, 1.0);
    const double radius = kLobes * widening;
    taps_.reserve(wanted);
    for (size_t i = 0; i < wanted; i++) {
      const double centre = (static_cast<double>(i) + 0.5) * scale;
      const auto first = static_cast<size_t>(std::max(std::floor(centre - radius), 0.0));
      const auto end = std::min(static_cast<size_t>(std::ceil(centre + radius)), count);
      Taps taps = {first, end - first, weights_.size()};
      double sum = 0;
      for (size_t at = first; at < end; at++) {
        const double weight = lanczos((static_cast<double>(at) + 0.5 - centre) / widening);
        weights_.push_back(static_cast<float>(weight));
        sum += weight;
      }
      for (size_t tap = 0; tap < taps.count; tap++) {
        weights_[taps.weights + tap] /= static_cast<float>(sum);
      }
      taps_.push_back(taps);
    }
  }

  struct Taps {
    size_t first;    // pixel of the input
    size_t count;    // of pixels, at least 1
    size_t weights;  // index of the first weight
  };

  size_t size() const { return taps_.size(); }
  const Taps &taps(size_t i) const { return taps_[i]; }
  const float *weights(const Taps &taps) const { return &weights_[taps.weights]; }

 private:
  std::vector<Taps> taps_;
  std::vector<float> weights_;
};

// Averages blocks of `across` x `down` pixels; those at the right and lower edges may be smaller.
void average_blocks(const uint8_t *from, const PixelSize &size, size_t across, size_t down,
                    uint8_t *to) {
  const size_t row = size.width * size.channels;
  auto *sums = static_cast<uint32_t *>(
      Scratch::of_thread().take(Scratch::kResizeSums, row * sizeof(uint32_t)));
  for (size_t y = 0; y < size.height; y += down) {
    const size_t rows = std::min(down, size.height - y);
    std::fill_n(sums, row, 0u);
    for (size_t i = 0; i < rows; i++) {
      const uint8_t *pixels = from + (y + i) * row;
      for (size_t x = 0; x < row; x++) sums[x] += pixels[x];
    }
    for (size_t x = 0; x < size.width; x += across) {
      const size_t columns = std::min(across, size.width - x);
      const uint64_t count = uint64_t{rows} * columns;
      for (size_t c = 0; c < size.channels; c++) {
        uint64_t sum = count / 2;
        const uint32_t *column = sums + x * size.channels + c;
        for (size_t i = 0; i < columns; i++) sum += column[i * size.channels];
        *to++ = static_cast<uint8_t>(sum / count);
      }
    }
  }
}

uint8_t to_pixel(float value) {
  return static_cast<uint8_t>(std::lrintf(std::min(std::max(value, 0.0f), 255.0f)));
}

void filter_rows(const float *from, const Filter &across, size_t channels, uint8_t *to) {
  for (size_t x = 0; x < across.size(); x++) {
    const Filter::Taps &taps = across.taps(x);
    const float *weights = across.weights(taps);
    for (size_t c = 0; c < channels; c++) {
      const float *pixel = from + taps.first * channels + c;
      float sum = 0;
      for (size_t tap = 0; tap < taps.count; tap++) sum += weights[tap] * pixel[tap * channels];
      *to++ = to_pixel(sum);
    }
  }
}

void filter(const uint8_t *from, const PixelSize &size, const Filter &across, const Filter &down,
            uint8_t *to) {
  const size_t row = size.width * size.channels;
  auto *sums =
      static_cast<float *>(Scratch::of_thread().take(Scratch::kResizeSums, row * sizeof(float)));
  for (size_t y = 0; y < down.size(); y++) {
    const Filter::Taps &taps = down.taps(y);
    const float *weights = down.weights(taps);
    std::fill_n(sums, row, 0.0f);
    for (size_t tap = 0; tap < taps.count; tap++) {
      const uint8_t *pixels = from + (taps.first + tap) * row;
      const float weight = weights[tap];
      for (size_t x = 0; x < row; x++) sums[x] += weight * static_cast<float>(pixels[x]);
    }
    filter_rows(sums, across, size.channels, to + y * across.size() * size.channels);
  }
}

size_t block_of(size_t size, size_t wanted) {
  return std::max<size_t>(size / wanted / kFilteredScaleMin, 1);
}

double extent_of(size_t size, size_t block) {
  return static_cast<double>(size) / static_cast<double>(block);
}

}  // namespace

void resize(const uint8_t *from, const PixelSize &size, size_t width, size_t height, uint8_t *to) {
  const size_t across = block_of(size.width, width);
  const size_t down = block_of(size.height, height);
  PixelSize left = size;
  if (across > 1 || down > 1) {
    left = {divide_up(size.width, across), divide_up(size.height, down), size.channels};
    auto *averaged =
        static_cast<uint8_t *>(Scratch::of_thread().take(Scratch::kResizeBlocks, left.bytes()));
    average_blocks(from, size, across, down, averaged);
    from = averaged;
  }
  filter(from, left, Filter(left.width, extent_of(size.width, across), width),
         Filter(left.height, extent_of(size.height, down), height), to);
}

}  // namespace axle::cpu
