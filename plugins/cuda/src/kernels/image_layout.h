// SPDX-License-Identifier: Apache-2.0
//
// What the host and the kernels of images and scores agree on. All offsets are of bytes, from one base.
#ifndef AXLE_CUDA_KERNELS_IMAGE_LAYOUT_H
#define AXLE_CUDA_KERNELS_IMAGE_LAYOUT_H

#include "language.h"

namespace axle::cuda::kernels {

constexpr uint32_t kImageThreads = 256;

// How pixels of the input become one of the output, along one axis.
struct ImageTaps {
  uint32_t first;    // pixel of the input
  uint32_t count;    // of pixels, at least 1
  uint32_t weights;  // index of the first weight
};

// One image of a batch: UINT8 [height, width, channels].
struct Image {
  uint64_t pixels;
  uint32_t width, height;
  // Blocks of across x down pixels are averaged before the filter; 1 and 1: nothing is.
  uint32_t across, down;
  uint64_t averaged;
  uint32_t averaged_width, averaged_height;
  // Filters, where it is scaled; else nothing of them is looked at.
  uint32_t scaled;
  uint32_t reserved;
  uint64_t columns, rows;  // ImageTaps of each column and row of the output
  uint64_t column_weights, row_weights;
  uint64_t resized;  // where the pixels of the output go that the moments are taken of
};

// The moments by which an image is standardized.
struct ImageMoments {
  float centre, spread;
};

// What all images of a batch become: y = ((x - centre) / spread - mean[c]) / std[c]
struct ImageOutput {
  uint32_t images;
  uint32_t width, height, channels;
  uint32_t planar;        // channels before rows and columns
  uint32_t standardizes;  // by each image's moments
  uint64_t mean, std;     // of each channel
  uint64_t moments;       // of each image
};

// A row of scores, by the index of its first.
struct ScoreRow {
  uint32_t first;
  uint32_t count;
};
// Most of the best that the kernel finds, which looks at all scores for each.
constexpr uint32_t kTopkMax = 32;

}  // namespace axle::cuda::kernels

#endif
