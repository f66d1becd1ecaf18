// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CUDA_LZ4_OPS_H
#define AXLE_CUDA_LZ4_OPS_H

#include "common/task_run.h"
#include "gpu.h"

namespace axle::cuda {

// Levels of lz4 that the kernel's way of searching stands for; the others search longer.
constexpr int64_t kLz4LevelMax = 2;

// Throws Failure: UNIMPLEMENTED for a codec or level that runs elsewhere, INVALID_ARGUMENT for one that
// does not exist.
void check_codec_arguments(uint32_t op, const axle_arg *args, uint64_t arg_count);

// A task of compress or decompress. Throws Failure.
void run_codec(TaskRun &run, const Gpu &gpu, GpuContext &context, Quota &quota);

// Input 0 to a frame, piece by piece through as many lanes as are free, so that copies and kernels of
// different pieces overlap.
void lz4_compress(TaskRun &run, const Gpu &gpu, GpuContext &context, Quota &quota);
// The other way. The content's checksum is taken on the host, beside the device's work.
void lz4_decompress(TaskRun &run, const Gpu &gpu, GpuContext &context, Quota &quota);

}  // namespace axle::cuda

#endif
