// SPDX-License-Identifier: Apache-2.0
//
// Every decoder, with whole archives and with streams: both give the same, and stay within their caps.
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "../test/codecs_fixture.h"
#include "guarded_memory.h"
#include "target.h"

using namespace axle::cpu;
using namespace axle::cpu::fuzz;
using namespace axle::cpu::test;

namespace {

constexpr uint64_t kCap = 1 << 20;

class GuardedTask : public Task {
 public:
  explicit GuardedTask(uint64_t bytes_max) : bytes_max_(bytes_max) {}
  uint8_t *alloc(uint64_t bytes) override {
    if (bytes > bytes_max_) return nullptr;
    auto memory = std::make_unique<GuardedMemory>(bytes);
    uint8_t *data = memory->data();
    live_[data] = {std::move(memory), bytes};
    return data;
  }
  uint8_t *resize(uint8_t *data, uint64_t bytes) override {
    uint8_t *moved = alloc(bytes);
    if (moved == nullptr) return nullptr;
    std::memcpy(moved, data, std::min(bytes, live_.at(data).second));
    live_.erase(data);
    return moved;
  }
  void release(uint8_t *data) override {
    if (live_.erase(data) != 1) std::abort();
  }
  bool emit(uint8_t *data, uint64_t bytes) override {
    if (bytes > bytes_max_) std::abort();
    if (data != nullptr) {
      output_.insert(output_.end(), data, data + bytes);
      release(data);
    }
    return true;
  }
  bool cancelled() const override { return false; }
  const Bytes &output() const { return output_; }
  bool clean() const { return live_.empty(); }

 private:
  const uint64_t bytes_max_;
  std::map<uint8_t *, std::pair<std::unique_ptr<GuardedMemory>, uint64_t>> live_;
  Bytes output_;
};

CodecResult as_whole(Codec codec, const uint8_t *data, size_t bytes, Bytes &output) {
  static PoolExecutor executor(2);
  GuardedTask task(kCap);
  const Segment segment{data, bytes};
  const CodecResult result = decompress(codec, {&segment, 1}, kCap, task, executor);
  if (!task.clean() || (!result.ok() && !task.output().empty())) std::abort();
  output = task.output();
  return result;
}

CodecResult as_stream(Codec codec, const uint8_t *data, size_t bytes, size_t piece, size_t cap,
                      Bytes &output) {
  CodecResult opened;
  const auto stream = open_decompress_stream(codec, &opened);
  size_t at = 0;
  for (;;) {
    const size_t n = std::min(piece, bytes - at);
    const bool end = at + n == bytes;
    GuardedTask task(cap);
    const Segment segment{data + at, n};
    const StreamWriteResult written = stream->write({&segment, 1}, end, cap, task);
    if (!task.clean() || written.consumed_bytes > n || task.output().size() > cap) std::abort();
    output.insert(output.end(), task.output().begin(), task.output().end());
    if (!written.result.ok()) return written.result;
    at += written.consumed_bytes;
    if (output.size() > kCap) {
      return {CodecStatus::kResourceExhausted, "the fuzzer has seen enough"};
    }
    if (at < bytes || written.more) {
      if (written.consumed_bytes == 0 && task.output().empty() && n > 0)
        std::abort();  // no progress
      continue;
    }
    if (end) return written.result;
  }
}

void try_bytes(const uint8_t *data, size_t bytes) {
  const GuardedMemory input(bytes);
  if (bytes > 0) std::memcpy(input.data(), data, bytes);
  for (Codec codec : {Codec::kAuto, Codec::kZstd, Codec::kLz4, Codec::kGzip}) {
    Bytes whole, pieces;
    const CodecResult first = as_whole(codec, input.data(), bytes, whole);
    const size_t piece = bytes > 2 ? 1 + data[bytes / 2] : 1;
    const CodecResult second = as_stream(codec, input.data(), bytes, piece, 1 + 37 * piece, pieces);
    // Both ways agree, but for where they meet the cap. libzstd refuses an empty compressed block in a
    // frame that it has whole, and lets it pass in a stream.
    const bool capped = first.status == CodecStatus::kResourceExhausted ||
                        second.status == CodecStatus::kResourceExhausted;
    const bool may_differ = capped || (bytes > 0 && (data[0] == 0x28 || data[0] >> 4 == 5));
    if ((first.ok() && second.ok() && whole != pieces) ||
        (first.ok() != second.ok() && !may_differ)) {
      std::fprintf(stderr, "codec %u: whole \"%s\", stream \"%s\"\n", static_cast<unsigned>(codec),
                   first.message.c_str(), second.message.c_str());
      std::abort();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  try_bytes(data, bytes);
  return 0;
}

std::vector<Bytes> axle::cpu::fuzz::seeds() {
  std::vector<Bytes> all;
  static PoolExecutor executor(1);
  for (Codec codec : {Codec::kZstd, Codec::kLz4, Codec::kGzip}) {
    for (int level : {1, 6, 12}) {
      for (const Bytes &content :
           {Bytes(), text_of(40), text_of(3000), noise_of(500), Bytes(70000, 7), text_of(90000)}) {
        const Segment segment{content.data(), content.size()};
        TestTask task;
        if (!compress(codec, level, {&segment, 1}, UINT64_MAX, task, executor).ok()) std::abort();
        all.push_back(task.output());
      }
    }
  }
  return all;
}
