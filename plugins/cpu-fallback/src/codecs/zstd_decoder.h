// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CPU_CODECS_ZSTD_DECODER_H
#define AXLE_CPU_CODECS_ZSTD_DECODER_H

#include "codec.h"
#include "output_buffer.h"
#include "scatter_input.h"

namespace axle::cpu {

// Decodes an archive of several zstd frames, all of which declare their size, on all threads. Returns
// whether it did; else `out` is as it was, and the archive is for the sequential decoder, which also
// finds what is wrong with it.
bool decompress_zstd_frames(Span archive, OutputBuffer &out, const Task &task, Executor &executor);

}  // namespace axle::cpu

#endif
