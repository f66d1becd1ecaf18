// SPDX-License-Identifier: Apache-2.0
#include "scatter_input.h"

#include <algorithm>
#include <cstring>

namespace axle::cpu {

ScatterInput::ScatterInput(Segments segments) {
  pieces_.reserve(segments.count);
  for (size_t i = 0; i < segments.count; i++) {
    const Segment &segment = segments.list[i];
    if (segment.bytes == 0) continue;
    pieces_.push_back(
        {bytes_, {static_cast<const uint8_t *>(segment.data), static_cast<size_t>(segment.bytes)}});
    bytes_ += segment.bytes;
  }
}

size_t ScatterInput::piece_index(uint64_t offset) const {
  const auto after =
      std::upper_bound(pieces_.begin(), pieces_.end(), offset,
                       [](uint64_t wanted, const Piece &piece) { return wanted < piece.offset; });
  return static_cast<size_t>(after - pieces_.begin()) - 1;
}

Span ScatterInput::piece_at(uint64_t offset) const {
  if (offset >= bytes_) return {nullptr, 0};
  const Piece &piece = pieces_[piece_index(offset)];
  const size_t skipped = static_cast<size_t>(offset - piece.offset);
  return {piece.span.data + skipped, piece.span.bytes - skipped};
}

const uint8_t *ScatterInput::view(uint64_t offset, size_t bytes, ScratchBuffer &scratch) const {
  const Span piece = piece_at(offset);
  if (piece.bytes >= bytes) return piece.data;
  uint8_t *gathered = scratch.at_least(bytes);
  copy(offset, bytes, gathered);
  return gathered;
}

void ScatterInput::copy(uint64_t offset, size_t bytes, uint8_t *to) const {
  if (bytes == 0) return;
  for (size_t i = piece_index(offset); bytes > 0; i++) {
    const Piece &piece = pieces_[i];
    const size_t skipped = static_cast<size_t>(offset - piece.offset);
    const size_t n = std::min(piece.span.bytes - skipped, bytes);
    std::memcpy(to, piece.span.data + skipped, n);
    to += n;
    offset += n;
    bytes -= n;
  }
}

}  // namespace axle::cpu
