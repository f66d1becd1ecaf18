// SPDX-License-Identifier: Apache-2.0
#include "lz4_compress.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <string>

#include "common/arguments.h"
#include "common/byte_output.h"
#include "common/input_reader.h"

namespace axle::fpga {

namespace {

// After the LZ4 Frame Format Description 1.6.x.
constexpr uint32_t kMagic = 0x184D2204;
constexpr uint32_t kEndMark = 0;
constexpr uint32_t kStoredFlag = 0x80000000u;
constexpr uint8_t kFlags = (1 << 6) | (1 << 5) | (1 << 3) | (1 << 2);  // version 1, independent,
                                                                       // content size and checksum
constexpr uint8_t kBlocksOf64KiB = 4 << 4;
constexpr uint64_t kFrameBytes = 4 + 2 + 8 + 1 + 4 + 4;
// How often a task that waits for the card looks whether it is still wanted.
constexpr unsigned kWaitSliceMs = 50;

void append(std::string &to, uint64_t value, unsigned bytes) {
  for (unsigned i = 0; i < bytes; i++) to += static_cast<char>(value >> (8 * i));
}

class Compression {
 public:
  Compression(TaskRun &run, Card &card, BlockSlots &slots)
      : run_(run),
        card_(card),
        watch_(run.host()),
        input_(run.task().inputs[0]),
        output_(run, expected_bytes(input_.left_bytes())) {
    for (const auto &slot : slots) idle_.push_back(slot.get());
    XXH32_reset(&checksum_, 0);
  }

  // The card is done with the slots when they go to the next task.
  ~Compression() {
    for (const Flying &flying : flying_) settle(*flying.slot);
  }

  void compress() {
    append_head();
    while (input_.left_bytes() > 0 || !flying_.empty()) {
      run_.check_wanted();
      while (input_.left_bytes() > 0 && !idle_.empty()) start_block();
      run_.transfer_ns += watch_.lap_ns();
      await(*flying_.front().slot);
      run_.compute_ns += watch_.lap_ns();
      finish_block();
    }
    std::string tail;
    append(tail, kEndMark, 4);
    append(tail, XXH32_digest(&checksum_), 4);
    output_.append(tail.data(), tail.size());
    output_.finish();
    run_.transfer_ns += watch_.lap_ns();
  }

 private:
  using Clock = std::chrono::steady_clock;
  struct Flying {
    BlockSlot *slot;
    uint32_t bytes;
  };

  static uint64_t expected_bytes(uint64_t input_bytes) {
    return kFrameBytes + input_bytes + 4 * (input_bytes / kBlockBytesMax + 1);
  }

  void append_head() {
    std::string descriptor;
    append(descriptor, kFlags, 1);
    append(descriptor, kBlocksOf64KiB, 1);
    append(descriptor, input_.left_bytes(), 8);
    std::string head;
    append(head, kMagic, 4);
    head += descriptor;
    append(head, XXH32(descriptor.data(), descriptor.size(), 0) >> 8 & 0xff, 1);
    output_.append(head.data(), head.size());
  }

  void start_block() {
    BlockSlot *slot = idle_.back();
    const auto bytes =
        static_cast<uint32_t>(std::min<uint64_t>(input_.left_bytes(), kBlockBytesMax));
    if (!input_.read(slot->input(), bytes)) throw Failure(AXLE_STATUS_INTERNAL, "input is short");
    XXH32_update(&checksum_, slot->input(), bytes);
    slot->start(bytes);
    flying_.push_back({slot, bytes});
    idle_.pop_back();
  }

  void finish_block() {
    const auto [slot, bytes] = flying_.front();
    const uint32_t packed = slot->result();
    std::string head;
    append(head, packed == 0 ? bytes | kStoredFlag : packed, 4);
    output_.append(head.data(), head.size());
    output_.append(packed == 0 ? slot->input() : slot->output(), packed == 0 ? bytes : packed);
    flying_.pop_front();
    idle_.push_back(slot);
  }

  // Throws Failure; the run has ended, or the card is lost.
  void await(BlockSlot &slot) {
    switch (settle(slot)) {
      case BlockSlot::State::kEnded:
        return;
      case BlockSlot::State::kFailed:
        flying_.pop_front();
        throw Failure(AXLE_STATUS_UNAVAILABLE,
                      "the card ended a run with an error; see `xbutil examine` and dmesg");
      case BlockSlot::State::kRunning:
        flying_.pop_front();
        throw Failure(AXLE_STATUS_UNAVAILABLE, card_.lost().message);
    }
  }

  BlockSlot::State settle(BlockSlot &slot) noexcept {
    const auto end = Clock::now() + std::chrono::milliseconds(card_.options().run_timeout_ms);
    BlockSlot::State state = BlockSlot::State::kRunning;
    while (state == BlockSlot::State::kRunning && Clock::now() < end) {
      state = slot.wait(kWaitSliceMs);
      // Where another one hangs, this one is not waited for any longer either.
      if (state == BlockSlot::State::kRunning && card_.lost().status != AXLE_STATUS_OK) break;
    }
    if (state == BlockSlot::State::kRunning) {
      slot.abandon();
      card_.lose({AXLE_STATUS_UNAVAILABLE,
                  "a run on card " + card_.id() + " did not end in " +
                      std::to_string(card_.options().run_timeout_ms) +
                      " ms, and the card is not used any more: reset it with `xbutil reset`, then "
                      "open the plugin again"});
    }
    return state;
  }

  TaskRun &run_;
  Card &card_;
  Stopwatch watch_;
  InputReader input_;
  ByteOutput output_;
  XXH32_state_t checksum_;
  std::vector<BlockSlot *> idle_;
  std::deque<Flying> flying_;
};

}  // namespace

void check_codec_arguments(const axle_arg *args, uint64_t arg_count) {
  const Arguments arguments(args, arg_count);
  const int64_t codec = arguments.integer("codec", 0);
  if (codec < AXLE_CODEC_ZSTD || codec > AXLE_CODEC_GZIP) {
    throw Failure(AXLE_STATUS_INVALID_ARGUMENT, "argument \"codec\" is " + std::to_string(codec) +
                                                    "; give 1 (zstd), 2 (lz4) or 3 (gzip)");
  }
  if (codec != AXLE_CODEC_LZ4) {
    throw Failure(AXLE_STATUS_UNIMPLEMENTED,
                  "fpga-xrt has a kernel for codec 2 (lz4) only, not " + std::to_string(codec));
  }
  const int64_t level = arguments.integer("level", AXLE_CODEC_LZ4_LEVEL_DEFAULT);
  if (level < AXLE_CODEC_LZ4_LEVEL_MIN || level > AXLE_CODEC_LZ4_LEVEL_MAX) {
    throw Failure(AXLE_STATUS_INVALID_ARGUMENT,
                  "argument \"level\" is " + std::to_string(level) + "; give " +
                      std::to_string(AXLE_CODEC_LZ4_LEVEL_MIN) + " to " +
                      std::to_string(AXLE_CODEC_LZ4_LEVEL_MAX));
  }
  if (level > kLz4LevelMax) {
    throw Failure(AXLE_STATUS_UNIMPLEMENTED,
                  "fpga-xrt compresses lz4 with levels 1 and 2, not " + std::to_string(level));
  }
}

void lz4_compress(TaskRun &run, Card &card, BlockSlots &slots) {
  Compression(run, card, slots).compress();
}

}  // namespace axle::fpga
