// SPDX-License-Identifier: Apache-2.0
#include "scratch.h"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace axle::cpu {

Scratch &Scratch::of_thread() {
  thread_local Scratch scratch;
  return scratch;
}

void Scratch::Free::operator()(void *data) const { std::free(data); }

void *Scratch::take(size_t slot, size_t bytes) {
  constexpr size_t alignment = 64;
  if (slot >= buffers_.size()) buffers_.resize(slot + 1);
  Buffer &buffer = buffers_[slot];
  if (buffer.data && buffer.bytes >= bytes) return buffer.data.get();
  buffer = Buffer{};
  if (bytes > SIZE_MAX - alignment) throw std::bad_alloc();
  const size_t rounded = (std::max<size_t>(bytes, 1) + alignment - 1) / alignment * alignment;
  buffer.data.reset(std::aligned_alloc(alignment, rounded));
  if (!buffer.data) throw std::bad_alloc();
  buffer.bytes = rounded;
  return buffer.data.get();
}

void Scratch::trim() {
  size_t kept = 0;
  for (Buffer &buffer : buffers_) {
    if (buffer.bytes > kKeptBytesMax - kept) buffer = Buffer{};
    kept += buffer.bytes;
  }
}

}  // namespace axle::cpu
