// SPDX-License-Identifier: Apache-2.0
#include "preprocess.h"

#include <algorithm>
#include <cmath>

#include "common/arguments.h"
#include "common/failure.h"
#include "scratch.h"
#include "tensor_data.h"

namespace axle::cpu {

namespace {

constexpr uint64_t kChannelsMax = 1024;
constexpr int64_t kSideMax = 16384;
// Of an image that is scaled: sums of whole columns stay within 32 bits.
constexpr int64_t kScaledSideMax = 1 << 24;

[[noreturn]] void refuse(const std::string &what) {
  throw Failure(AXLE_STATUS_INVALID_ARGUMENT, one_line(what));
}

bool one_of(const Arguments &arguments, const char *name, const char *usual, const char *other) {
  const std::string value = arguments.string(name, usual);
  if (value == other) return true;
  if (value == usual) return false;
  refuse(std::string("argument \"") + name + "\" is \"" + value + "\"; give \"" + usual +
         "\" or \"" + other + "\"");
}

void check_numbers(const char *name, const std::vector<float> &values, bool divides) {
  for (const float value : values) {
    if (std::isfinite(value) && !(divides && value == 0.0f)) continue;
    refuse(std::string("argument \"") + name + "\" holds a value that is not finite" +
           (divides ? " or is 0" : ""));
  }
}

// The side to scale to, or the image's own.
uint64_t side(const Arguments &arguments, const char *name, int64_t own) {
  const int64_t value = arguments.integer(name, own);
  if (value == own || (value >= 1 && value <= kSideMax)) return static_cast<uint64_t>(value);
  refuse(std::string("argument \"") + name + "\" is " + std::to_string(value) + "; give 1 to " +
         std::to_string(kSideMax));
}

constexpr size_t kPixelValues = 256;

}  // namespace

Preprocess::Preprocess(const axle_tensor &image, const Arguments &arguments) {
  if (image.dtype != AXLE_DTYPE_UINT8 || image.rank != 3) {
    refuse("preprocess takes UINT8 [height, width, channels], not " + tensor_text(image));
  }
  if (cpu::element_count(image.dims, image.rank) == 0)
    refuse("preprocess got an image without pixels: " + tensor_text(image));
  check_bytes(image, "the image");
  channels_ = static_cast<uint64_t>(image.dims[2]);
  width_ = side(arguments, "width", image.dims[1]);
  height_ = side(arguments, "height", image.dims[0]);
  pixels_ = width_ * height_;
  const bool scales = width_ != static_cast<uint64_t>(image.dims[1]) ||
                      height_ != static_cast<uint64_t>(image.dims[0]);
  if (scales && std::max(image.dims[0], image.dims[1]) > kScaledSideMax) {
    refuse("the image " + tensor_text(image) + " is too long to be scaled");
  }
  from_ = {static_cast<size_t>(image.dims[1]), static_cast<size_t>(image.dims[0]),
           static_cast<size_t>(channels_)};
  planar_ = !one_of(arguments, "layout", "nchw", "nhwc");
  standardizes_ = one_of(arguments, "standardize", "none", "image");
  if (channels_ > kChannelsMax) {
    refuse("the image " + tensor_text(image) + " has " + std::to_string(channels_) +
           " channels; at most " + std::to_string(kChannelsMax) + " are taken");
  }
  mean_ = arguments.floats("mean", channels_, 0.0f);
  std_ = arguments.floats("std", channels_, 1.0f);
  check_numbers("mean", mean_, false);
  check_numbers("std", std_, true);
  const auto height = static_cast<int64_t>(height_);
  const auto width = static_cast<int64_t>(width_);
  if (planar_) {
    shape_ = {1, image.dims[2], height, width};
  } else {
    shape_ = {1, height, width, image.dims[2]};
  }
}

Preprocess::Scaling Preprocess::scaling_of(const uint8_t *image) const {
  if (!standardizes_) return {};
  const uint64_t count = element_count();
  // Blocks keep the inner sums in 32 bits, which vectorise better; the totals are exact.
  uint64_t sum = 0;
  uint64_t squares = 0;
  constexpr uint64_t block = 65536;
  for (uint64_t start = 0; start < count; start += block) {
    const uint64_t end = std::min(count, start + block);
    uint32_t block_sum = 0;
    uint32_t block_squares = 0;
    for (uint64_t i = start; i < end; i++) {
      const uint32_t x = image[i];
      block_sum += x;
      block_squares += x * x;
    }
    sum += block_sum;
    squares += block_squares;
  }
  const double n = static_cast<double>(count);
  const double mean = static_cast<double>(sum) / n;
  const double variance = std::max(0.0, static_cast<double>(squares) / n - mean * mean);
  return {static_cast<float>(mean),
          static_cast<float>(std::max(std::sqrt(variance), 1.0 / std::sqrt(n)))};
}

std::vector<float> Preprocess::table_of(const Scaling &scaling) const {
  std::vector<float> table(channels_ * kPixelValues);
  for (uint64_t c = 0; c < channels_; c++) {
    for (size_t x = 0; x < kPixelValues; x++) {
      const float scaled = (static_cast<float>(x) - scaling.centre) / scaling.spread;
      table[c * kPixelValues + x] = (scaled - mean_[c]) / std_[c];
    }
  }
  return table;
}

const uint8_t *Preprocess::pixels_of(const axle_tensor &image) const {
  const void *data = contiguous_data(image);
  if (data == nullptr) {
    void *copy = Scratch::of_thread().take(Scratch::kGather, image.bytes);
    gather(image, copy);
    data = copy;
  }
  const auto *pixels = static_cast<const uint8_t *>(data);
  if (from_.width == width_ && from_.height == height_) return pixels;
  auto *resized =
      static_cast<uint8_t *>(Scratch::of_thread().take(Scratch::kResized, element_count()));
  resize(pixels, from_, width_, height_, resized);
  return resized;
}

void Preprocess::run(const axle_tensor &image, float *to) const {
  const uint8_t *from = pixels_of(image);
  const std::vector<float> table = table_of(scaling_of(from));
  if (planar_) {
    for (uint64_t c = 0; c < channels_; c++) {
      const float *of_value = &table[c * kPixelValues];
      float *plane = to + c * pixels_;
      for (uint64_t i = 0; i < pixels_; i++) plane[i] = of_value[from[i * channels_ + c]];
    }
    return;
  }
  for (uint64_t i = 0; i < pixels_; i++) {
    for (uint64_t c = 0; c < channels_; c++) {
      *to++ = table[c * kPixelValues + *from++];
    }
  }
}

}  // namespace axle::cpu
