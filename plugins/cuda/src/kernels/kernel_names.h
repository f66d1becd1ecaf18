// SPDX-License-Identifier: Apache-2.0
//
// The entry points of kernels.cu: X(name).
#ifndef AXLE_CUDA_KERNELS_KERNEL_NAMES_H
#define AXLE_CUDA_KERNELS_KERNEL_NAMES_H

#define AXLE_CUDA_KERNELS(X) \
  X(axle_lz4_compress)       \
  X(axle_lz4_offsets)        \
  X(axle_lz4_gather)         \
  X(axle_lz4_decompress)     \
  X(axle_lz4_decompress_linked)

#endif
