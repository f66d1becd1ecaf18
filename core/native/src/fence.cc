// SPDX-License-Identifier: Apache-2.0
#include "fence.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>

#include "limits.h"

namespace axle::host {
namespace {

constexpr uint64_t kPattern = 0xfe9ce0feed0ddba1;

// AddressSanitizer has fences of its own, which see reads too: ours would lie between them and the plugin's.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kMayBeWide = false;
#else
constexpr bool kMayBeWide = true;
#endif

struct Sizes {
  uint64_t before;
  uint64_t after;
};

// AXLE_FENCE_BYTES, which `axle plugin check` sets for the processes of its rules, makes both fences at least as
// wide as that; otherwise memory costs no more than eight bytes behind its end.
uint64_t wanted_bytes() {
  const char *text = std::getenv("AXLE_FENCE_BYTES");
  return text == nullptr ? 0 : std::strtoull(text, nullptr, 10);
}

Sizes read_sizes() {
  const uint64_t wide = kMayBeWide ? wanted_bytes() : 0;
  if (wide == 0) return {0, sizeof kPattern};
  const uint64_t bytes = (std::min(wide, kFenceBytesMax) + 63) & ~uint64_t{63};
  return {bytes, bytes};
}

const Sizes &sizes() {
  static const Sizes read = read_sizes();
  return read;
}

void fill(uint8_t *at, uint64_t bytes) {
  for (uint64_t i = 0; i < bytes; i += sizeof kPattern) {
    std::memcpy(at + i, &kPattern, std::min(bytes - i, sizeof kPattern));
  }
}

bool is_whole(const uint8_t *at, uint64_t bytes) {
  for (uint64_t i = 0; i < bytes; i += sizeof kPattern) {
    if (std::memcmp(at + i, &kPattern, std::min(bytes - i, sizeof kPattern)) != 0) return false;
  }
  return true;
}

// A wide one reaches to the end of the block, where the guard pages begin.
uint64_t bytes_after(const LiveBlock &live) {
  if (!fences_are_wide()) return sizes().after;
  return live.block.capacity - sizes().before - live.bytes;
}

}  // namespace

bool process_checks_rules() {
  static const bool checks = wanted_bytes() > 0;
  return checks;
}

bool fences_are_wide() { return sizes().before > 0; }

uint64_t fenced_bytes(uint64_t bytes) { return sizes().before + bytes + sizes().after; }

uint64_t fence_bytes_before() { return sizes().before; }

uint8_t *fenced_data(const LiveBlock &live) {
  return live.in_room ? live.block.data : live.block.data + sizes().before;
}

void write_fences(const LiveBlock &live) {
  if (live.in_room) return;
  fill(live.block.data, sizes().before);
  fill(fenced_data(live) + live.bytes, bytes_after(live));
}

void write_litter(const LiveBlock &live, uint64_t from) {
  if (!process_checks_rules() || live.in_room || from >= live.bytes) return;
  static std::atomic<uint8_t> next{0};
  std::memset(fenced_data(live) + from, ++next, live.bytes - from);
}

const char *fence_problem(const LiveBlock &live) {
  if (live.in_room) return nullptr;
  if (!is_whole(fenced_data(live) + live.bytes, bytes_after(live))) {
    return "wrote past the end of memory from alloc";
  }
  if (!is_whole(live.block.data, sizes().before)) {
    return "wrote before the start of memory from alloc";
  }
  return nullptr;
}

void drop_fences(const LiveBlock &live, uint64_t bytes) {
  if (!live.in_room && sizes().before > 0) std::memmove(live.block.data, fenced_data(live), bytes);
}

}  // namespace axle::host
