// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <deque>

#include "byte_output.h"
#include "input_reader.h"
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
  // They go before the lane does, and are wiped on its stream.
  DeviceBlock in;
  DeviceBlock slots;
  DeviceBlock sizes;  // of the records, then their offsets and the sum
  DeviceBlock out;
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
    const uint64_t out_bytes = bytes + slab.chunks * kRecordExtra;
    const uint64_t sizes_bytes = slab.chunks * sizeof(uint32_t);
    slab.in = take(lane, bytes + kReadAhead);
    slab.slots = take(lane, uint64_t{slab.chunks} * kLz4SlotBytes + kReadAhead);
    slab.sizes = take(lane, 2 * sizes_bytes + sizeof(uint32_t));
    slab.out = take(lane, out_bytes + kReadAhead);
    lane.in.reserve(bytes);
    lane.out.reserve(out_bytes);
    lane.notes.reserve(sizeof(uint32_t));

    if (!input_.read(lane.in.data(), bytes)) throw Failure(AXLE_STATUS_INTERNAL, "input is short");
    lane.copy_in(slab.in.at(), lane.in.data(), bytes);
    const Kernels &kernels = context_.kernels;
    const cu::Ptr sizes = slab.sizes.at();
    const cu::Ptr offsets = slab.sizes.at(sizes_bytes);
    lane.launch(kernels.axle_lz4_compress, slab.chunks, kWarp, slab.in.at(), bytes, slab.slots.at(),
                sizes);
    lane.launch(kernels.axle_lz4_offsets, 1, kLz4OffsetThreads, sizes, offsets, slab.chunks);
    lane.launch(kernels.axle_lz4_gather, slab.chunks, kGatherThreads, slab.slots.at(), sizes,
                offsets, slab.out.at());
    lane.copy_out(lane.notes.data(), offsets + sizes_bytes, sizeof(uint32_t));
    lane.mark();
    run_.transfer_ns += watch_.lap_ns();
  }

  void finish(Slab &slab) {
    Lane &lane = *slab.lane;
    lane.await();
    run_.compute_ns += watch_.lap_ns();
    const uint32_t bytes = *lane.notes.as<uint32_t>();
    if (bytes > slab.out.bytes()) {
      throw Failure(AXLE_STATUS_INTERNAL, "cuda: compressed blocks are larger than they can be");
    }
    lane.copy_out(lane.out.data(), slab.out.at(), bytes);
    lane.mark();
    lane.await();
    output_.append(lane.out.data(), bytes);
    run_.transfer_ns += watch_.lap_ns();
  }

  DeviceBlock take(Lane &lane, uint64_t bytes) {
    return context_.memory->take(bytes, quota_, lane.stream());
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
