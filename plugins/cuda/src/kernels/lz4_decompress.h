// SPDX-License-Identifier: Apache-2.0
//
// The other way. A warp decompresses one block: every lane reads the same token, and all copy. Nothing
// of the input is believed: each length is held against what is left of input and output.
#ifndef AXLE_CUDA_KERNELS_LZ4_DECOMPRESS_H
#define AXLE_CUDA_KERNELS_LZ4_DECOMPRESS_H

#include "lz4_layout.h"
#include "xxh32_warp.h"

namespace axle::cuda::kernels {

// Reads the rest of a length that began with 15. False where the input ends within it.
AXLE_DEVICE inline bool read_length(const uint8_t *in, uint32_t bytes, uint32_t *at,
                                    uint32_t *length) {
  for (;;) {
    if (*at >= bytes) return false;
    const uint32_t more = in[(*at)++];
    *length += more;
    if (more != 255) return true;
  }
}

// Decompresses `in` to out[0 .. room), where matches may reach back to out[-history]. By a whole warp.
AXLE_DEVICE inline Lz4Outcome decompress_block(const uint8_t *in, uint32_t bytes, uint8_t *out,
                                               uint32_t room, uint32_t history) {
  const Lz4Outcome damaged = {0, kLz4StateDamaged};
  uint32_t at = 0;
  uint32_t end = 0;
  while (at < bytes) {
    const uint32_t token = in[at++];
    uint32_t literals = token >> 4;
    if (literals == 15 && !read_length(in, bytes, &at, &literals)) return damaged;
    if (literals > bytes - at || literals > room - end) return damaged;
    for (uint32_t i = lane(); i < literals; i += kWarpLanes) out[end + i] = in[at + i];
    at += literals;
    end += literals;
    if (at == bytes) return {end, kLz4StateOk};

    if (bytes - at < 2) return damaged;
    const uint32_t distance = in[at] | (uint32_t{in[at + 1]} << 8);
    at += 2;
    uint32_t match = token & 15u;
    if (match == 15 && !read_length(in, bytes, &at, &match)) return damaged;
    match += 4;
    // `end` is less than 4 MiB and the history 64 KiB: their sum does not wrap.
    if (distance == 0 || distance > end + history || match > room - end) return damaged;
    sync_warp();  // what other lanes wrote may be the source
    const uint8_t *source = out + end - distance;
    if (distance >= match) {
      for (uint32_t i = lane(); i < match; i += kWarpLanes) out[end + i] = source[i];
    } else {
      // The match repeats its first `distance` bytes.
      for (uint32_t i = lane(); i < match; i += kWarpLanes) out[end + i] = source[i % distance];
    }
    end += match;
    sync_warp();
  }
  return damaged;  // the last sequence of a block has no match
}

AXLE_DEVICE inline Lz4Outcome expand_block(const uint8_t *in, const Lz4Block &block, uint8_t *out,
                                           uint32_t room, uint32_t history) {
  const uint8_t *from = in + block.from;
  if ((block.flags & kLz4BlockChecked) != 0 && xxh32_of_warp(from, block.bytes) != block.checksum) {
    return {0, kLz4StateChecksum};
  }
  if ((block.flags & kLz4BlockStored) == 0) {
    return decompress_block(from, block.bytes, out, room, history);
  }
  if (block.bytes > room) return {0, kLz4StateDamaged};
  for (uint32_t i = lane(); i < block.bytes; i += kWarpLanes) out[i] = from[i];
  sync_warp();
  return {block.bytes, kLz4StateOk};
}

}  // namespace axle::cuda::kernels

#endif
