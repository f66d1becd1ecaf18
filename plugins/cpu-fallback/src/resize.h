// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CPU_RESIZE_H
#define AXLE_CPU_RESIZE_H

#include <cstddef>
#include <cstdint>

namespace axle::cpu {

// Pixels of one image: UINT8 [height, width, channels] without gaps, none of the three 0.
struct PixelSize {
  size_t width;
  size_t height;
  size_t channels;

  size_t bytes() const { return width * height * channels; }
};

// Scales `from` to `width` x `height` (at least 1) and writes as many bytes as that has pixels to `to`.
// Whole blocks of pixels are averaged first while more than twice the wanted size is left; what remains
// is done by a Lanczos filter with three lobes, widened by the factor of reduction (Duchon, "Lanczos
// filtering in one and two dimensions", 1979), its weights cut off at the edges and made to sum to 1.
// Uses this thread's scratch memory. Throws std::bad_alloc.
void resize(const uint8_t *from, const PixelSize &size, size_t width, size_t height, uint8_t *to);

}  // namespace axle::cpu

#endif
