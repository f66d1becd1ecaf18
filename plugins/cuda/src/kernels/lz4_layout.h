// SPDX-License-Identifier: Apache-2.0
//
// What the host and the kernels of LZ4 agree on.
#ifndef AXLE_CUDA_KERNELS_LZ4_LAYOUT_H
#define AXLE_CUDA_KERNELS_LZ4_LAYOUT_H

#include "language.h"

namespace axle::cuda::kernels {

// Blocks that are made: the smallest of the format, so that there are many at once.
constexpr uint32_t kLz4ChunkBytes = 64u << 10;
// Before a block's bytes stands its size, and after them their checksum.
constexpr uint32_t kLz4RecordHeadBytes = 4;
constexpr uint32_t kLz4RecordTailBytes = 4;
// Where the kernel puts the record of one chunk; a multiple of 16.
constexpr uint32_t kLz4SlotBytes = kLz4ChunkBytes + 16u;
constexpr uint32_t kLz4StoredFlag = 0x80000000u;
// How far a match reaches back.
constexpr uint32_t kLz4WindowBytes = 64u << 10;
// Most blocks of one launch, for which one warp adds up the sizes.
constexpr uint32_t kLz4BlocksMax = 4096;

// A block to decompress.
struct Lz4Block {
  uint32_t from;      // where its bytes begin, counted from the start of the input
  uint32_t bytes;     // of the input
  uint32_t flags;     // kLz4Block*
  uint32_t checksum;  // XXH32 of the input bytes, with kLz4BlockChecked
};
constexpr uint32_t kLz4BlockStored = 1;
constexpr uint32_t kLz4BlockChecked = 2;

// What became of it.
struct Lz4Outcome {
  uint32_t bytes;  // of output
  uint32_t state;  // kLz4State*
};
constexpr uint32_t kLz4StateOk = 0;
constexpr uint32_t kLz4StateDamaged = 1;
constexpr uint32_t kLz4StateChecksum = 2;

}  // namespace axle::cuda::kernels

#endif
