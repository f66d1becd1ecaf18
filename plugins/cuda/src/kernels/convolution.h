// SPDX-License-Identifier: Apache-2.0
//
// Convolutions and pooling of two dimensions, images first, then channels.
#ifndef AXLE_CUDA_KERNELS_CONVOLUTION_H
#define AXLE_CUDA_KERNELS_CONVOLUTION_H

#include "gemm.h"

namespace axle::cuda::kernels {

// The second operand of an implicit GEMM: column n is an output pixel of some image, row k a channel and
// place of the window. A thread's four columns stay the same, so where they lie is worked out once.
struct Pixels {
  const float *from[4];  // the first channel of the group, of the pixel's image
  int y[4], x[4];        // of the window's first place, and before the image where it is padded
};

AXLE_DEVICE inline Pixels pixels_at(const WindowShape &w, const float *in, uint32_t channel,
                                    uint32_t first) {
  Pixels pixels;
  const uint32_t area = w.out_height * w.out_width;
  AXLE_UNROLL
  for (uint32_t i = 0; i < 4; i++) {
    const uint32_t n = first + i;
    const bool inside = n < w.images * area;
    const uint32_t image = inside ? n / area : 0;
    const uint32_t place = inside ? n % area : 0;
    pixels.from[i] = in + (image * w.channels + channel) * w.height * w.width;
    // What is no pixel lies so far above that nothing of its window is in the image.
    pixels.y[i] =
        inside ? static_cast<int>(place / w.out_width * w.stride_y) - static_cast<int>(w.pad_y)
               : -(1 << 30);
    pixels.x[i] = static_cast<int>(place % w.out_width * w.stride_x) - static_cast<int>(w.pad_x);
  }
  return pixels;
}

AXLE_DEVICE inline float pixel_or_zero(const WindowShape &w, const float *plane, int y, int x) {
  const bool inside =
      y >= 0 && x >= 0 && y < static_cast<int>(w.height) && x < static_cast<int>(w.width);
  return inside ? plane[static_cast<uint32_t>(y) * w.width + static_cast<uint32_t>(x)] : 0.0f;
}

AXLE_DEVICE inline Float4 load_windows(const WindowShape &w, const Pixels &pixels, uint32_t k,
                                       uint32_t k_end) {
  Float4 four = {0, 0, 0, 0};
  if (k >= k_end) return four;
  const uint32_t places = w.kernel_height * w.kernel_width;
  const uint32_t plane = k / places * w.height * w.width;
  const auto dy = static_cast<int>(k % places / w.kernel_width * w.dilation_y);
  const auto dx = static_cast<int>(k % places % w.kernel_width * w.dilation_x);
  four.x = pixel_or_zero(w, pixels.from[0] + plane, pixels.y[0] + dy, pixels.x[0] + dx);
  four.y = pixel_or_zero(w, pixels.from[1] + plane, pixels.y[1] + dy, pixels.x[1] + dx);
  four.z = pixel_or_zero(w, pixels.from[2] + plane, pixels.y[2] + dy, pixels.x[2] + dx);
  four.w = pixel_or_zero(w, pixels.from[3] + plane, pixels.y[3] + dy, pixels.x[3] + dx);
  return four;
}

// One block for each tile of each group: rows are output channels, columns the pixels of all images.
template <class T>
AXLE_DEVICE inline void convolve(const ConvShape &shape, const float *in, const float *weights,
                                 const float *bias, float *out) {
  const WindowShape &w = shape.window;
  const uint32_t area = w.out_height * w.out_width;
  const uint32_t columns = w.images * area;
  const uint32_t rows = shape.out_channels / shape.groups;
  const uint32_t depth = w.channels / shape.groups * w.kernel_height * w.kernel_width;
  const uint32_t tiles_across = (columns + T::kColumns - 1) / T::kColumns;
  const uint32_t tiles = tiles_across * ((rows + T::kRows - 1) / T::kRows);
  const uint32_t group = block_x() / tiles;
  const uint32_t tile = block_x() % tiles;
  const float *kernel = weights + group * rows * depth;
  const Operand left = {
      kernel, rows, depth, depth, 1, tile / tiles_across * T::kRows, is_wide(kernel, depth)};
  const uint32_t first = tile % tiles_across * T::kColumns;
  constexpr unsigned kAlong = T::kColumns / 4;
  const Piece piece = {thread_x() % kAlong * 4, thread_x() / kAlong};
  const Pixels pixels = pixels_at(w, in, group * (w.channels / shape.groups), first + piece.at);
  Sums<T> sums;
  multiply_tile<T>(
      left, false, piece,
      [&](const Piece &at, uint32_t k0) { return load_windows(w, pixels, k0 + at.k, depth); },
      sums);
  AXLE_UNROLL
  for (unsigned j = 0; j < T::kEach; j++) {
    const uint32_t column = first + place_of<T>(thread_x() % T::kAcross, j);
    if (column >= columns) continue;
    const uint32_t image = column / area;
    const uint32_t place = column % area;
    AXLE_UNROLL
    for (unsigned i = 0; i < T::kEach; i++) {
      const uint32_t row = left.first + place_of<T>(thread_x() / T::kAcross, i);
      if (row >= rows) continue;
      const uint32_t channel = group * rows + row;
      const float sum = sums.at[i][j] + (bias == nullptr ? 0.0f : bias[channel]);
      out[(image * shape.out_channels + channel) * area + place] = apply(shape.after, sum);
    }
  }
}

}  // namespace axle::cuda::kernels

AXLE_KERNEL void axle_conv_128(axle::cuda::kernels::ConvShape shape, const float *in,
                               const float *weights, const float *bias, float *out) {
  using namespace axle::cuda::kernels;
  convolve<Tile<128, 128>>(shape, in, weights, bias, out);
}
AXLE_KERNEL void axle_conv_64(axle::cuda::kernels::ConvShape shape, const float *in,
                              const float *weights, const float *bias, float *out) {
  using namespace axle::cuda::kernels;
  convolve<Tile<64, 64>>(shape, in, weights, bias, out);
}

// A thread for each output: where groups are so small (depthwise) that tiles would be mostly empty.
AXLE_KERNEL void axle_conv_direct(axle::cuda::kernels::ConvShape shape, const float *in,
                                  const float *weights, const float *bias, float *out) {
  using namespace axle::cuda::kernels;
  const WindowShape &w = shape.window;
  const uint32_t area = w.out_height * w.out_width;
  const uint32_t at = block_x() * kNetworkThreads + thread_x();
  if (at >= w.images * shape.out_channels * area) return;
  const uint32_t channel = at / area % shape.out_channels;
  const uint32_t image = at / area / shape.out_channels;
  const uint32_t place = at % area;
  const uint32_t inputs = w.channels / shape.groups;
  const uint32_t group = channel / (shape.out_channels / shape.groups);
  const float *plane = in + (image * w.channels + group * inputs) * w.height * w.width;
  const float *weight = weights + channel * inputs * w.kernel_height * w.kernel_width;
  const int y0 = static_cast<int>(place / w.out_width * w.stride_y) - static_cast<int>(w.pad_y);
  const int x0 = static_cast<int>(place % w.out_width * w.stride_x) - static_cast<int>(w.pad_x);
  float sum = 0;
  for (uint32_t i = 0; i < inputs; i++) {
    for (uint32_t ky = 0; ky < w.kernel_height; ky++) {
      for (uint32_t kx = 0; kx < w.kernel_width; kx++) {
        const int y = y0 + static_cast<int>(ky * w.dilation_y);
        const int x = x0 + static_cast<int>(kx * w.dilation_x);
        sum += pixel_or_zero(w, plane, y, x) * *weight++;
      }
    }
    plane += w.height * w.width;
  }
  if (bias != nullptr) sum += bias[channel];
  out[at] = apply(shape.after, sum);
}

// A thread for each output.
AXLE_KERNEL void axle_pool(axle::cuda::kernels::PoolShape shape, const float *in, float *out) {
  using namespace axle::cuda::kernels;
  const WindowShape &w = shape.window;
  const uint32_t area = w.out_height * w.out_width;
  const uint32_t at = block_x() * kNetworkThreads + thread_x();
  if (at >= w.images * w.channels * area) return;
  const float *plane = in + at / area * w.height * w.width;
  const uint32_t place = at % area;
  const int y0 = static_cast<int>(place / w.out_width * w.stride_y) - static_cast<int>(w.pad_y);
  const int x0 = static_cast<int>(place % w.out_width * w.stride_x) - static_cast<int>(w.pad_x);
  const int y_end = static_cast<int>(w.height + shape.pad_y_after);
  const int x_end = static_cast<int>(w.width + shape.pad_x_after);
  float result = shape.averages != 0 ? 0.0f : -infinity();
  uint32_t counted = 0;
  for (uint32_t ky = 0; ky < w.kernel_height; ky++) {
    for (uint32_t kx = 0; kx < w.kernel_width; kx++) {
      const int y = y0 + static_cast<int>(ky * w.dilation_y);
      const int x = x0 + static_cast<int>(kx * w.dilation_x);
      const bool inside =
          y >= 0 && x >= 0 && y < static_cast<int>(w.height) && x < static_cast<int>(w.width);
      // Of a last window that reaches past all padding, what is past it never counts.
      if (inside || (shape.counts_padding != 0 && y < y_end && x < x_end)) counted++;
      if (!inside) continue;
      const float value = plane[static_cast<uint32_t>(y) * w.width + static_cast<uint32_t>(x)];
      result =
          shape.averages != 0 ? result + value : (value > result || is_nan(value) ? value : result);
    }
  }
  out[at] = shape.averages != 0 ? result / static_cast<float>(counted) : result;
}

#endif
