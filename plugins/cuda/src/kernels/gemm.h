// SPDX-License-Identifier: Apache-2.0
//
// Products of matrices in FP32. A block of threads makes a tile of the result: it moves slices of both
// operands to shared memory, the next one on its way in registers while this one is multiplied, and each thread
// keeps TM x TN sums in registers. A convolution is the same with another way to load its second operand
// (implicit GEMM).
#ifndef AXLE_CUDA_KERNELS_GEMM_H
#define AXLE_CUDA_KERNELS_GEMM_H

#include "math.h"

namespace axle::cuda::kernels {

// Four numbers that are loaded and stored in one go.
struct alignas(16) Float4 {
  float x, y, z, w;
};

// What a thread loads of a slice: four numbers, behind one another along `extent` or along k.
struct Piece {
  uint32_t at;  // row of A or column of B, within the tile
  uint32_t k;   // within the slice
};

// A tile of BM x BN of the result, made by kNetworkThreads threads.
template <unsigned BM, unsigned BN>
struct Tile {
  static constexpr unsigned kRows = BM;
  static constexpr unsigned kColumns = BN;
  // Four numbers of each slice for each thread.
  static constexpr unsigned kDepth = 4 * kNetworkThreads / BM;
  static_assert(BM == BN, "both operands have slices of one depth");
  static constexpr unsigned kAcross = 16;  // threads
  static constexpr unsigned kEach = BM / kAcross;
  static constexpr unsigned kQuads = kEach / 4;
  static constexpr unsigned kRow4 = BM / 4 + 1;  // one more, against conflicts of banks
};

// One operand: rows of A or columns of B, `extent` of them.
struct Operand {
  const float *data;
  uint32_t extent, k;
  uint32_t stride, k_stride;  // one of them is 1
  uint32_t first;             // of the tile
  bool wide;                  // four behind one another begin at a multiple of 16 bytes

  AXLE_DEVICE bool along_k() const { return k_stride == 1; }
};

AXLE_DEVICE inline bool is_wide(const float *data, uint32_t stride) {
  return (reinterpret_cast<uintptr_t>(data) & 15u) == 0 && stride % 4u == 0;
}

template <class T>
AXLE_DEVICE inline Piece piece_of(const Operand &operand) {
  if (operand.along_k()) {
    constexpr unsigned kAlong = T::kDepth / 4;
    return {thread_x() / kAlong, thread_x() % kAlong * 4};
  }
  constexpr unsigned kAlong = T::kRows / 4;
  return {thread_x() % kAlong * 4, thread_x() / kAlong};
}

// The four numbers of a thread; 0 where the matrix has ended.
AXLE_DEVICE inline Float4 load_piece(const Operand &operand, const Piece &piece, uint32_t k0) {
  const uint32_t at = operand.first + piece.at;
  const uint32_t k = k0 + piece.k;
  const float *from = operand.data + at * operand.stride + k * operand.k_stride;
  Float4 four = {0, 0, 0, 0};
  if (operand.along_k()) {
    if (at >= operand.extent || k >= operand.k) return four;
    const uint32_t left = operand.k - k;
    if (operand.wide && left >= 4) return *reinterpret_cast<const Float4 *>(from);
    four.x = from[0];
    if (left > 1) four.y = from[1];
    if (left > 2) four.z = from[2];
    if (left > 3) four.w = from[3];
    return four;
  }
  if (k >= operand.k || at >= operand.extent) return four;
  const uint32_t left = operand.extent - at;
  if (operand.wide && left >= 4) return *reinterpret_cast<const Float4 *>(from);
  four.x = from[0];
  if (left > 1) four.y = from[1];
  if (left > 2) four.z = from[2];
  if (left > 3) four.w = from[3];
  return four;
}

// To shared memory, which has k first, then rows of A or columns of B.
template <class T>
AXLE_DEVICE inline void store_piece(Float4 *slice, const Piece &piece, bool along_k,
                                    const Float4 &four) {
  if (!along_k) {
    slice[piece.k * T::kRow4 + piece.at / 4] = four;
    return;
  }
  auto *numbers = reinterpret_cast<float *>(slice) + piece.at;
  numbers[(piece.k + 0) * T::kRow4 * 4] = four.x;
  numbers[(piece.k + 1) * T::kRow4 * 4] = four.y;
  numbers[(piece.k + 2) * T::kRow4 * 4] = four.z;
  numbers[(piece.k + 3) * T::kRow4 * 4] = four.w;
}

template <class T>
struct Sums {
  float at[T::kEach][T::kEach];
};

AXLE_DEVICE inline void take_four(const Float4 &four, float *to) {
  to[0] = four.x;
  to[1] = four.y;
  to[2] = four.z;
  to[3] = four.w;
}

// Adds one slice's products. A thread's rows and columns are in groups of four, a quarter or half of the
// tile apart, so that neighbouring threads read neighbouring words.
template <class T>
AXLE_DEVICE inline void multiply_slice(const Float4 *a, const Float4 *b, Sums<T> &sums) {
  const unsigned row = thread_x() / T::kAcross;
  const unsigned column = thread_x() % T::kAcross;
  AXLE_UNROLL
  for (unsigned k = 0; k < T::kDepth; k++) {
    float rows[T::kEach];
    float columns[T::kEach];
    AXLE_UNROLL
    for (unsigned q = 0; q < T::kQuads; q++) {
      take_four(a[k * T::kRow4 + q * T::kAcross + row], rows + q * 4);
      take_four(b[k * T::kRow4 + q * T::kAcross + column], columns + q * 4);
    }
    AXLE_UNROLL
    for (unsigned i = 0; i < T::kEach; i++) {
      AXLE_UNROLL
      for (unsigned j = 0; j < T::kEach; j++) sums.at[i][j] += rows[i] * columns[j];
    }
  }
}

// Row or column, within the tile, of a thread's i-th.
template <class T>
AXLE_DEVICE inline uint32_t place_of(unsigned thread, unsigned i) {
  return i / 4 * (T::kAcross * 4) + thread * 4 + i % 4;
}

// `load_b(piece, k0)` is the second operand's load_piece.
template <class T, class LoadB>
AXLE_DEVICE inline void multiply_tile(const Operand &a, bool b_along_k, const Piece &b_piece,
                                      const LoadB &load_b, Sums<T> &sums) {
  constexpr unsigned kSlice = T::kDepth * T::kRow4;
  AXLE_SHARED(Float4, a_slices, 2 * kSlice);
  AXLE_SHARED(Float4, b_slices, 2 * kSlice);
  const Piece a_piece = piece_of<T>(a);
  AXLE_UNROLL
  for (unsigned i = 0; i < T::kEach; i++) {
    AXLE_UNROLL
    for (unsigned j = 0; j < T::kEach; j++) sums.at[i][j] = 0;
  }
  Float4 a_four = load_piece(a, a_piece, 0);
  Float4 b_four = load_b(b_piece, 0u);
  unsigned side = 0;
  store_piece<T>(a_slices, a_piece, a.along_k(), a_four);
  store_piece<T>(b_slices, b_piece, b_along_k, b_four);
  sync_threads();
  for (uint32_t k0 = 0; k0 < a.k; k0 += T::kDepth) {
    const bool more = k0 + T::kDepth < a.k;
    if (more) {
      a_four = load_piece(a, a_piece, k0 + T::kDepth);
      b_four = load_b(b_piece, k0 + T::kDepth);
    }
    multiply_slice<T>(a_slices + side * kSlice, b_slices + side * kSlice, sums);
    if (!more) break;
    side ^= 1u;
    store_piece<T>(a_slices + side * kSlice, a_piece, a.along_k(), a_four);
    store_piece<T>(b_slices + side * kSlice, b_piece, b_along_k, b_four);
    sync_threads();
  }
}

AXLE_DEVICE inline float finished(const GemmShape &shape, float sum, uint32_t row, uint32_t column,
                                  const float *bias) {
  sum *= shape.alpha;
  if (bias != nullptr) {
    sum += shape.beta * bias[row * shape.bias_row + column * shape.bias_column];
  }
  return apply(shape.after, sum);
}

// One block for each tile of each batch.
template <class T>
AXLE_DEVICE inline void gemm(const GemmShape &shape, const float *a, const float *b,
                             const float *bias, float *c) {
  const uint32_t tiles_across = (shape.n + T::kColumns - 1) / T::kColumns;
  const uint32_t tiles_down = (shape.m + T::kRows - 1) / T::kRows;
  const uint32_t batch = block_x() / (tiles_across * tiles_down);
  const uint32_t tile = block_x() % (tiles_across * tiles_down);
  a += batch * shape.a_batch;
  b += batch * shape.b_batch;
  c += batch * shape.m * shape.n;
  Operand left = {
      a, shape.m, shape.k, shape.a_row, shape.a_column, tile / tiles_across * T::kRows, false};
  left.wide = is_wide(a, left.along_k() ? shape.a_row : shape.a_column);
  Operand right = {
      b, shape.n, shape.k, shape.b_column, shape.b_row, tile % tiles_across * T::kColumns, false};
  right.wide = is_wide(b, right.along_k() ? shape.b_column : shape.b_row);
  Sums<T> sums;
  multiply_tile<T>(
      left, right.along_k(), piece_of<T>(right),
      [&right](const Piece &piece, uint32_t k0) { return load_piece(right, piece, k0); }, sums);
  AXLE_UNROLL
  for (unsigned i = 0; i < T::kEach; i++) {
    const uint32_t row = left.first + place_of<T>(thread_x() / T::kAcross, i);
    if (row >= shape.m) continue;
    AXLE_UNROLL
    for (unsigned j = 0; j < T::kEach; j++) {
      const uint32_t column = right.first + place_of<T>(thread_x() % T::kAcross, j);
      if (column >= shape.n) continue;
      c[row * shape.n + column] = finished(shape, sums.at[i][j], row, column, bias);
    }
  }
}

}  // namespace axle::cuda::kernels

// For many rows and columns, and for fewer.
AXLE_KERNEL void axle_gemm_128(axle::cuda::kernels::GemmShape shape, const float *a, const float *b,
                               const float *bias, float *c) {
  using namespace axle::cuda::kernels;
  gemm<Tile<128, 128>>(shape, a, b, bias, c);
}
AXLE_KERNEL void axle_gemm_64(axle::cuda::kernels::GemmShape shape, const float *a, const float *b,
                              const float *bias, float *c) {
  using namespace axle::cuda::kernels;
  gemm<Tile<64, 64>>(shape, a, b, bias, c);
}

// At most kFewRowsMax rows, and B lies along k: a warp for each column, kNetworkWarps of them in a block.
AXLE_KERNEL void axle_gemm_few_rows(axle::cuda::kernels::GemmShape shape, const float *a,
                                    const float *b, const float *bias, float *c) {
  using namespace axle::cuda::kernels;
  const uint32_t column = block_x() * kNetworkWarps + thread_x() / kWarpLanes;
  float sums[kFewRowsMax];
  AXLE_UNROLL
  for (uint32_t row = 0; row < kFewRowsMax; row++) sums[row] = 0;
  if (column < shape.n) {
    const float *weights = b + column * shape.b_column;
    const bool wide = is_wide(weights, shape.b_column) && is_wide(a, shape.a_row) &&
                      shape.a_column == 1 && shape.k % 4 == 0;
    if (wide) {
      for (uint32_t k = lane() * 4; k < shape.k; k += kWarpLanes * 4) {
        const Float4 w = *reinterpret_cast<const Float4 *>(weights + k);
        AXLE_UNROLL
        for (uint32_t row = 0; row < kFewRowsMax && row < shape.m; row++) {
          const Float4 x = *reinterpret_cast<const Float4 *>(a + row * shape.a_row + k);
          sums[row] += (x.x * w.x + x.y * w.y) + (x.z * w.z + x.w * w.w);
        }
      }
    } else {
      for (uint32_t k = lane(); k < shape.k; k += kWarpLanes) {
        const float w = weights[k];
        AXLE_UNROLL
        for (uint32_t row = 0; row < kFewRowsMax && row < shape.m; row++) {
          sums[row] += a[row * shape.a_row + k * shape.a_column] * w;
        }
      }
    }
  }
  AXLE_UNROLL
  for (uint32_t row = 0; row < kFewRowsMax && row < shape.m; row++) {
    const float sum = warp_sum(sums[row]);
    if (lane() == 0 && column < shape.n) {
      c[row * shape.n + column] = finished(shape, sum, row, column, bias);
    }
  }
}

// The same where B lies along n: a lane for each column, and the warps of a block share k among them.
AXLE_KERNEL void axle_gemm_few_rows_across(axle::cuda::kernels::GemmShape shape, const float *a,
                                           const float *b, const float *bias, float *c) {
  using namespace axle::cuda::kernels;
  AXLE_SHARED(float, parts, kNetworkThreads *kFewRowsMax);
  const uint32_t warp = thread_x() / kWarpLanes;
  const uint32_t column = block_x() * kWarpLanes + lane();
  float sums[kFewRowsMax];
  AXLE_UNROLL
  for (uint32_t row = 0; row < kFewRowsMax; row++) sums[row] = 0;
  if (column < shape.n) {
    for (uint32_t k = warp; k < shape.k; k += kNetworkWarps) {
      const float w = b[k * shape.b_row + column];
      AXLE_UNROLL
      for (uint32_t row = 0; row < kFewRowsMax && row < shape.m; row++) {
        sums[row] += a[row * shape.a_row + k * shape.a_column] * w;
      }
    }
  }
  AXLE_UNROLL
  for (uint32_t row = 0; row < kFewRowsMax; row++) {
    parts[(row * kNetworkWarps + warp) * kWarpLanes + lane()] = sums[row];
  }
  sync_threads();
  const uint32_t row = warp;  // there are as many warps as rows
  if (row >= shape.m || column >= shape.n) return;
  float sum = 0;
  for (uint32_t i = 0; i < kNetworkWarps; i++) {
    sum += parts[(row * kNetworkWarps + i) * kWarpLanes + lane()];
  }
  c[row * shape.n + column] = finished(shape, sum, row, column, bias);
}

#endif
