// SPDX-License-Identifier: Apache-2.0
#include "block_slot.h"

#include <cstring>

#include "common/failure.h"

namespace axle::fpga {

namespace {

// The record that the kernel writes; see axle_lz4_compress.sv.
struct Record {
  uint32_t status, bytes, cycles, version;
};
constexpr uint32_t kDone = 1;
constexpr uint32_t kDoesNotFit = 2;
constexpr uint32_t kVersion = 1;

enum Argument { kInput, kOutput, kRecord, kInputBytes, kOutputBytesMax };

}  // namespace

BlockSlot::BlockSlot(const CardHandles &card) : card_(card) {
  try {
    input_ = allocate(kInput, kBlockBytesMax).data;
    output_ = allocate(kOutput, kBlockBytesMax).data;
    record_ = allocate(kRecord, sizeof(Record)).data;
    run_ = card_.library->run_open(card_.kernel);
    if (run_ == nullptr) throw Failure(AXLE_STATUS_UNAVAILABLE, "XRT opens no run");
    for (int i = 0; i < 3; i++) {
      check(card_.library->run_set(run_, i, buffers_[i]), "setting a buffer");
    }
  } catch (...) {
    close();
    throw;
  }
}

BlockSlot::~BlockSlot() { close(); }

void BlockSlot::close() noexcept {
  if (abandoned_) return;
  if (run_ != nullptr) card_.library->run_close(run_);
  for (const xrt::Buffer buffer : buffers_) {
    if (buffer != nullptr) card_.library->buffer_free(buffer);
  }
}

BlockSlot::Mapped BlockSlot::allocate(int argument, uint32_t bytes) {
  const int group = card_.library->kernel_group(card_.kernel, argument);
  Mapped mapped;
  if (group >= 0) {
    mapped.buffer =
        card_.library->buffer_alloc(card_.device, bytes, 0, static_cast<uint32_t>(group));
  }
  buffers_[argument] = mapped.buffer;
  void *data = mapped.buffer == nullptr ? nullptr : card_.library->buffer_map(mapped.buffer);
  if (data == nullptr) {
    throw Failure(AXLE_STATUS_RESOURCE_EXHAUSTED,
                  "the card has no room for another buffer; give fewer threads or less depth");
  }
  mapped.data = static_cast<uint8_t *>(data);
  return mapped;
}

void BlockSlot::check(int result, const char *what) {
  if (result == 0) return;
  throw Failure(AXLE_STATUS_UNAVAILABLE, std::string("XRT: ") + what + " failed");
}

void BlockSlot::start(uint32_t bytes) {
  const XrtLibrary &library = card_.library;
  bytes_ = bytes;
  // A card that ran nothing leaves it so.
  std::memset(record_, 0, sizeof(Record));
  check(library->buffer_sync(buffers_[kInput], xrt::kToDevice, bytes, 0), "copying to the card");
  check(library->buffer_sync(buffers_[kRecord], xrt::kToDevice, sizeof(Record), 0),
        "copying to the card");
  check(library->run_set(run_, kInputBytes, uint64_t{bytes}), "setting a size");
  check(library->run_set(run_, kOutputBytesMax, uint64_t{bytes} - 1), "setting a size");
  check(library->run_start(run_), "starting a run");
}

BlockSlot::State BlockSlot::wait(unsigned timeout_ms) {
  switch (card_.library->run_wait(run_, timeout_ms)) {
    case xrt::kStateCompleted:
      return State::kEnded;
    case xrt::kStateError:
    case xrt::kStateAbort:
    case xrt::kStateNoResponse:
    case xrt::kStateSoftKernelError:
    case xrt::kStateSoftKernelCrashed:
      return State::kFailed;
    default:
      return State::kRunning;
  }
}

uint32_t BlockSlot::result() {
  const XrtLibrary &library = card_.library;
  check(library->buffer_sync(buffers_[kRecord], xrt::kFromDevice, sizeof(Record), 0),
        "copying from the card");
  Record record;
  std::memcpy(&record, record_, sizeof(record));
  if (record.version == kVersion && record.status == kDoesNotFit) return 0;
  if (record.version != kVersion || record.status != kDone || record.bytes == 0 ||
      record.bytes >= bytes_) {
    throw Failure(AXLE_STATUS_INTERNAL,
                  "the kernel's record is wrong: status " + std::to_string(record.status) +
                      ", bytes " + std::to_string(record.bytes) + ", version " +
                      std::to_string(record.version) + "; is it of this version of Axle?");
  }
  check(library->buffer_sync(buffers_[kOutput], xrt::kFromDevice, record.bytes, 0),
        "copying from the card");
  return record.bytes;
}

}  // namespace axle::fpga
