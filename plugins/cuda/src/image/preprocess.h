// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CUDA_IMAGE_PREPROCESS_H
#define AXLE_CUDA_IMAGE_PREPROCESS_H

#include <axle/plugin.h>

#include <vector>

#include "common/arguments.h"

namespace axle::cuda {

// What the op "preprocess" is to do with one image, checked.
struct Preprocess {
  // Throws Failure (INVALID_ARGUMENT).
  Preprocess(const axle_tensor &image, const Arguments &arguments);

  uint32_t from_width, from_height;
  uint32_t width, height, channels;
  bool planar;
  bool standardizes;
  std::vector<float> mean;
  std::vector<float> std;

  bool scales() const { return width != from_width || height != from_height; }
  uint32_t elements() const { return width * height * channels; }
  uint64_t from_bytes() const { return uint64_t{from_width} * from_height * channels; }
  // [1, channels, height, width] or [1, height, width, channels]
  std::vector<int64_t> shape() const;
};

}  // namespace axle::cuda

#endif
