// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CPU_CODECS_GZIP_DECODER_H
#define AXLE_CPU_CODECS_GZIP_DECODER_H

#include <cstdint>

#include "codec.h"
#include "output_buffer.h"
#include "scatter_input.h"

namespace axle::cpu {

// Decodes members of moderate size from the front of a whole archive, the fast way. Returns how many
// bytes of the archive that was: always whole members. The rest, whatever stopped it there, is for the
// sequential decoder.
uint64_t inflate_gzip_members(Span archive, OutputBuffer &out, const Task &task);

}  // namespace axle::cpu

#endif
