// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <deque>

#include "block_layout.h"
#include "common/byte_output.h"
#include "common/input_reader.h"
#include "kernels/lz4_layout.h"
#include "lz4_frame.h"
#include "lz4_ops.h"
#include "xxh32_stream.h"

namespace axle::cuda {

namespace {

using namespace kernels;  // NOLINT: the layout that host and device share

constexpr unsigned kWarp = 32;
constexpr uint64_t kReadAhead = 16;

// Blocks on their way through the device.
struct Slab {
  LanePool::Lease lane;
  uint32_t blocks = 0;
  uint64_t in_bytes = 0;
  uint64_t out_at = 0;  // in `memory`
  bool out_copied = false;
  DeviceBlock memory;  // goes before the lane does, and is wiped on its stream
};

class Decompression {
 public:
  Decompression(TaskRun &run, const Gpu &gpu, GpuContext &context, Quota &quota)
      : run_(run),
        context_(context),
        quota_(quota),
        slab_bytes_(gpu.options().slab_bytes),
        watch_(run.host()),
        input_(run.task().inputs[0]),
        output_(run, input_.left_bytes() * kGuessedRatio) {}

  void run() {
    for (bool first = true; read_lz4_frame_head(input_, first, &head_); first = false) run_frame();
    output_.finish();
    run_.transfer_ns += watch_.lap_ns();
  }

 private:
  static constexpr uint64_t kGuessedRatio = 4;

  void run_frame() {
    ended_ = false;
    content_ = Xxh32Stream();
    content_bytes_ = 0;
    history_.clear();
    while (!ended_ || !flying_.empty()) {
      run_.check_wanted();
      // Linked blocks need what came before them.
      while (!ended_ && (flying_.empty() || !head_.blocks_linked)) {
        LanePool::Lease lane =
            flying_.empty() ? context_.lanes->take() : context_.lanes->try_take();
        if (!lane) break;
        flying_.emplace_back();
        flying_.back().lane = std::move(lane);
        start(flying_.back());
      }
      finish(flying_.front());
      flying_.pop_front();
    }
    if (head_.content_checked && read_lz4_word(input_) != content_.value()) {
      throw Failure(AXLE_STATUS_DATA_LOSS, "the checksum of an lz4 frame's content does not match");
    }
    if (head_.has_content_bytes && head_.content_bytes != content_bytes_) {
      throw Failure(AXLE_STATUS_INVALID_ARGUMENT,
                    "an lz4 frame says that it holds " + std::to_string(head_.content_bytes) +
                        " bytes, and holds " + std::to_string(content_bytes_));
    }
  }

  // Reads blocks into pinned memory, as many as one slab may become, and starts their way.
  void start(Slab &slab) {
    Lane &lane = *slab.lane;
    const uint64_t block_max = head_.block_bytes_max;
    const auto blocks_max =
        static_cast<uint32_t>(std::clamp<uint64_t>(slab_bytes_ / block_max, 1, kLz4BlocksMax));
    lane.notes.reserve(blocks_max * (sizeof(Lz4Block) + sizeof(Lz4Outcome)));
    lane.in.reserve(std::max<uint64_t>(slab_bytes_, block_max));
    auto *list = lane.notes.as<Lz4Block>();
    while (slab.blocks < blocks_max && read_block(lane, slab, list)) {
    }
    if (slab.blocks == 0) return;

    const uint64_t list_bytes = slab.blocks * sizeof(Lz4Block);
    const uint64_t outcome_bytes = slab.blocks * sizeof(Lz4Outcome);
    const uint64_t out_bytes_max = slab.blocks * block_max;
    BlockLayout layout;
    const uint64_t in_at = layout.add(slab.in_bytes + kReadAhead);
    const uint64_t list_at = layout.add(list_bytes);
    const uint64_t outcomes_at = layout.add(outcome_bytes);
    slab.out_at = layout.add(kLz4WindowBytes + out_bytes_max) + kLz4WindowBytes;
    slab.memory = context_.memory->take(layout.bytes(), quota_, lane.stream());
    const cu::Ptr in = slab.memory.at(in_at);
    const cu::Ptr blocks = slab.memory.at(list_at);
    const cu::Ptr outcomes = slab.memory.at(outcomes_at);
    const cu::Ptr out = slab.memory.at(slab.out_at);
    lane.copy_in(in, lane.in.data(), slab.in_bytes);
    lane.copy_in(blocks, list, list_bytes);
    const auto room = static_cast<uint32_t>(block_max);
    const Kernels &kernels = context_.kernels;
    if (head_.blocks_linked) {
      const auto history = static_cast<uint32_t>(history_.size());
      lane.out.reserve(std::max<size_t>(history, 1));
      std::copy(history_.begin(), history_.end(), lane.out.data());
      lane.copy_in(out - history, lane.out.data(), history);
      lane.launch(kernels.axle_lz4_decompress_linked, 1, kWarp, in, blocks, slab.blocks, out, room,
                  history, outcomes);
    } else {
      lane.launch(kernels.axle_lz4_decompress, slab.blocks, kWarp, in, blocks, out, room, room,
                  outcomes);
    }
    lane.copy_out(lane.notes.data() + list_bytes, outcomes, outcome_bytes);
    slab.out_copied = out_bytes_max <= kEagerCopyBytes;
    if (slab.out_copied) {
      lane.out.reserve(out_bytes_max);
      lane.copy_out(lane.out.data(), out, out_bytes_max);
    }
    lane.mark();
    run_.transfer_ns += watch_.lap_ns();
  }

  // False at the end of the frame, and where the lane has no room for another.
  bool read_block(Lane &lane, Slab &slab, Lz4Block *list) {
    if (!pending_) {
      const uint32_t word = read_lz4_word(input_);
      if (word == kLz4EndMark) {
        ended_ = true;
        return false;
      }
      pending_ = true;
      pending_word_ = word;
    }
    const uint32_t bytes = pending_word_ & ~kLz4StoredFlag;
    if (bytes > head_.block_bytes_max) {
      throw Failure(AXLE_STATUS_INVALID_ARGUMENT, "the lz4 stream has a block that is too large");
    }
    if (bytes > lane.in.bytes() - slab.in_bytes) return false;
    pending_ = false;
    if (!input_.read(lane.in.data() + slab.in_bytes, bytes)) lz4_truncated();
    Lz4Block &block = list[slab.blocks];
    block.from = static_cast<uint32_t>(slab.in_bytes);
    block.bytes = bytes;
    block.flags = (pending_word_ & kLz4StoredFlag) != 0 ? kLz4BlockStored : 0;
    block.checksum = 0;
    if (head_.blocks_checked) {
      block.flags |= kLz4BlockChecked;
      block.checksum = read_lz4_word(input_);
    }
    slab.in_bytes += bytes;
    slab.blocks++;
    return true;
  }

  void finish(Slab &slab) {
    if (slab.blocks == 0) return;
    Lane &lane = *slab.lane;
    lane.await();
    run_.compute_ns += watch_.lap_ns();
    const auto *outcomes =
        reinterpret_cast<const Lz4Outcome *>(lane.notes.as<Lz4Block>() + slab.blocks);
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < slab.blocks; i++) {
      check(outcomes[i]);
      bytes += outcomes[i].bytes;
    }
    const uint64_t stride = head_.block_bytes_max;
    if (!slab.out_copied) {
      const uint64_t last = outcomes[slab.blocks - 1].bytes;
      const uint64_t extent = head_.blocks_linked ? bytes : (slab.blocks - 1) * stride + last;
      lane.out.reserve(std::max<uint64_t>(extent, 1));
      lane.copy_out(lane.out.data(), slab.memory.at(slab.out_at), extent);
      lane.mark();
      lane.await();
    }
    if (head_.blocks_linked) {
      give(lane.out.data(), bytes);
      remember(lane.out.data(), bytes);
    } else {
      for (uint32_t i = 0; i < slab.blocks; i++) {
        give(lane.out.data() + i * stride, outcomes[i].bytes);
      }
    }
    run_.transfer_ns += watch_.lap_ns();
  }

  void check(const Lz4Outcome &outcome) const {
    if (outcome.state == kLz4StateChecksum) {
      throw Failure(AXLE_STATUS_DATA_LOSS, "the checksum of an lz4 block does not match");
    }
    if (outcome.state != kLz4StateOk || outcome.bytes > head_.block_bytes_max) {
      throw Failure(AXLE_STATUS_INVALID_ARGUMENT, "the lz4 stream has a block that is damaged");
    }
  }

  void give(const uint8_t *data, uint64_t bytes) {
    if (head_.content_checked) content_.add(data, bytes);
    content_bytes_ += bytes;
    output_.append(data, bytes);
  }

  void remember(const uint8_t *data, uint64_t bytes) {
    const uint64_t kept = std::min<uint64_t>(bytes, kLz4WindowBytes);
    const uint64_t before = std::min<uint64_t>(history_.size(), kLz4WindowBytes - kept);
    history_.erase(history_.begin(), history_.end() - static_cast<std::ptrdiff_t>(before));
    history_.insert(history_.end(), data + (bytes - kept), data + bytes);
  }

  TaskRun &run_;
  GpuContext &context_;
  Quota &quota_;
  const uint64_t slab_bytes_;
  Stopwatch watch_;
  InputReader input_;
  ByteOutput output_;
  Lz4FrameHead head_;
  bool ended_ = false;
  bool pending_ = false;  // a block's size was read, and the block was not
  uint32_t pending_word_ = 0;
  Xxh32Stream content_;
  uint64_t content_bytes_ = 0;
  std::vector<uint8_t> history_;
  std::deque<Slab> flying_;
};

}  // namespace

void lz4_decompress(TaskRun &run, const Gpu &gpu, GpuContext &context, Quota &quota) {
  Decompression(run, gpu, context, quota).run();
}

}  // namespace axle::cuda
