// SPDX-License-Identifier: Apache-2.0
//
// The entry points of kernels.cu and what it includes: X(name).
#ifndef AXLE_CUDA_KERNELS_KERNEL_NAMES_H
#define AXLE_CUDA_KERNELS_KERNEL_NAMES_H

#define AXLE_CUDA_KERNELS(X)    \
  X(axle_lz4_compress)          \
  X(axle_lz4_offsets)           \
  X(axle_lz4_gather)            \
  X(axle_lz4_decompress)        \
  X(axle_lz4_decompress_linked) \
  X(axle_gemm_128)              \
  X(axle_gemm_64)               \
  X(axle_gemm_few_rows)         \
  X(axle_gemm_few_rows_across)  \
  X(axle_conv_128)              \
  X(axle_conv_64)               \
  X(axle_conv_direct)           \
  X(axle_pool)                  \
  X(axle_unary)                 \
  X(axle_binary)                \
  X(axle_copy)                  \
  X(axle_batch_norm)            \
  X(axle_softmax)               \
  X(axle_mean)                  \
  X(axle_layer_norm)            \
  X(axle_image_average)         \
  X(axle_image_resize)          \
  X(axle_image_moments)         \
  X(axle_image_normalize)       \
  X(axle_topk)

#endif
