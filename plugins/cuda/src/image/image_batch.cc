// SPDX-License-Identifier: Apache-2.0
#include "image_batch.h"

#include <algorithm>
#include <cstring>

#include "../tensor_checks.h"

namespace axle::cuda {

namespace {

using kernels::Image;
using kernels::kImageThreads;

template <class T>
void put(uint8_t *to, uint64_t at, const std::vector<T> &values) {
  if (!values.empty()) std::memcpy(to + at, values.data(), values.size() * sizeof(T));
}

unsigned blocks_for(uint64_t threads) {
  return static_cast<unsigned>((threads + kImageThreads - 1) / kImageThreads);
}

}  // namespace

ImageBatch::ImageBatch(std::vector<Item> items) : items_(std::move(items)) {
  const Preprocess &first = *items_[0].preprocess;
  output_.images = static_cast<uint32_t>(items_.size());
  output_.width = first.width;
  output_.height = first.height;
  output_.channels = first.channels;
  output_.planar = first.planar ? 1 : 0;
  output_.standardizes = first.standardizes ? 1 : 0;
  output_.mean = layout_.add(first.channels * sizeof(float));
  output_.std = layout_.add(first.channels * sizeof(float));
  images_at_ = layout_.add(items_.size() * sizeof(Image));
  for (const Item &item : items_) place(item);
  upload_bytes_ = layout_.bytes();
  // What the device makes for itself comes after what it is given.
  output_.moments = layout_.add(items_.size() * sizeof(kernels::ImageMoments));
  for (Image &image : images_) {
    if (image.across > 1 || image.down > 1) {
      any_averaged_ = true;
      image.averaged =
          layout_.add(uint64_t{image.averaged_width} * image.averaged_height * output_.channels);
    }
    if (image.scaled != 0 && first.standardizes) image.resized = layout_.add(first.elements());
  }
}

uint32_t ImageBatch::elements() const {
  return output_.images * output_.width * output_.height * output_.channels;
}

const ImageBatch::PlacedFilter &ImageBatch::place_filter(uint32_t size, uint32_t wanted) {
  const auto key = std::make_pair(size, wanted);
  const auto found = filters_.find(key);
  if (found != filters_.end()) return found->second;
  PlacedFilter placed = {ResizeFilter(size, wanted), 0, 0};
  placed.taps_at = layout_.add(placed.filter.taps.size() * sizeof(kernels::ImageTaps));
  placed.weights_at = layout_.add(placed.filter.weights.size() * sizeof(float));
  return filters_.emplace(key, std::move(placed)).first->second;
}

void ImageBatch::place(const Item &item) {
  const Preprocess &preprocess = *item.preprocess;
  Image image = {};
  image.pixels = layout_.add(preprocess.from_bytes());
  image.width = preprocess.from_width;
  image.height = preprocess.from_height;
  image.across = 1;
  image.down = 1;
  if (preprocess.scales()) {
    any_scaled_ = true;
    const PlacedFilter &columns = place_filter(preprocess.from_width, preprocess.width);
    const PlacedFilter &rows = place_filter(preprocess.from_height, preprocess.height);
    image.scaled = 1;
    image.across = columns.filter.block;
    image.down = rows.filter.block;
    image.averaged_width = columns.filter.left;
    image.averaged_height = rows.filter.left;
    image.columns = columns.taps_at;
    image.column_weights = columns.weights_at;
    image.rows = rows.taps_at;
    image.row_weights = rows.weights_at;
  }
  images_.push_back(image);
}

void ImageBatch::fill(uint8_t *to) const {
  put(to, output_.mean, items_[0].preprocess->mean);
  put(to, output_.std, items_[0].preprocess->std);
  put(to, images_at_, images_);
  for (const auto &[sizes, placed] : filters_) {
    put(to, placed.taps_at, placed.filter.taps);
    put(to, placed.weights_at, placed.filter.weights);
  }
  for (size_t i = 0; i < items_.size(); i++) gather(*items_[i].tensor, to + images_[i].pixels);
}

void ImageBatch::launch(Lane &lane, const Kernels &kernels, const uint8_t *filled, cu::Ptr memory,
                        cu::Ptr to) const {
  lane.copy_in(memory, filled, upload_bytes_);
  const cu::Ptr images = memory + images_at_;
  if (any_averaged_) {
    uint64_t most = 0;
    for (const Image &image : images_) {
      most = std::max(most, uint64_t{image.averaged_width} * image.averaged_height);
    }
    constexpr unsigned kBlocksMax = 1024;  // of one image; the rest is done in rounds
    const unsigned blocks = std::min(blocks_for(most * output_.channels), kBlocksMax);
    lane.launch(kernels.axle_image_average, blocks * output_.images, kImageThreads, images, memory,
                output_.channels, blocks);
  }
  if (output_.standardizes != 0) {
    if (any_scaled_) {
      const unsigned blocks = blocks_for(elements() / output_.images);
      lane.launch(kernels.axle_image_resize, blocks * output_.images, kImageThreads, images, memory,
                  output_, blocks);
    }
    lane.launch(kernels.axle_image_moments, output_.images, kImageThreads, images, memory, output_);
  }
  lane.launch(kernels.axle_image_normalize, blocks_for(elements()), kImageThreads, images, memory,
              output_, to);
}

}  // namespace axle::cuda
