// SPDX-License-Identifier: Apache-2.0
//
// LZ4 blocks, after the LZ4 Block Format Description. A warp compresses one chunk of 64 KiB: its lanes
// look at 32 neighbouring positions at once, the first match of them is taken, and all lanes measure
// and copy it together. The hash table lies in shared memory, where 16 bits will do for a position.
//
// The bytes that come out depend on nothing but the input: where lanes would write to one entry of the
// table, the highest of them alone does.
#ifndef AXLE_CUDA_KERNELS_LZ4_COMPRESS_H
#define AXLE_CUDA_KERNELS_LZ4_COMPRESS_H

#include "lz4_layout.h"
#include "xxh32_warp.h"

namespace axle::cuda::kernels {

constexpr unsigned kHashBits = 12;
constexpr uint32_t kHashEntries = 1u << kHashBits;
// No match begins in the last 12 bytes of a block, so this is no position of one.
constexpr uint16_t kNoPosition = 0xFFFF;

constexpr uint32_t kMatchBytesMin = 4;
constexpr uint32_t kMatchFreeTail = 12;  // no match begins in the last so many bytes
constexpr uint32_t kLiteralTail = 5;     // and the last so many are literals
constexpr uint32_t kRunMask = 15;

// Literals and a match, as the format writes them.
struct Sequence {
  uint32_t literals_from;
  uint32_t literals;
  uint32_t distance;
  uint32_t match;  // its bytes; 0 = the last sequence, which has none
};

AXLE_DEVICE inline uint32_t hash_of(uint32_t word) {
  return (word * 2654435761u) >> (32u - kHashBits);
}

AXLE_DEVICE inline uint32_t length_bytes(uint32_t length) {
  return length < kRunMask ? 0 : (length - kRunMask) / 255u + 1u;
}

AXLE_DEVICE inline uint32_t sequence_bytes(const Sequence &sequence) {
  const uint32_t match =
      sequence.match == 0 ? 0 : 2u + length_bytes(sequence.match - kMatchBytesMin);
  return 1u + length_bytes(sequence.literals) + sequence.literals + match;
}

// Writes what does not fit in four bits; returns where it ends. By a whole warp.
AXLE_DEVICE inline uint32_t write_length(uint8_t *out, uint32_t at, uint32_t length) {
  if (length < kRunMask) return at;
  const uint32_t rest = length - kRunMask;
  for (uint32_t i = lane(); i < rest / 255u; i += kWarpLanes) out[at + i] = 255;
  at += rest / 255u;
  if (lane() == 0) out[at] = static_cast<uint8_t>(rest % 255u);
  return at + 1;
}

// The same for all of it.
AXLE_DEVICE inline uint32_t write_sequence(const uint8_t *in, const Sequence &sequence,
                                           uint8_t *out, uint32_t at) {
  const uint32_t match = sequence.match == 0 ? 0 : sequence.match - kMatchBytesMin;
  if (lane() == 0) {
    const uint32_t high = sequence.literals < kRunMask ? sequence.literals : kRunMask;
    const uint32_t low = match < kRunMask ? match : kRunMask;
    out[at] = static_cast<uint8_t>((high << 4) | low);
  }
  at = write_length(out, at + 1, sequence.literals);
  for (uint32_t i = lane(); i < sequence.literals; i += kWarpLanes) {
    out[at + i] = in[sequence.literals_from + i];
  }
  at += sequence.literals;
  if (sequence.match == 0) return at;
  if (lane() < 2) out[at + lane()] = static_cast<uint8_t>(sequence.distance >> (8u * lane()));
  return write_length(out, at + 2, match);
}

// How many bytes from `a` on equal those from `b` on, up to `max`.
AXLE_DEVICE inline uint32_t equal_ahead(const uint8_t *a, const uint8_t *b, uint32_t max) {
  for (uint32_t equal = 0;; equal += kWarpLanes) {
    const uint32_t at = equal + lane();
    const unsigned differ = ballot(at >= max || a[at] != b[at]);
    if (differ != 0) return equal + lowest_bit(differ);
  }
}

// How many before them, up to `max` and to one step of the warp.
AXLE_DEVICE inline uint32_t equal_before(const uint8_t *a, const uint8_t *b, uint32_t max) {
  const unsigned differ =
      ballot(lane() >= max || a[-1 - static_cast<int>(lane())] != b[-1 - static_cast<int>(lane())]);
  return differ == 0 ? kWarpLanes : lowest_bit(differ);
}

// Compresses in[0 .. bytes) to `out`; returns how many bytes that takes, or 0 when it would be `limit`
// or more. By a whole warp, with a table of its own.
AXLE_DEVICE inline uint32_t compress_chunk(const uint8_t *in, uint32_t bytes, uint8_t *out,
                                           uint32_t limit, uint16_t *table) {
  for (uint32_t i = lane(); i < kHashEntries; i += kWarpLanes) table[i] = kNoPosition;
  sync_warp();

  uint32_t anchor = 0;  // literals from here on are not written yet
  uint32_t at = 0;      // the first position of this step
  uint32_t end = 0;     // of the output
  const uint32_t last = bytes < kMatchFreeTail + 1 ? 0 : bytes - kMatchFreeTail;
  while (at < last) {
    const uint32_t position = at + lane();
    const bool inside = position < last;
    const uint32_t word = inside ? load_u32(in + position) : 0;
    // Lanes past the end have a hash of their own, and so are no match for any other.
    const uint32_t hash = inside ? hash_of(word) : kHashEntries + lane();
    const unsigned alike = match_any(hash);
    const unsigned before = alike & ((1u << lane()) - 1u);
    uint32_t candidate = inside ? table[hash] : kNoPosition;
    if (before != 0) candidate = at + highest_bit(before);
    const bool hit = inside && candidate < position && load_u32(in + candidate) == word;
    const unsigned hits = ballot(hit);

    uint32_t next = at + kWarpLanes;
    if (hits != 0) {
      const unsigned first = lowest_bit(hits);
      uint32_t start = at + first;
      uint32_t source = shuffle(candidate, first);
      const uint32_t distance = start - source;
      uint32_t match =
          kMatchBytesMin + equal_ahead(in + start + kMatchBytesMin, in + source + kMatchBytesMin,
                                       bytes - kLiteralTail - start - kMatchBytesMin);
      const uint32_t room = start - anchor < source ? start - anchor : source;
      const uint32_t back = equal_before(in + start, in + source, room);
      start -= back;
      match += back;
      const Sequence sequence = {anchor, start - anchor, distance, match};
      if (end + sequence_bytes(sequence) >= limit) return 0;
      end = write_sequence(in, sequence, out, end);
      next = start + match;
      anchor = next;
    }
    // Of the lanes with one hash the highest before `next` leaves its position.
    const uint32_t count = (next < last ? next : last) - at;
    const unsigned used = count >= kWarpLanes ? kAllLanes : (1u << count) - 1u;
    if (((used >> lane()) & 1u) != 0 && highest_bit(alike & used) == lane()) {
      table[hash] = static_cast<uint16_t>(position);
    }
    sync_warp();
    at = next;
  }
  const Sequence rest = {anchor, bytes - anchor, 0, 0};
  if (end + sequence_bytes(rest) >= limit) return 0;
  return write_sequence(in, rest, out, end);
}

}  // namespace axle::cuda::kernels

#endif
