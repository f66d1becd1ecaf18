// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_FPGA_LZ4_COMPRESS_H
#define AXLE_FPGA_LZ4_COMPRESS_H

#include "card.h"
#include "common/task_run.h"

namespace axle::fpga {

// Levels of lz4 that the kernel's way of searching stands for; the others search longer.
constexpr int64_t kLz4LevelMax = 2;

// Throws Failure: UNIMPLEMENTED for a codec or level that runs elsewhere, INVALID_ARGUMENT for one that does not exist.
void check_codec_arguments(const axle_arg *args, uint64_t arg_count);

// Input 0 to a frame of independent blocks of 64 KiB, as many of them on the card at once as there are slots. The content's
// checksum is taken on the host, so what a card spoils does not pass for what was given.
void lz4_compress(TaskRun &run, Card &card, BlockSlots &slots);

}  // namespace axle::fpga

#endif
