// SPDX-License-Identifier: Apache-2.0
//
// Pixels to the input of a network. The arithmetic is the CPU plugin's: whole blocks are averaged first, what is left
// goes through a Lanczos filter, and each of the two rounds to whole pixels.
#ifndef AXLE_CUDA_KERNELS_IMAGE_H
#define AXLE_CUDA_KERNELS_IMAGE_H

#include "image_layout.h"
#include "math.h"

namespace axle::cuda::kernels {

AXLE_DEVICE inline uint8_t to_pixel(float value) {
  const float inside = smaller(larger(value, 0.0f), 255.0f);
  auto whole = static_cast<uint32_t>(inside + 0.5f);
  if (static_cast<float>(whole) == inside + 0.5f) whole &= ~1u;  // halves go to even numbers
  return static_cast<uint8_t>(whole);
}

// The pixel of the output at (y, x), by the filters of a scaled image.
AXLE_DEVICE inline uint8_t filtered(const uint8_t *base, const Image &image, uint32_t channels,
                                    uint32_t y, uint32_t x, uint32_t c) {
  const bool averages = image.across > 1 || image.down > 1;
  const uint8_t *from = base + (averages ? image.averaged : image.pixels);
  const uint32_t width = averages ? image.averaged_width : image.width;
  const ImageTaps column = reinterpret_cast<const ImageTaps *>(base + image.columns)[x];
  const ImageTaps row = reinterpret_cast<const ImageTaps *>(base + image.rows)[y];
  const auto *across =
      reinterpret_cast<const float *>(base + image.column_weights) + column.weights;
  const auto *down = reinterpret_cast<const float *>(base + image.row_weights) + row.weights;
  float sum = 0;
  for (uint32_t i = 0; i < column.count; i++) {
    const uint8_t *pixel = from + (uint64_t{row.first} * width + column.first + i) * channels + c;
    float of_column = 0;
    for (uint32_t j = 0; j < row.count; j++) {
      of_column += down[j] * static_cast<float>(*pixel);
      pixel += uint64_t{width} * channels;
    }
    sum += across[i] * of_column;
  }
  return to_pixel(sum);
}

// As it is in the output, before it is normalized.
AXLE_DEVICE inline uint8_t pixel_at(const uint8_t *base, const Image &image, uint32_t channels,
                                    uint32_t y, uint32_t x, uint32_t c) {
  if (image.scaled != 0) return filtered(base, image, channels, y, x, c);
  return base[image.pixels + (uint64_t{y} * image.width + x) * channels + c];
}

}  // namespace axle::cuda::kernels

// `blocks` blocks for each image share its averaged pixels; those at the right and lower edges are of fewer.
AXLE_KERNEL void axle_image_average(const axle::cuda::kernels::Image *images, uint8_t *base,
                                    uint32_t channels, uint32_t blocks) {
  using namespace axle::cuda::kernels;
  const Image image = images[block_x() / blocks];
  if (image.across == 1 && image.down == 1) return;
  const uint64_t count = uint64_t{image.averaged_width} * image.averaged_height * channels;
  for (uint64_t at = block_x() % blocks * uint64_t{kImageThreads} + thread_x(); at < count;
       at += uint64_t{blocks} * kImageThreads) {
    const auto c = static_cast<uint32_t>(at % channels);
    const uint32_t x = static_cast<uint32_t>(at / channels % image.averaged_width) * image.across;
    const uint32_t y = static_cast<uint32_t>(at / channels / image.averaged_width) * image.down;
    const uint32_t columns = image.width - x < image.across ? image.width - x : image.across;
    const uint32_t rows = image.height - y < image.down ? image.height - y : image.down;
    const uint64_t pixels = uint64_t{columns} * rows;
    uint64_t sum = pixels / 2;
    for (uint32_t j = 0; j < rows; j++) {
      const uint8_t *row = base + image.pixels + (uint64_t{y + j} * image.width + x) * channels + c;
      for (uint32_t i = 0; i < columns; i++) sum += row[uint64_t{i} * channels];
    }
    base[image.averaged + at] = static_cast<uint8_t>(sum / pixels);
  }
}

// The same for the pixels of the output, which moments are taken of.
AXLE_KERNEL void axle_image_resize(const axle::cuda::kernels::Image *images, uint8_t *base,
                                   axle::cuda::kernels::ImageOutput output, uint32_t blocks) {
  using namespace axle::cuda::kernels;
  const Image image = images[block_x() / blocks];
  if (image.scaled == 0) return;
  const uint32_t count = output.width * output.height * output.channels;
  for (uint32_t at = block_x() % blocks * kImageThreads + thread_x(); at < count;
       at += blocks * kImageThreads) {
    const uint32_t x = at / output.channels % output.width;
    const uint32_t y = at / output.channels / output.width;
    base[image.resized + at] = filtered(base, image, output.channels, y, x, at % output.channels);
  }
}

// A block for each image. The sums are whole numbers, and exact.
AXLE_KERNEL void axle_image_moments(const axle::cuda::kernels::Image *images, uint8_t *base,
                                    axle::cuda::kernels::ImageOutput output) {
  using namespace axle::cuda::kernels;
  AXLE_SHARED(uint64_t, sums, kImageThreads);
  AXLE_SHARED(uint64_t, squares, kImageThreads);
  const Image image = images[block_x()];
  const uint8_t *pixels = base + (image.scaled != 0 ? image.resized : image.pixels);
  const uint32_t count = output.width * output.height * output.channels;
  uint64_t sum = 0;
  uint64_t square = 0;
  for (uint32_t at = thread_x(); at < count; at += kImageThreads) {
    const uint32_t value = pixels[at];
    sum += value;
    square += value * value;
  }
  sums[thread_x()] = sum;
  squares[thread_x()] = square;
  sync_threads();
  if (thread_x() != 0) return;
  for (uint32_t i = 1; i < kImageThreads; i++) {
    sum += sums[i];
    square += squares[i];
  }
  const auto n = static_cast<double>(count);
  const double mean = static_cast<double>(sum) / n;
  double variance = static_cast<double>(square) / n - mean * mean;
  if (variance < 0) variance = 0;
  const double least = 1.0 / square_root(n);
  const double spread = square_root(variance);
  auto *moments = reinterpret_cast<ImageMoments *>(base + output.moments);
  moments[block_x()] = {static_cast<float>(mean),
                        static_cast<float>(spread > least ? spread : least)};
}

// A thread for each number of the network's input.
AXLE_KERNEL void axle_image_normalize(const axle::cuda::kernels::Image *images, const uint8_t *base,
                                      axle::cuda::kernels::ImageOutput output, float *to) {
  using namespace axle::cuda::kernels;
  const uint32_t area = output.width * output.height;
  const uint32_t of_image = area * output.channels;
  const uint32_t at = block_x() * kImageThreads + thread_x();
  if (at >= output.images * of_image) return;
  const uint32_t number = at / of_image;
  const uint32_t rest = at % of_image;
  const uint32_t c = output.planar != 0 ? rest / area : rest % output.channels;
  const uint32_t place = output.planar != 0 ? rest % area : rest / output.channels;
  const Image &image = images[number];
  float value = 0;
  if (output.standardizes != 0) {
    const uint8_t *pixels = base + (image.scaled != 0 ? image.resized : image.pixels);
    const ImageMoments moments =
        reinterpret_cast<const ImageMoments *>(base + output.moments)[number];
    value = static_cast<float>(pixels[place * output.channels + c]);
    value = (value - moments.centre) / moments.spread;
  } else {
    value = static_cast<float>(
        pixel_at(base, image, output.channels, place / output.width, place % output.width, c));
  }
  const float mean = reinterpret_cast<const float *>(base + output.mean)[c];
  const float std = reinterpret_cast<const float *>(base + output.std)[c];
  to[at] = (value - mean) / std;
}

#endif
