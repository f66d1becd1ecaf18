// SPDX-License-Identifier: Apache-2.0
//
// What reads lz4 of unknown origin: the frame's head on the host, and the kernels that decompress a block, alone and
// linked, as the emulated driver runs them. libFuzzer drives it under ASan; memory ends where it is said to.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "../emulated/block_run.h"
#include "../emulated/kernels.h"
#include "common/failure.h"
#include "kernels/lz4_layout.h"
#include "lz4_frame.h"

using namespace axle::cuda;           // NOLINT
using namespace axle::cuda::kernels;  // NOLINT

namespace {

constexpr uint32_t kRoom = 4096;
constexpr uint32_t kHistory = 1024;
constexpr unsigned kWarp = 32;
// Kernels read whole words: what the plugin adds to its inputs, and a word before them by alignment.
constexpr size_t kReadAhead = 16;

void read_heads(const uint8_t *data, size_t bytes) {
  const axle_segment segments[] = {{data, bytes / 2}, {data + bytes / 2, bytes - bytes / 2}};
  axle_tensor tensor = {};
  tensor.segments = segments;
  tensor.segment_count = 2;
  axle::InputReader input(tensor);
  Lz4FrameHead head;
  try {
    bool first = true;
    while (read_lz4_frame_head(input, first, &head)) {
      first = false;
      if (head.block_bytes_max < (64u << 10) || head.block_bytes_max > (4u << 20)) std::abort();
    }
  } catch (const axle::Failure &failure) {
    const int32_t status = failure.status();
    if (status != AXLE_STATUS_INVALID_ARGUMENT && status != AXLE_STATUS_DATA_LOSS) std::abort();
  }
}

template <class... Arguments>
void launch(const char *name, Arguments... arguments) {
  void *pointers[] = {&arguments...};
  emulated::run_grid(emulated::find_kernel(name)->call, pointers, 1, kWarp);
}

// The first byte says where blocks are cut, the rest is theirs.
void decompress(const uint8_t *data, size_t bytes) {
  const uint8_t how = data[0];
  const auto size = static_cast<uint32_t>(bytes - 1);
  std::vector<uint8_t> in(size + kReadAhead);
  std::copy(data + 1, data + bytes, in.begin());
  const uint32_t cut = size == 0 ? 0 : how % size;
  const uint32_t flags = how & 0x80u ? kLz4BlockStored : 0;
  const Lz4Block blocks[] = {{0, cut, flags, 0}, {cut, size - cut, 0, 0}};
  Lz4Outcome outcomes[2] = {{0, kLz4StateDamaged}, {0, kLz4StateDamaged}};

  // Its end is the end of the allocation, so that ASan sees a byte too many.
  std::unique_ptr<uint8_t[]> alone(new uint8_t[kRoom]);
  launch("axle_lz4_decompress", static_cast<const uint8_t *>(in.data()), &blocks[1], alone.get(),
         kRoom, kRoom, &outcomes[0]);
  if (outcomes[0].bytes > kRoom) std::abort();

  std::unique_ptr<uint8_t[]> linked(new uint8_t[kHistory + 2 * kRoom]);
  std::memset(linked.get(), 'h', kHistory);
  outcomes[0] = outcomes[1] = {0, kLz4StateDamaged};
  launch("axle_lz4_decompress_linked", static_cast<const uint8_t *>(in.data()), &blocks[0],
         uint32_t{2}, linked.get() + kHistory, kRoom, kHistory, &outcomes[0]);
  for (const Lz4Outcome &outcome : outcomes) {
    if (outcome.bytes > kRoom) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  if (bytes == 0) return 0;
  read_heads(data, bytes);
  decompress(data, bytes);
  return 0;
}
