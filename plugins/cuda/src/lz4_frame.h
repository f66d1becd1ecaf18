// SPDX-License-Identifier: Apache-2.0
//
// What stands around the blocks of an LZ4 frame, after the LZ4 Frame Format Description 1.6.x.
#ifndef AXLE_CUDA_LZ4_FRAME_H
#define AXLE_CUDA_LZ4_FRAME_H

#include <cstdint>
#include <string>

#include "common/input_reader.h"

namespace axle::cuda {

constexpr uint32_t kLz4EndMark = 0;
constexpr uint32_t kLz4EndMarkBytes = 4;

struct Lz4FrameHead {
  uint32_t block_bytes_max = 0;
  bool blocks_linked = false;
  bool blocks_checked = false;   // each block is followed by its checksum
  bool content_checked = false;  // and the last one by that of all
  bool has_content_bytes = false;
  uint64_t content_bytes = 0;
};

// The head of a frame of independent blocks of 64 KiB with checksums, that holds so many bytes.
std::string lz4_frame_head(uint64_t content_bytes);

// Passes over skippable frames and reads the head of the next frame. False at the end of the input.
// Throws Failure (INVALID_ARGUMENT, or DATA_LOSS for its checksum); `first` says that no frame came before.
bool read_lz4_frame_head(InputReader &input, bool first, Lz4FrameHead *head);

// Four bytes, little-endian. Throws Failure (INVALID_ARGUMENT) where the input ends.
uint32_t read_lz4_word(InputReader &input);

[[noreturn]] void lz4_truncated();

}  // namespace axle::cuda

#endif
