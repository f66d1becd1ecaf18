// SPDX-License-Identifier: Apache-2.0
#include "lz4_frame.h"

#include "common/failure.h"
#include "xxh32_stream.h"

namespace axle::cuda {

namespace {

constexpr uint32_t kMagic = 0x184D2204;
constexpr uint32_t kSkippableMagic = 0x184D2A50;  // and 15 more
constexpr uint32_t kSkippableMask = 0xFFFFFFF0;
constexpr uint8_t kVersionMask = 3 << 6;
constexpr uint8_t kVersion1 = 1 << 6;
constexpr uint8_t kIndependent = 1 << 5;
constexpr uint8_t kBlocksChecked = 1 << 4;
constexpr uint8_t kContentSize = 1 << 3;
constexpr uint8_t kContentChecked = 1 << 2;
constexpr uint8_t kFlagReserved = 1 << 1;
constexpr uint8_t kDictionary = 1 << 0;
constexpr unsigned kSizeCodeMin = 4;  // 64 KiB

[[noreturn]] void damaged(const std::string &what) {
  throw Failure(AXLE_STATUS_INVALID_ARGUMENT, "the lz4 stream " + what);
}

uint8_t head_checksum(const std::string &descriptor) {
  Xxh32Stream checksum;
  checksum.add(reinterpret_cast<const uint8_t *>(descriptor.data()), descriptor.size());
  return static_cast<uint8_t>(checksum.value() >> 8);
}

void append(std::string &to, uint64_t value, unsigned bytes) {
  for (unsigned i = 0; i < bytes; i++) to += static_cast<char>(value >> (8 * i));
}

uint8_t read_byte(InputReader &input, std::string &descriptor) {
  uint8_t byte = 0;
  if (!input.read(&byte, 1)) lz4_truncated();
  descriptor += static_cast<char>(byte);
  return byte;
}

Lz4FrameHead read_descriptor(InputReader &input) {
  std::string descriptor;
  const uint8_t flags = read_byte(input, descriptor);
  const uint8_t sizes = read_byte(input, descriptor);
  if ((flags & kVersionMask) != kVersion1 || (flags & kFlagReserved) != 0 || (sizes & 0x8F) != 0) {
    damaged("has a frame of a version that is not known");
  }
  const unsigned code = sizes >> 4;
  if (code < kSizeCodeMin) damaged("has a frame with a block size that is not known");
  Lz4FrameHead head;
  head.block_bytes_max = (64u << 10) << (2 * (code - kSizeCodeMin));
  head.blocks_linked = (flags & kIndependent) == 0;
  head.blocks_checked = (flags & kBlocksChecked) != 0;
  head.content_checked = (flags & kContentChecked) != 0;
  head.has_content_bytes = (flags & kContentSize) != 0;
  for (unsigned i = 0; head.has_content_bytes && i < 8; i++) {
    head.content_bytes |= uint64_t{read_byte(input, descriptor)} << (8 * i);
  }
  if ((flags & kDictionary) != 0) damaged("needs a dictionary; decompress it with the lz4 tool");
  const uint8_t expected = head_checksum(descriptor);
  uint8_t found = 0;
  if (!input.read(&found, 1)) lz4_truncated();
  if (found != expected) {
    throw Failure(AXLE_STATUS_DATA_LOSS, "the checksum of an lz4 frame's head does not match");
  }
  return head;
}

}  // namespace

void lz4_truncated() { damaged("is cut off; give all of it"); }

uint32_t read_lz4_word(InputReader &input) {
  uint8_t bytes[4];
  if (!input.read(bytes, sizeof(bytes))) lz4_truncated();
  return bytes[0] | (uint32_t{bytes[1]} << 8) | (uint32_t{bytes[2]} << 16) |
         (uint32_t{bytes[3]} << 24);
}

std::string lz4_frame_head(uint64_t content_bytes) {
  std::string descriptor;
  append(descriptor, kVersion1 | kIndependent | kBlocksChecked | kContentSize, 1);
  append(descriptor, kSizeCodeMin << 4, 1);
  append(descriptor, content_bytes, 8);
  std::string head;
  append(head, kMagic, 4);
  head += descriptor;
  append(head, head_checksum(descriptor), 1);
  return head;
}

bool read_lz4_frame_head(InputReader &input, bool first, Lz4FrameHead *head) {
  if (first && input.left_bytes() == 0) damaged("is empty; even no bytes make a frame");
  while (input.left_bytes() > 0) {
    if (input.left_bytes() < 4) {
      if (!first) damaged("goes on after its end with bytes that are no frame");
      lz4_truncated();
    }
    const uint32_t magic = read_lz4_word(input);
    if (magic == kMagic) {
      *head = read_descriptor(input);
      return true;
    }
    if ((magic & kSkippableMask) != kSkippableMagic) {
      damaged(first ? "does not begin as one does"
                    : "goes on after its end with bytes that are no frame");
    }
    if (!input.read(nullptr, read_lz4_word(input))) lz4_truncated();
    first = false;
  }
  return false;
}

}  // namespace axle::cuda
