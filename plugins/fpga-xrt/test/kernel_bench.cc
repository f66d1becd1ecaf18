// SPDX-License-Identifier: Apache-2.0
#include "kernel_bench.h"

#include <lz4.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace axle::fpga {

namespace {

constexpr uint64_t kInputBase = 0x4000000000;
constexpr uint64_t kOutputBase = 0x4100000000;
constexpr uint64_t kRecordAt = 0x4200000010;
constexpr size_t kRecordBytes = 16;
constexpr uint8_t kUntouched = 0xA5;
constexpr uint64_t kCyclesMax = 2000000;

uint8_t *part_of(Bytes &bytes, uint64_t base, uint64_t address, size_t wanted) {
  if (address < base || address - base > bytes.size()) return nullptr;
  return bytes.size() - (address - base) < wanted ? nullptr : bytes.data() + (address - base);
}

}  // namespace

KernelBench::KernelBench()
    : record_(kRecordBytes),
      kernel_([this](uint64_t address, size_t bytes) { return at(address, bytes); }) {
  place(0, 0);
}

uint8_t *KernelBench::at(uint64_t address, size_t bytes) {
  for (const auto &[memory, base] : {std::pair<Bytes &, uint64_t>{input_, input_at_},
                                     {output_, output_at_},
                                     {record_, kRecordAt}}) {
    if (uint8_t *found = part_of(memory, base, address, bytes)) return found;
  }
  return nullptr;
}

void KernelBench::set_pressure(unsigned of_256, uint32_t seed) {
  random_.seed(seed);
  if (of_256 == 0) {
    kernel_.set_pressure(nullptr);
  } else {
    kernel_.set_pressure([this, of_256](Channel) { return (random_() & 255u) < of_256; });
  }
}

void KernelBench::place(uint64_t input_offset, uint64_t output_offset) {
  input_at_ = kInputBase + input_offset;
  output_at_ = kOutputBase + output_offset;
}

void KernelBench::begin(const Bytes &input, uint64_t input_bytes, uint64_t output_bytes_max) {
  input_ = input;
  output_.assign(output_bytes_max, kUntouched);
  record_.assign(kRecordBytes, 0);
  kernel_.start({input_at_, output_at_, kRecordAt, input_bytes, output_bytes_max});
}

KernelBench::Record KernelBench::end() {
  const Bytes before = input_;
  if (!kernel_.finish(kCyclesMax)) throw std::runtime_error("the run does not end");
  if (!kernel_.violation().empty()) throw std::runtime_error(kernel_.violation());
  if (input_ != before) throw std::runtime_error("the input was written to");
  Record record;
  std::memcpy(&record, record_.data(), sizeof(record));
  for (size_t i = record.bytes; i < output_.size() && record.status == kStatusDone; i++) {
    if (output_[i] != kUntouched) throw std::runtime_error("bytes behind the block were written");
  }
  return record;
}

KernelBench::Record KernelBench::compress(const Bytes &input) {
  begin(input, input.size(), bound(input.size()));
  const Record record = end();
  const std::string which = " of " + std::to_string(input.size()) + " bytes";
  if (record.status != kStatusDone || record.bytes > output_.size() || record.version != 1) {
    throw std::runtime_error("status " + std::to_string(record.status) + which);
  }
  Bytes unpacked(input.size() + 1);
  const int got = LZ4_decompress_safe(
      reinterpret_cast<const char *>(output_.data()), reinterpret_cast<char *>(unpacked.data()),
      static_cast<int>(record.bytes), static_cast<int>(unpacked.size()));
  if (got != static_cast<int>(input.size())) {
    throw std::runtime_error("liblz4 says " + std::to_string(got) + which);
  }
  if (!std::equal(input.begin(), input.end(), unpacked.begin())) {
    throw std::runtime_error("other bytes come back" + which);
  }
  return record;
}

Bytes random_bytes(size_t bytes, uint32_t seed) {
  std::mt19937 random(seed);
  Bytes made(bytes);
  for (uint8_t &byte : made) byte = static_cast<uint8_t>(random());
  return made;
}

Bytes few_values(size_t bytes, uint32_t seed) {
  std::mt19937 random(seed);
  Bytes made;
  while (made.size() < bytes) {
    if (random() % 4 == 0 || made.size() < 8) {
      made.push_back(static_cast<uint8_t>('a' + random() % 3));
      continue;
    }
    // A copy from anywhere before, short ones more often than long ones.
    const size_t from = random() % made.size();
    const size_t length = random() % (size_t{1} << (random() % 11));
    for (size_t i = 0; i < length; i++) made.push_back(made[from + i]);
    if (random() % 2 == 0) made.push_back(static_cast<uint8_t>(random()));
  }
  made.resize(bytes);
  return made;
}

const Bytes &text() {
  static const Bytes all = [] {
    std::vector<std::filesystem::path> paths;
    for (const auto &entry : std::filesystem::directory_iterator(AXLE_REPOSITORY "/docs")) {
      if (entry.path().extension() == ".md") paths.push_back(entry.path());
    }
    std::sort(paths.begin(), paths.end());
    Bytes bytes;
    for (const auto &path : paths) {
      std::ifstream file(path, std::ios::binary);
      bytes.insert(bytes.end(), std::istreambuf_iterator<char>(file), {});
    }
    return bytes;
  }();
  return all;
}

}  // namespace axle::fpga
