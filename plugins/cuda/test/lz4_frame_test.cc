// SPDX-License-Identifier: Apache-2.0
#include "lz4_frame.h"

#include <algorithm>

#include <string>
#include <vector>

#include "common/failure.h"
#include "common/test/harness.h"
#include "xxh32_stream.h"

using axle::Failure;
using axle::InputReader;
using axle::cuda::Lz4FrameHead;
using axle::cuda::Xxh32Stream;

namespace {

uint32_t xxh32(const std::string &text, size_t step) {
  Xxh32Stream checksum;
  for (size_t at = 0; at < text.size(); at += step) {
    checksum.add(reinterpret_cast<const uint8_t *>(text.data()) + at,
                 std::min(step, text.size() - at));
  }
  return checksum.value();
}

struct Read {
  int32_t status = AXLE_STATUS_OK;
  bool found = false;
  Lz4FrameHead head;
};

// The head of `bytes`, which come in segments of `step`.
Read read_head(const std::string &bytes, size_t step) {
  std::vector<axle_segment> segments = {{nullptr, 0}};
  for (size_t at = 0; at < bytes.size(); at += step) {
    segments.push_back({bytes.data() + at, std::min(step, bytes.size() - at)});
  }
  axle_tensor tensor = {};
  tensor.segments = segments.data();
  tensor.segment_count = segments.size();
  InputReader input(tensor);
  Read read;
  try {
    read.found = axle::cuda::read_lz4_frame_head(input, true, &read.head);
  } catch (const Failure &failure) {
    read.status = failure.status();
  }
  return read;
}

}  // namespace

// The values are those of the xxhsum tool (-H0).
TEST(xxh32_is_as_its_specification_has_it) {
  CHECK_EQ(xxh32("", 1), 0x02CC5D05u);
  CHECK_EQ(xxh32("a", 1), 0x550D7456u);
  CHECK_EQ(xxh32("abc", 1), 0x32D153FFu);
  const std::string text(1000, 'x');
  for (const size_t step : {1u, 3u, 15u, 16u, 17u, 999u}) {
    CHECK_EQ(xxh32(text, step), xxh32(text, 1000));
  }
}

TEST(a_head_is_read_as_it_was_written) {
  const std::string head = axle::cuda::lz4_frame_head(123456789);
  for (const size_t step : {1u, 2u, 100u}) {
    const Read read = read_head(head, step);
    CHECK(read.found);
    CHECK_EQ(read.head.content_bytes, 123456789u);
    CHECK_EQ(read.head.block_bytes_max, 65536u);
    CHECK(read.head.blocks_checked && !read.head.blocks_linked && !read.head.content_checked);
  }
}

TEST(every_cut_and_every_changed_bit_of_a_head_is_refused) {
  const std::string head = axle::cuda::lz4_frame_head(5);
  for (size_t bytes = 0; bytes < head.size(); bytes++) {
    CHECK_EQ(read_head(head.substr(0, bytes), 3).status, AXLE_STATUS_INVALID_ARGUMENT);
  }
  for (size_t bit = 0; bit < head.size() * 8; bit++) {
    std::string changed = head;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    const int32_t status = read_head(changed, 100).status;
    CHECK(status == AXLE_STATUS_INVALID_ARGUMENT || status == AXLE_STATUS_DATA_LOSS);
  }
}
