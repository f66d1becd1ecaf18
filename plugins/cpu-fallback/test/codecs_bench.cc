// SPDX-License-Identifier: Apache-2.0
//
// Compares the codecs with the tools, on the same data and the same cores:
//   codecs_bench FILE [threads] [rounds] [only]
// FILE lies in memory (/dev/shm). Runs alternate; the best of each side counts. `only` is a substring
// of the row's name. For one core run it under taskset.
#include <sys/resource.h>

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

// Of this process or of its ended children, on all cores.
double cpu_seconds(int who) {
  rusage usage;
  getrusage(who, &usage);
  const auto seconds = [](const timeval &time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// The best of several runs, by the clock and by the cores' time: on a machine that does other work as
// well only the second is steady.
struct Best {
  double wall = 1e9;
  double cpu = 1e9;

  template <class Work>
  void run(int who, const Work &work) {
    const double begin = now(), cpu_begin = cpu_seconds(who);
    work();
    wall = std::min(wall, now() - begin);
    cpu = std::min(cpu, cpu_seconds(who) - cpu_begin);
  }
};

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
    rows.push_back(
        {Codec::kGzip, level,
         "pigz -p " + std::to_string(threads) + " -" + std::to_string(level) + " -c " + path});
  }
  std::printf("%-40s %9s %8s %7s %7s %8s %10s\n", "tool", "tool MB/s", "our MB/s", "wall x",
              "cpu x", "ratio x", "unzip MB/s");
  for (const Row &row : rows) {
    if (row.tool.find(only) == std::string::npos) continue;
    const Segment segment{data.data(), data.size()};
    TestTask kept;
    if (!compress(row.codec, row.level, {&segment, 1}, UINT64_MAX, kept, executor).ok())
      std::abort();
    const Segment archive{kept.output().data(), kept.output().size()};
    Best tool, ours, back;
    for (int i = 0; i < rounds; i++) {
      tool.run(RUSAGE_CHILDREN, [&] {
        if (std::system((row.tool + " > /dev/null").c_str()) != 0) std::abort();
      });
      ours.run(RUSAGE_SELF, [&] {
        TestTask task;
        task.drop_output();
        compress(row.codec, row.level, {&segment, 1}, UINT64_MAX, task, executor);
      });
      back.run(RUSAGE_SELF, [&] {
        TestTask task;
        task.drop_output();
        if (!decompress(Codec::kAuto, {&archive, 1}, UINT64_MAX, task, executor).ok()) std::abort();
      });
    }
    const double megabytes = static_cast<double>(data.size()) / 1e6;
    std::printf("%-40s %9.0f %8.0f %7.2f %7.2f %8.4f %10.0f\n", row.tool.substr(0, 40).c_str(),
                megabytes / tool.wall, megabytes / ours.wall, tool.wall / ours.wall,
                tool.cpu / ours.cpu,
                static_cast<double>(tool_bytes(row.tool)) / static_cast<double>(archive.bytes),
                megabytes / back.wall);
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
