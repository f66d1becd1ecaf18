// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CUDA_IMAGE_IMAGE_BATCH_H
#define AXLE_CUDA_IMAGE_IMAGE_BATCH_H

#include <axle/plugin.h>

#include <map>
#include <utility>
#include <vector>

#include "../block_layout.h"
#include "../gpu.h"
#include "preprocess.h"
#include "resize_filter.h"

namespace axle::cuda {

// Images that are preprocessed together: of one set of arguments and one shape of output, each of a size of its own.
class ImageBatch {
 public:
  struct Item {
    const axle_tensor *tensor;
    const Preprocess *preprocess;
  };

  explicit ImageBatch(std::vector<Item> items);

  // Device memory that it takes, what is copied there included.
  uint64_t device_bytes() const { return layout_.bytes(); }
  // Of pinned memory: pixels, filters and descriptions, which lie first in that memory.
  uint64_t upload_bytes() const { return upload_bytes_; }
  uint32_t elements() const;  // of the output, of all images

  // Writes what is copied, on the host.
  void fill(uint8_t *to) const;
  // Copies it to `memory`, and has the network's input made of it at `to`.
  void launch(Lane &lane, const Kernels &kernels, const uint8_t *filled, cu::Ptr memory,
              cu::Ptr to) const;

 private:
  struct PlacedFilter {
    ResizeFilter filter;
    uint64_t taps_at;
    uint64_t weights_at;
  };

  const PlacedFilter &place_filter(uint32_t size, uint32_t wanted);
  void place(const Item &item);

  std::vector<Item> items_;
  BlockLayout layout_;
  std::vector<kernels::Image> images_;
  std::map<std::pair<uint32_t, uint32_t>, PlacedFilter> filters_;  // by size and wanted size
  kernels::ImageOutput output_ = {};
  uint64_t images_at_ = 0;
  uint64_t upload_bytes_ = 0;
  bool any_averaged_ = false;
  bool any_scaled_ = false;
};

}  // namespace axle::cuda

#endif
