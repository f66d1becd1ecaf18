// SPDX-License-Identifier: Apache-2.0
//
// The kernel, clock edge by clock edge. What it makes is judged by liblz4, and by the lz4 tool.
#include <lz4.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "common/test/harness.h"
#include "kernel_bench.h"

using namespace axle::fpga;  // NOLINT: the tests are about all of it

namespace {

constexpr size_t kKiB = 1024;

Bytes part(const Bytes &all, size_t from, size_t bytes) {
  Bytes taken;
  while (taken.size() < bytes) {
    const size_t now = std::min(bytes - taken.size(), all.size() - from);
    taken.insert(taken.end(), all.begin() + static_cast<long>(from),
                 all.begin() + static_cast<long>(from + now));
    from = 0;
  }
  return taken;
}

// One of four kinds of data.
Bytes content(unsigned kind, size_t bytes, uint32_t seed) {
  if (kind == 0) return part(text(), seed % text().size(), bytes);
  if (kind == 1) return random_bytes(bytes, seed);
  if (kind == 2) return Bytes(bytes, static_cast<uint8_t>(seed));
  return few_values(bytes, seed);
}

constexpr unsigned kKinds = 4;
constexpr const char *kKindNames[kKinds] = {"text", "random", "constant", "few values"};

void append_word(Bytes &to, uint32_t word) {
  for (unsigned i = 0; i < 4; i++) to.push_back(static_cast<uint8_t>(word >> (8 * i)));
}

}  // namespace

TEST(sizes_at_the_edges_of_the_format) {
  KernelBench bench;
  for (size_t bytes = 0; bytes <= 300; bytes++) {
    for (unsigned kind = 0; kind < kKinds; kind++) {
      bench.compress(content(kind, bytes, static_cast<uint32_t>(bytes * kKinds + kind)));
    }
  }
}

TEST(every_size_to_4_KiB) {
  KernelBench bench;
  for (size_t bytes = 301; bytes <= 4 * kKiB; bytes++) {
    bench.compress(content(bytes % kKinds, bytes, static_cast<uint32_t>(bytes)));
  }
}

TEST(the_largest_blocks) {
  KernelBench bench;
  for (const size_t bytes : {32 * kKiB + 1, kBlockBytesMax - 13, kBlockBytesMax - 1, 64 * kKiB}) {
    for (unsigned kind = 0; kind < kKinds; kind++) bench.compress(content(kind, bytes, 7));
  }
}

TEST(too_large_or_misplaced_blocks_are_refused) {
  KernelBench bench;
  for (const uint64_t bytes : {uint64_t{kBlockBytesMax} + 1, uint64_t{1} << 32, ~uint64_t{0}}) {
    bench.begin(Bytes(16), bytes, 100);
    CHECK_EQ(bench.end().status, kStatusRefused);
    CHECK(bench.output() == Bytes(100, 0xA5));
  }
  for (const auto &[input, output] : {std::pair<uint64_t, uint64_t>{1, 0}, {0, 4}}) {
    bench.place(input, output);
    bench.begin(Bytes(16), 16, 100);
    CHECK_EQ(bench.end().status, kStatusRefused);
  }
  bench.place(0, 0);
  bench.compress(content(0, 1000, 1));
}

TEST(back_pressure_on_every_channel) {
  KernelBench bench;
  uint32_t seed = 1;
  for (const unsigned of_256 : {32u, 128u, 224u, 248u}) {
    for (unsigned kind = 0; kind < kKinds; kind++) {
      for (const size_t bytes : {size_t{0}, size_t{13}, size_t{777}, 9 * kKiB + 5}) {
        const Bytes data = content(kind, bytes, ++seed);
        bench.set_pressure(0, 0);
        bench.place(0, 0);
        bench.compress(data);
        const Bytes calm = bench.output();
        bench.set_pressure(of_256, seed);
        bench.place(8 * (seed % 128), 8 * (seed * 7 % 512));
        bench.compress(data);
        // Neither time nor place shows in what comes of it.
        CHECK(bench.output() == calm);
      }
    }
  }
}

TEST(what_comes_of_a_block_does_not_depend_on_those_before) {
  const Bytes data = content(0, 20 * kKiB, 99);
  KernelBench fresh;
  fresh.compress(data);
  KernelBench used;
  for (uint32_t i = 0; i < 8; i++) used.compress(content(i % kKinds, 5000 + i, i));
  used.compress(data);
  CHECK(used.output() == fresh.output());
}

TEST(entries_of_blocks_long_ago_are_cleared) {
  // Numbers of blocks come again after 255: an entry must not be taken for one of the new block.
  const Bytes data = content(0, 600, 5);
  KernelBench bench;
  bench.compress(data);
  const Bytes first = bench.output();
  for (uint32_t i = 0; i < 254; i++) bench.compress(Bytes(4, 1));
  for (unsigned i = 0; i < 3; i++) {
    bench.compress(data);
    CHECK(bench.output() == first);
  }
}

TEST(reset_in_mid_run) {
  const Bytes data = content(0, 8 * kKiB, 3);
  KernelBench bench;
  bench.compress(data);
  const Bytes whole = bench.output();
  bench.set_pressure(64, 11);
  for (uint64_t cycles = 1; cycles < 12000; cycles = cycles * 5 / 4 + 1) {
    bench.begin(data, data.size(), bound(data.size()));
    for (uint64_t i = 0; i < cycles; i++) bench.kernel().step();
    bench.kernel().reset();
    CHECK_EQ(bench.kernel().read_register(kControlRegister), kIdleBit);
    bench.compress(data);
    CHECK(bench.output() == whole);
  }
}

TEST(output_that_does_not_fit) {
  KernelBench bench;
  const Bytes data = content(0, 3000, 12);
  const uint32_t needed = bench.compress(data).bytes;
  const Bytes whole(bench.output().begin(), bench.output().begin() + needed);
  bench.begin(data, data.size(), needed);
  CHECK_EQ(bench.end().status, kStatusDone);
  CHECK(bench.output() == whole);
  for (const uint32_t room : {0u, 1u, 7u, 8u, 9u, needed - 8, needed - 1}) {
    // A write past the room would fail on the bus.
    bench.begin(data, data.size(), room);
    const KernelBench::Record record = bench.end();
    CHECK_EQ(record.status, kStatusDoesNotFit);
    CHECK_EQ(record.bytes, needed);
  }
  bench.compress(data);
}

TEST(memory_that_fails) {
  KernelBench bench;
  bench.begin(Bytes(100), 2000, 3000);  // the rest is not there
  CHECK_EQ(bench.end().status, kStatusBusError);
  bench.begin(random_bytes(2000, 1), 2000, 100);
  CHECK_EQ(bench.end().status, kStatusDoesNotFit);
  bench.compress(content(0, 1000, 1));
}

TEST(control_registers) {
  KernelBench bench;
  SimulatedKernel &kernel = bench.kernel();
  CHECK_EQ(kernel.read_register(kControlRegister), kIdleBit);
  bench.begin(Bytes(5000), 5000, 6000);
  CHECK_EQ(kernel.read_register(kControlRegister), kStartBit);
  CHECK_EQ(kernel.read_register(kFirstArgumentRegister + 24), 5000u);
  CHECK_EQ(bench.end().status, kStatusDone);
  // Reading that it is done has cleared it.
  CHECK_EQ(kernel.read_register(kControlRegister), kIdleBit);
}

TEST(frames_are_read_by_the_lz4_tool) {
  KernelBench bench;
  Bytes data = part(text(), 0, 150 * kKiB);
  const Bytes noise = random_bytes(70 * kKiB, 4);
  data.insert(data.end(), noise.begin(), noise.end());
  const uint8_t descriptor[2] = {0x60, 0x40};  // independent blocks of 64 KiB
  Bytes frame;
  append_word(frame, 0x184D2204);
  frame.insert(frame.end(), descriptor, descriptor + 2);
  frame.push_back(static_cast<uint8_t>(XXH32(descriptor, 2, 0) >> 8));
  for (size_t at = 0; at < data.size(); at += kBlockBytesMax) {
    const size_t end = std::min(data.size(), at + kBlockBytesMax);
    const Bytes block(data.begin() + static_cast<long>(at), data.begin() + static_cast<long>(end));
    const uint32_t packed = bench.compress(block).bytes;
    const bool smaller = packed < block.size();
    append_word(frame, smaller ? packed : static_cast<uint32_t>(block.size()) | 0x80000000u);
    const Bytes &from = smaller ? bench.output() : block;
    frame.insert(frame.end(), from.begin(),
                 from.begin() + static_cast<long>(smaller ? packed : block.size()));
  }
  append_word(frame, 0);

  if (std::system("lz4 --version >/dev/null 2>&1") != 0) axle::test::skip("there is no lz4 tool");
  const auto folder = std::filesystem::temp_directory_path();
  const std::string path = (folder / ("axle-fpga-frame-" + std::to_string(::getpid()))).string();
  std::ofstream(path + ".lz4", std::ios::binary)
      .write(reinterpret_cast<const char *>(frame.data()), static_cast<long>(frame.size()));
  const int status = std::system(("lz4 -d -q -f " + path + ".lz4 " + path).c_str());
  std::ifstream file(path, std::ios::binary);
  const Bytes read{std::istreambuf_iterator<char>(file), {}};
  std::filesystem::remove(path);
  std::filesystem::remove(path + ".lz4");
  CHECK_EQ(status, 0);
  CHECK(read == data);
}

TEST(bytes_per_cycle_and_ratio) {
  constexpr size_t kBlocks = 4;
  for (unsigned kind = 0; kind < kKinds; kind++) {
    KernelBench bench;
    uint64_t cycles = 0, in = 0, out = 0, reference = 0;
    const Bytes all = kind == 0 ? part(text(), 0, kBlocks * kBlockBytesMax)
                                : content(kind, kBlocks * kBlockBytesMax, 2);
    for (size_t i = 0; i < kBlocks; i++) {
      const Bytes block = part(all, i * kBlockBytesMax, kBlockBytesMax);
      const KernelBench::Record record = bench.compress(block);
      cycles += record.cycles;
      in += block.size();
      out += record.bytes;
      Bytes room(bound(block.size()));
      reference += static_cast<uint64_t>(LZ4_compress_default(
          reinterpret_cast<const char *>(block.data()), reinterpret_cast<char *>(room.data()),
          static_cast<int>(block.size()), static_cast<int>(room.size())));
    }
    const double rate = static_cast<double>(in) / static_cast<double>(cycles);
    const double ratio = static_cast<double>(in) / static_cast<double>(out);
    const double wanted = static_cast<double>(in) / static_cast<double>(reference);
    std::printf(
        "      %-10s %6.3f bytes per cycle (%llu bytes, %llu cycles), ratio %.3f, liblz4's %.3f\n",
        kKindNames[kind], rate, static_cast<unsigned long long>(in),
        static_cast<unsigned long long>(cycles), ratio, wanted);
    CHECK(ratio >= 0.9 * wanted);
    if (kind == 0) CHECK(rate >= 1.0);
  }
}
