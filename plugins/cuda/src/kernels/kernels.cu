// SPDX-License-Identifier: Apache-2.0
//
// The entry points: those of networks and images are in the headers of their kind. The host finds them by name;
// kernel_names.h lists them.
#include "convolution.h"
#include "elementwise.h"
#include "gemm.h"
#include "image.h"
#include "lz4_compress.h"
#include "lz4_decompress.h"
#include "topk.h"

using namespace axle::cuda::kernels;

// Block of threads: one warp; one for each chunk of `in`. Slot i of `records` gets the frame's record
// of chunk i (size, bytes, checksum), and record_bytes[i] its length.
AXLE_KERNEL void axle_lz4_compress(const uint8_t *in, uint64_t in_bytes, uint8_t *records,
                                   uint32_t *record_bytes) {
  AXLE_SHARED(uint16_t, table, kHashEntries);
  const uint64_t from = uint64_t{block_x()} * kLz4ChunkBytes;
  const uint64_t left = in_bytes - from;
  const uint32_t bytes = left < kLz4ChunkBytes ? static_cast<uint32_t>(left) : kLz4ChunkBytes;
  const uint8_t *chunk = in + from;
  uint8_t *record = records + uint64_t{block_x()} * kLz4SlotBytes;
  uint8_t *data = record + kLz4RecordHeadBytes;

  uint32_t packed = compress_chunk(chunk, bytes, data, bytes, table);
  uint32_t head = packed;
  if (packed == 0) {  // it does not shrink
    for (uint32_t i = lane(); i < bytes; i += kWarpLanes) data[i] = chunk[i];
    packed = bytes;
    head = bytes | kLz4StoredFlag;
  }
  sync_warp();
  const uint32_t checksum = xxh32_of_warp(data, packed);
  if (lane() < 4) {
    record[lane()] = static_cast<uint8_t>(head >> (8u * lane()));
    data[packed + lane()] = static_cast<uint8_t>(checksum >> (8u * lane()));
  }
  if (lane() == 0) record_bytes[block_x()] = kLz4RecordHeadBytes + packed + kLz4RecordTailBytes;
}

// One warp: offsets[i] = the sum of record_bytes[0 .. i), and offsets[count] that of all.
AXLE_KERNEL void axle_lz4_offsets(const uint32_t *record_bytes, uint32_t *offsets, uint32_t count) {
  const uint32_t each = (count + kWarpLanes - 1u) / kWarpLanes;
  const uint32_t first = lane() * each;
  uint32_t sum = 0;
  for (uint32_t i = first; i < first + each && i < count; i++) sum += record_bytes[i];
  uint32_t upto = sum;  // of this lane and those before it
  for (unsigned step = 1; step < kWarpLanes; step *= 2) {
    const uint32_t more = shuffle(upto, lane() - step);
    if (lane() >= step) upto += more;
  }
  uint32_t offset = upto - sum;
  for (uint32_t i = first; i < first + each && i < count; i++) {
    offsets[i] = offset;
    offset += record_bytes[i];
  }
  if (lane() == kWarpLanes - 1u) offsets[count] = upto;
}

// A block of threads for each record: moves it from its slot to its place among the others. Words are
// written where the destination is aligned, so that a warp writes whole lines.
AXLE_KERNEL void axle_lz4_gather(const uint8_t *records, const uint32_t *record_bytes,
                                 const uint32_t *offsets, uint8_t *out) {
  const uint8_t *from = records + uint64_t{block_x()} * kLz4SlotBytes;
  uint8_t *to = out + offsets[block_x()];
  const uint32_t bytes = record_bytes[block_x()];
  const uint32_t to_word = static_cast<uint32_t>(0u - reinterpret_cast<uintptr_t>(to)) & 3u;
  const uint32_t head = to_word < bytes ? to_word : bytes;
  const uint32_t words = (bytes - head) / 4u;
  if (thread_x() < head) to[thread_x()] = from[thread_x()];
  auto *wide = reinterpret_cast<uint32_t *>(to + head);
  for (uint32_t i = thread_x(); i < words; i += block_threads()) {
    wide[i] = load_u32(from + head + i * 4u);
  }
  const uint32_t done = head + words * 4u;
  if (thread_x() < bytes - done) to[done + thread_x()] = from[done + thread_x()];
}

// Block of threads: one warp; one for each of `blocks`, which know nothing of one another. Block i goes
// to out[i * stride ..], `room` bytes at most.
AXLE_KERNEL void axle_lz4_decompress(const uint8_t *in, const Lz4Block *blocks, uint8_t *out,
                                     uint32_t stride, uint32_t room, Lz4Outcome *outcomes) {
  const Lz4Block block = blocks[block_x()];
  uint8_t *to = out + uint64_t{block_x()} * stride;
  const Lz4Outcome outcome = expand_block(in, block, to, room, 0);
  if (lane() == 0) outcomes[block_x()] = outcome;
}

// One warp: `count` blocks whose matches reach into those before them, one after another, without gaps.
// `history` bytes before `out` are the end of what came before. Stops at the first that is damaged.
AXLE_KERNEL void axle_lz4_decompress_linked(const uint8_t *in, const Lz4Block *blocks,
                                            uint32_t count, uint8_t *out, uint32_t room,
                                            uint32_t history, Lz4Outcome *outcomes) {
  for (uint32_t i = 0; i < count; i++) {
    const Lz4Outcome outcome = expand_block(in, blocks[i], out, room, history);
    if (lane() == 0) outcomes[i] = outcome;
    if (outcome.state != kLz4StateOk) return;
    out += outcome.bytes;
    history += outcome.bytes;
    if (history > kLz4WindowBytes) history = kLz4WindowBytes;
    sync_warp();
  }
}
