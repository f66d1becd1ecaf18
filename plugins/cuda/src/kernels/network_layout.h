// SPDX-License-Identifier: Apache-2.0
//
// What the host and the kernels of networks agree on. No tensor has more elements than an index of 32 bits
// can count, so that all indices are such.
#ifndef AXLE_CUDA_KERNELS_NETWORK_LAYOUT_H
#define AXLE_CUDA_KERNELS_NETWORK_LAYOUT_H

#include "language.h"

namespace axle::cuda::kernels {

constexpr uint32_t kElementsMax = 0x7FFFFFFFu;
// Threads of a block of every kernel of a network.
constexpr uint32_t kNetworkThreads = 256;

// What is done to one number. `p` and `q` are parameters.
enum class Unary : uint32_t {
  kNone,
  kRelu,
  kLeakyRelu,  // slope p
  kSigmoid,
  kTanh,
  kGelu,
  kGeluTanh,
  kErf,
  kExp,
  kSqrt,
  kNegate,
  kClip,  // to p .. q
};

struct UnaryStep {
  Unary what = Unary::kNone;
  float p = 0;
  float q = 0;
};

enum class Binary : uint32_t { kAdd, kSubtract, kMultiply, kDivide };

// Most dimensions of what is not contiguous, once those that lie one behind the other are one.
constexpr uint32_t kStridedRankMax = 8;

// y[i] = a[..] with b[..]: a stride of 0 repeats.
struct BroadcastShape {
  uint32_t rank;
  uint32_t count;
  uint32_t dims[kStridedRankMax];
  uint32_t a[kStridedRankMax];
  uint32_t b[kStridedRankMax];
};

// y[offset + ..] = x[..]
struct CopyShape {
  uint32_t rank;
  uint32_t count;
  uint32_t dims[kStridedRankMax];
  uint32_t from[kStridedRankMax];
  uint32_t to[kStridedRankMax];
  uint32_t to_offset;
};

// C[m, n] = unary(alpha * A[m, k] * B[k, n] + beta * bias), `batches` times. Of the two strides of a
// matrix one is 1.
struct GemmShape {
  uint32_t m, n, k;
  uint32_t batches;
  uint32_t a_row, a_column, a_batch;
  uint32_t b_row, b_column, b_batch;
  uint32_t bias_row, bias_column;  // 0 repeats
  float alpha, beta;
  UnaryStep after;
};
// Rows of C up to which the kernels for a few rows are quicker than those of tiles.
constexpr uint32_t kFewRowsMax = 8;

// Two dimensions; one of them may be 1.
struct WindowShape {
  uint32_t images, channels, height, width;
  uint32_t out_height, out_width;
  uint32_t kernel_height, kernel_width;
  uint32_t stride_y, stride_x;
  uint32_t pad_y, pad_x;  // before the first row and column
  uint32_t dilation_y, dilation_x;
};

struct ConvShape {
  WindowShape window;
  uint32_t out_channels;
  uint32_t groups;
  UnaryStep after;
};

struct PoolShape {
  WindowShape window;
  uint32_t averages;  // 0: the largest
  uint32_t
      counts_padding;  // an average is over that much, the padding after the last row and column included
  uint32_t pad_y_after, pad_x_after;
};

// Rows of `count` numbers that are `stride` apart: row r begins at (r / stride) * count * stride + r % stride.
struct RowShape {
  uint32_t rows;
  uint32_t count;
  uint32_t stride;
};

}  // namespace axle::cuda::kernels

#endif
