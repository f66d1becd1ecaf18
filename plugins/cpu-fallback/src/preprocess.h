// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CPU_PREPROCESS_H
#define AXLE_CPU_PREPROCESS_H

#include <axle/plugin.h>

#include <cstdint>
#include <vector>

#include "common/arguments.h"
#include "resize.h"

namespace axle::cpu {

// UINT8 [height, width, channels] -> FP32 of one image, as the op "preprocess" says.
class Preprocess {
 public:
  // Checks the image's type and shape and the arguments. Throws Failure (INVALID_ARGUMENT).
  Preprocess(const axle_tensor &image, const Arguments &arguments);

  // [1, channels, height, width] or [1, height, width, channels]
  const std::vector<int64_t> &shape() const { return shape_; }
  uint64_t element_count() const { return pixels_ * channels_; }

  // Writes element_count() values. Uses this thread's scratch memory to scale an image, and for one in
  // pieces. Throws std::bad_alloc.
  void run(const axle_tensor &image, float *to) const;

 private:
  // The image in one piece, in the size that is wanted.
  const uint8_t *pixels_of(const axle_tensor &image) const;

  // y = ((x - centre) / spread - mean[c]) / std[c]
  struct Scaling {
    float centre = 0;
    float spread = 1;
  };
  Scaling scaling_of(const uint8_t *image) const;
  // y of every x there is, for each channel: 256 divisions instead of one for each pixel.
  std::vector<float> table_of(const Scaling &scaling) const;

  PixelSize from_;
  uint64_t width_;
  uint64_t height_;
  uint64_t pixels_;  // width_ x height_
  uint64_t channels_;
  bool planar_;
  bool standardizes_;
  std::vector<float> mean_;
  std::vector<float> std_;
  std::vector<int64_t> shape_;
};

}  // namespace axle::cpu

#endif
