// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CUDA_IMAGE_RESIZE_FILTER_H
#define AXLE_CUDA_IMAGE_RESIZE_FILTER_H

#include <cstddef>
#include <vector>

#include "../kernels/image_layout.h"

namespace axle::cuda {

// Scaling along one axis: blocks of `block` pixels are averaged, which leaves `left` of them, and a Lanczos filter
// with three lobes does the rest (Duchon, "Lanczos filtering in one and two dimensions", 1979), as the CPU plugin has
// it.
struct ResizeFilter {
  uint32_t block;
  uint32_t left;
  std::vector<kernels::ImageTaps> taps;  // one for each pixel of the output
  std::vector<float> weights;

  // Neither is 0.
  ResizeFilter(uint32_t size, uint32_t wanted);
};

}  // namespace axle::cuda

#endif
