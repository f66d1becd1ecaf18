// SPDX-License-Identifier: Apache-2.0
//
// What is done number by number, and row by row.
#ifndef AXLE_CUDA_KERNELS_ELEMENTWISE_H
#define AXLE_CUDA_KERNELS_ELEMENTWISE_H

#include "math.h"

AXLE_KERNEL void axle_unary(axle::cuda::kernels::UnaryStep step, uint32_t count, const float *x,
                            float *y) {
  using namespace axle::cuda::kernels;
  const uint32_t at = block_x() * kNetworkThreads + thread_x();
  if (at < count) y[at] = apply(step, x[at]);
}

AXLE_KERNEL void axle_binary(axle::cuda::kernels::Binary what, axle::cuda::kernels::UnaryStep after,
                             axle::cuda::kernels::BroadcastShape shape, const float *a,
                             const float *b, float *y) {
  using namespace axle::cuda::kernels;
  const uint32_t at = block_x() * kNetworkThreads + thread_x();
  if (at >= shape.count) return;
  uint32_t rest = at;
  uint32_t a_at = 0;
  uint32_t b_at = 0;
  AXLE_UNROLL
  for (uint32_t d = kStridedRankMax; d-- > 0;) {
    if (d >= shape.rank) continue;
    const uint32_t i = rest % shape.dims[d];
    rest /= shape.dims[d];
    a_at += i * shape.a[d];
    b_at += i * shape.b[d];
  }
  y[at] = apply(after, apply(what, a[a_at], b[b_at]));
}

AXLE_KERNEL void axle_copy(axle::cuda::kernels::CopyShape shape, const float *x, float *y) {
  using namespace axle::cuda::kernels;
  const uint32_t at = block_x() * kNetworkThreads + thread_x();
  if (at >= shape.count) return;
  uint32_t rest = at;
  uint32_t from = 0;
  uint32_t to = shape.to_offset;
  AXLE_UNROLL
  for (uint32_t d = kStridedRankMax; d-- > 0;) {
    if (d >= shape.rank) continue;
    const uint32_t i = rest % shape.dims[d];
    rest /= shape.dims[d];
    from += i * shape.from[d];
    to += i * shape.to[d];
  }
  y[to] = x[from];
}

// y = (x - mean) / sqrt(variance + epsilon) * scale + shift, by channel. `area` numbers of a channel lie
// behind one another.
AXLE_KERNEL void axle_batch_norm(axle::cuda::kernels::UnaryStep after, uint32_t count,
                                 uint32_t channels, uint32_t area, float epsilon, const float *x,
                                 const float *scale, const float *shift, const float *mean,
                                 const float *variance, float *y) {
  using namespace axle::cuda::kernels;
  const uint32_t at = block_x() * kNetworkThreads + thread_x();
  if (at >= count) return;
  const uint32_t c = at / area % channels;
  const float factor = scale[c] / square_root(variance[c] + epsilon);
  y[at] = apply(after, (x[at] - mean[c]) * factor + shift[c]);
}

// A block for each row.
AXLE_KERNEL void axle_softmax(axle::cuda::kernels::RowShape shape, const float *x, float *y) {
  using namespace axle::cuda::kernels;
  AXLE_SHARED(float, parts, kNetworkWarps);
  const uint32_t first =
      block_x() / shape.stride * shape.count * shape.stride + block_x() % shape.stride;
  float most = -infinity();
  for (uint32_t i = thread_x(); i < shape.count; i += kNetworkThreads) {
    most = larger(most, x[first + i * shape.stride]);
  }
  most = block_max(most, parts);
  float sum = 0;
  for (uint32_t i = thread_x(); i < shape.count; i += kNetworkThreads) {
    const float e = exponential(x[first + i * shape.stride] - most);
    y[first + i * shape.stride] = e;
    sum += e;
  }
  sum = block_sum(sum, parts);
  for (uint32_t i = thread_x(); i < shape.count; i += kNetworkThreads) {
    y[first + i * shape.stride] /= sum;
  }
}

// A block for each row, whose numbers lie behind one another.
AXLE_KERNEL void axle_mean(uint32_t count, const float *x, float *y) {
  using namespace axle::cuda::kernels;
  AXLE_SHARED(float, parts, kNetworkWarps);
  x += block_x() * count;
  float sum = 0;
  for (uint32_t i = thread_x(); i < count; i += kNetworkThreads) sum += x[i];
  sum = block_sum(sum, parts);
  if (thread_x() == 0) y[block_x()] = sum / static_cast<float>(count);
}

// The same.
AXLE_KERNEL void axle_layer_norm(uint32_t count, float epsilon, const float *x, const float *scale,
                                 const float *shift, float *y) {
  using namespace axle::cuda::kernels;
  AXLE_SHARED(float, parts, kNetworkWarps);
  x += block_x() * count;
  y += block_x() * count;
  float sum = 0;
  for (uint32_t i = thread_x(); i < count; i += kNetworkThreads) sum += x[i];
  const float mean = block_sum(sum, parts) / static_cast<float>(count);
  // Of the differences, and not by squares: those of large numbers lose what counts.
  float squares = 0;
  for (uint32_t i = thread_x(); i < count; i += kNetworkThreads) {
    const float apart = x[i] - mean;
    squares += apart * apart;
  }
  const float variance = block_sum(squares, parts) / static_cast<float>(count);
  const float factor = 1.0f / square_root(variance + epsilon);
  for (uint32_t i = thread_x(); i < count; i += kNetworkThreads) {
    const float value = (x[i] - mean) * factor * scale[i];
    y[i] = shift == nullptr ? value : value + shift[i];
  }
}

#endif
