// SPDX-License-Identifier: Apache-2.0
//
// Compares the codecs with the tools, on the same data and the same cores:
//   codecs_bench FILE [threads] [rounds] [only]
// FILE lies in memory (/dev/shm). Runs alternate; the best of each side counts. `only` is a substring
// of the row's name. For one core run it under taskset.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

#include "codecs_fixture.h"

using namespace axle::cpu;
using namespace axle::cpu::test;

namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct Row {
  Codec codec;
  int level;
  std::string tool;
};

uint64_t tool_bytes(const std::string &command) {
  FILE *pipe = popen((command + " | wc -c").c_str(), "r");
  unsigned long long bytes = 0;
  if (pipe == nullptr || std::fscanf(pipe, "%llu", &bytes) != 1) std::abort();
  pclose(pipe);
  return bytes;
}

double tool_seconds(const std::string &command) {
  const double begin = now();
  if (std::system((command + " > /dev/null").c_str()) != 0) std::abort();
  return now() - begin;
}

}  // namespace

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  const std::string path = argv[1];
  const unsigned threads = argc > 2 ? static_cast<unsigned>(std::stoi(argv[2])) : 2;
  const int rounds = argc > 3 ? std::stoi(argv[3]) : 3;
  const std::string only = argc > 4 ? argv[4] : "";
  std::ifstream file(path, std::ios::binary);
  const Bytes data((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  PoolExecutor executor(threads);

  std::vector<Row> rows;
  for (int level : {1, 3, 9, 19}) {
    rows.push_back({Codec::kZstd, level, "zstd -q -T0 -" + std::to_string(level) + " -c " + path});
  }
  for (int level : {1, 9}) {
    rows.push_back({Codec::kLz4, level, "lz4 -q -" + std::to_string(level) + " -c " + path});
  }
  for (int level : {1, 3, 6, 9}) {
    rows.push_back({Codec::kGzip, level,
                    "pigz -p " + std::to_string(threads) + " -" + std::to_string(level) + " -c " + path});
  }
  std::printf("%-44s %9s %9s %7s %8s %10s\n", "tool", "tool MB/s", "our MB/s", "speed x", "ratio x",
              "unzip MB/s");
  for (const Row &row : rows) {
    if (row.tool.find(only) == std::string::npos) continue;
    double tool = 1e9, ours = 1e9, back = 1e9;
    Bytes archive;
    for (int i = 0; i < rounds; i++) {
      tool = std::min(tool, tool_seconds(row.tool));
      Segment segment{data.data(), data.size()};
      TestTask task;
      task.drop_output();
      const double begin = now();
      const CodecResult result =
          compress(row.codec, row.level, {&segment, 1}, UINT64_MAX, task, executor);
      ours = std::min(ours, now() - begin);
      if (!result.ok()) std::abort();
      if (i > 0 || rounds == 1) {
        TestTask kept;
        if (archive.empty()) {
          compress(row.codec, row.level, {&segment, 1}, UINT64_MAX, kept, executor);
          archive = kept.output();
        }
        Segment compressed{archive.data(), archive.size()};
        TestTask unzip;
        unzip.drop_output();
        const double start = now();
        if (!decompress(Codec::kAuto, {&compressed, 1}, UINT64_MAX, unzip, executor).ok()) std::abort();
        back = std::min(back, now() - start);
      }
    }
    const double megabytes = static_cast<double>(data.size()) / 1e6;
    std::printf("%-44s %9.0f %9.0f %7.2f %8.4f %10.0f\n", row.tool.substr(0, 44).c_str(), megabytes / tool,
                megabytes / ours, tool / ours,
                static_cast<double>(tool_bytes(row.tool)) / static_cast<double>(archive.size()),
                megabytes / back);
    std::fflush(stdout);
  }
  for (Codec codec : {Codec::kZstd, Codec::kLz4, Codec::kGzip}) {
    for (int level : {1, level_range(codec).preset}) {
      if (!only.empty()) break;
      Segment segment{data.data() + data.size() / 2, 100};
      const int calls = 20000;
      const double begin = now();
      Bytes archive;
      for (int i = 0; i < calls; i++) {
        TestTask task;
        compress(codec, level, {&segment, 1}, UINT64_MAX, task, executor);
        if (i == 0) archive = task.output();
      }
      const double middle = now();
      Segment compressed{archive.data(), archive.size()};
      for (int i = 0; i < calls; i++) {
        TestTask task;
        decompress(Codec::kAuto, {&compressed, 1}, UINT64_MAX, task, executor);
      }
      std::printf("100 bytes, codec %u level %d: compress %.2f us, decompress %.2f us\n",
                  static_cast<unsigned>(codec), level, (middle - begin) / calls * 1e6,
                  (now() - middle) / calls * 1e6);
    }
  }
}
