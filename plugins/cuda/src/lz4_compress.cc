// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <deque>

#include "block_layout.h"
#include "common/byte_output.h"
#include "common/input_reader.h"
#include "kernels/lz4_layout.h"
#include "lz4_frame.h"
#include "lz4_ops.h"

namespace axle::cuda {

namespace {

using namespace kernels;  // NOLINT: the layout that host and device share

constexpr unsigned kWarp = 32;
constexpr unsigned kGatherThreads = 256;
// Kernels read whole words, and so up to three bytes past the end.
constexpr uint64_t kReadAhead = 16;
constexpr uint64_t kRecordExtra = kLz4RecordHeadBytes + kLz4RecordTailBytes;

// A piece of the input on its way through the device.
struct Slab {
  LanePool::Lease lane;
  uint32_t chunks = 0;
  uint64_t out_bytes_max = 0;
  uint64_t out_at = 0;  // in `memory`
  bool out_copied = false;
  DeviceBlock memory;  // goes before the lane does, and is wiped on its stream
};

class Compression {
 public:
  Compression(TaskRun &run, const Gpu &gpu, GpuContext &context, Quota &quota)
      : run_(run),
        context_(context),
        quota_(quota),
        slab_bytes_(std::min<uint64_t>(gpu.options().slab_bytes / kLz4ChunkBytes, kLz4BlocksMax) *
                    kLz4ChunkBytes),
        watch_(run.host()),
        input_(run.task().inputs[0]),
        output_(run, expected_bytes(input_.left_bytes())) {}

  void run() {
    const std::string head = lz4_frame_head(input_.left_bytes());
    output_.append(head.data(), head.size());
    while (input_.left_bytes() > 0 || !flying_.empty()) {
      run_.check_wanted();
      start_slabs();
      finish(flying_.front());
      flying_.pop_front();
    }
    const uint8_t end_mark[kLz4EndMarkBytes] = {};
    output_.append(end_mark, sizeof(end_mark));
    output_.finish();
    run_.transfer_ns += watch_.lap_ns();
  }

 private:
  static uint64_t expected_bytes(uint64_t input_bytes) {
    const uint64_t chunks = input_bytes / kLz4ChunkBytes + 1;
    return lz4_frame_head(0).size() + input_bytes + chunks * kRecordExtra + kLz4EndMarkBytes;
  }

  // One at least, and others while there are idle lanes.
  void start_slabs() {
    while (input_.left_bytes() > 0) {
      LanePool::Lease lane = flying_.empty() ? context_.lanes->take() : context_.lanes->try_take();
      if (!lane) return;
      flying_.emplace_back();
      flying_.back().lane = std::move(lane);
      start(flying_.back());
    }
  }

  void start(Slab &slab) {
    Lane &lane = *slab.lane;
    const uint64_t bytes = std::min(slab_bytes_, input_.left_bytes());
    slab.chunks = static_cast<uint32_t>((bytes + kLz4ChunkBytes - 1) / kLz4ChunkBytes);
    slab.out_bytes_max = bytes + slab.chunks * kRecordExtra;
    BlockLayout layout;
    const uint64_t in_at = layout.add(bytes + kReadAhead);
    const uint64_t slots_at = layout.add(uint64_t{slab.chunks} * kLz4SlotBytes + kReadAhead);
    const uint64_t sizes_at = layout.add(slab.chunks * sizeof(uint32_t));
    const uint64_t offsets_at = layout.add((slab.chunks + 1) * sizeof(uint32_t));
    slab.out_at = layout.add(slab.out_bytes_max + kReadAhead);
    slab.memory = context_.memory->take(layout.bytes(), quota_, lane.stream());
    lane.in.reserve(bytes);
    lane.out.reserve(slab.out_bytes_max);
    lane.notes.reserve(sizeof(uint32_t));

    if (!input_.read(lane.in.data(), bytes)) throw Failure(AXLE_STATUS_INTERNAL, "input is short");
    const cu::Ptr in = slab.memory.at(in_at);
    const cu::Ptr slots = slab.memory.at(slots_at);
    const cu::Ptr sizes = slab.memory.at(sizes_at);
    const cu::Ptr offsets = slab.memory.at(offsets_at);
    const cu::Ptr out = slab.memory.at(slab.out_at);
    lane.copy_in(in, lane.in.data(), bytes);
    const Kernels &kernels = context_.kernels;
    lane.launch(kernels.axle_lz4_compress, slab.chunks, kWarp, in, bytes, slots, sizes);
    lane.launch(kernels.axle_lz4_offsets, 1, kWarp, sizes, offsets, slab.chunks);
    lane.launch(kernels.axle_lz4_gather, slab.chunks, kGatherThreads, slots, sizes, offsets, out);
    lane.copy_out(lane.notes.data(), offsets + slab.chunks * sizeof(uint32_t), sizeof(uint32_t));
    slab.out_copied = slab.out_bytes_max <= kEagerCopyBytes;
    if (slab.out_copied) lane.copy_out(lane.out.data(), out, slab.out_bytes_max);
    lane.mark();
    run_.transfer_ns += watch_.lap_ns();
  }

  void finish(Slab &slab) {
    Lane &lane = *slab.lane;
    lane.await();
    run_.compute_ns += watch_.lap_ns();
    const uint32_t bytes = *lane.notes.as<uint32_t>();
    if (bytes > slab.out_bytes_max) {
      throw Failure(AXLE_STATUS_INTERNAL, "cuda: compressed blocks are larger than they can be");
    }
    if (!slab.out_copied) {
      lane.copy_out(lane.out.data(), slab.memory.at(slab.out_at), bytes);
      lane.mark();
      lane.await();
    }
    output_.append(lane.out.data(), bytes);
    run_.transfer_ns += watch_.lap_ns();
  }

  TaskRun &run_;
  GpuContext &context_;
  Quota &quota_;
  const uint64_t slab_bytes_;
  Stopwatch watch_;
  InputReader input_;
  ByteOutput output_;
  std::deque<Slab> flying_;
};

}  // namespace

void lz4_compress(TaskRun &run, const Gpu &gpu, GpuContext &context, Quota &quota) {
  Compression(run, gpu, context, quota).run();
}

}  // namespace axle::cuda
