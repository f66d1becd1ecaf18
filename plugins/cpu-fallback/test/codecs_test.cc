// SPDX-License-Identifier: Apache-2.0
//
//   codecs_test [substring of a test's name]
// Tests that run the zstd, lz4, gzip and pigz tools are skipped, with a line, where a tool is missing.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <thread>

#include "codecs_fixture.h"

using namespace axle::cpu;
using namespace axle::cpu::test;

namespace {

int failures = 0;

#define CHECK(condition, ...)                                           \
  do {                                                                  \
    if (!(condition)) {                                                 \
      failures++;                                                       \
      std::printf("FAILED %s:%d: %s ", __FILE__, __LINE__, #condition); \
      std::printf(" " __VA_ARGS__);                                     \
      std::printf("\n");                                                \
    }                                                                   \
  } while (0)

constexpr Codec kCodecs[] = {Codec::kZstd, Codec::kLz4, Codec::kGzip};
const char *const kTools[] = {"", "zstd", "lz4", "gzip"};
const char *tool_of(Codec codec) { return kTools[static_cast<int>(codec)]; }

PoolExecutor &executor() {
  static PoolExecutor pool(2);
  return pool;
}
PoolExecutor &single() {
  static PoolExecutor pool(1);
  return pool;
}

struct Outcome {
  CodecResult result;
  Bytes output;
  uint64_t peak = 0;
};

std::vector<Segment> segments_of(const Bytes &data, Random *split = nullptr) {
  std::vector<Segment> segments;
  for (size_t at = 0; at < data.size();) {
    size_t n = data.size() - at;
    if (split != nullptr) {
      const uint64_t scale = uint64_t{1} << split->below(20);
      n = std::min<size_t>(n, split->below(scale + 1));
    }
    segments.push_back({data.data() + at, n});
    at += n;
  }
  return segments;
}

Outcome zip(Codec codec, int level, const Bytes &data, Executor &on = executor(),
            Random *split = nullptr, uint64_t cap = UINT64_MAX) {
  const std::vector<Segment> segments = segments_of(data, split);
  TestTask task(cap);
  Outcome outcome;
  outcome.result = compress(codec, level, {segments.data(), segments.size()}, cap, task, on);
  outcome.output = task.output();
  return outcome;
}

Outcome unzip(Codec codec, const Bytes &data, uint64_t cap = UINT64_MAX, Random *split = nullptr,
              Executor &on = executor()) {
  const std::vector<Segment> segments = segments_of(data, split);
  TestTask task(cap);
  Outcome outcome;
  outcome.result = decompress(codec, {segments.data(), segments.size()}, cap, task, on);
  outcome.output = task.output();
  outcome.peak = task.peak();
  return outcome;
}

// Writes `data` in pieces of random sizes, with random caps up to `cap_max`.
Outcome pump(CodecStream &stream, const Bytes &data, Random &random, uint64_t piece_max,
             uint64_t cap_max) {
  Outcome outcome;
  size_t at = 0;
  bool more = false;
  size_t offered = 0;
  for (;;) {
    // While output waits the same input is offered again, and no new.
    if (!more) offered = std::min<size_t>(data.size() - at, random.below(piece_max + 1));
    const bool end = at + offered == data.size();
    const Bytes piece(data.begin() + static_cast<long>(at),
                      data.begin() + static_cast<long>(at + offered));
    const std::vector<Segment> segments = segments_of(piece, &random);
    const uint64_t cap = 1 + random.below(cap_max);
    TestTask task(cap);
    const StreamWriteResult written =
        stream.write({segments.data(), segments.size()}, end, cap, task);
    outcome.output.insert(outcome.output.end(), task.output().begin(), task.output().end());
    outcome.result = written.result;
    if (!written.result.ok()) return outcome;
    if (written.consumed_bytes > offered || task.emitted() > cap) std::abort();
    at += written.consumed_bytes;
    offered -= written.consumed_bytes;
    more = written.more || offered > 0;
    if (end && !more) return outcome;
  }
}

Outcome zip_stream(Codec codec, int level, const Bytes &data, Random &random, uint64_t piece_max,
                   uint64_t cap_max) {
  Outcome outcome;
  auto stream = open_compress_stream(codec, level, executor(), &outcome.result);
  if (!stream) return outcome;
  return pump(*stream, data, random, piece_max, cap_max);
}

Outcome unzip_stream(Codec codec, const Bytes &data, Random &random, uint64_t piece_max,
                     uint64_t cap_max) {
  Outcome outcome;
  auto stream = open_decompress_stream(codec, &outcome.result);
  if (!stream) return outcome;
  return pump(*stream, data, random, piece_max, cap_max);
}

// ---- tools ------------------------------------------------------------------------------------

const std::string &scratch_dir() {
  static const std::string dir = [] {
    char name[] = "/tmp/axle-codecs-XXXXXX";
    if (mkdtemp(name) == nullptr) std::abort();
    return std::string(name);
  }();
  return dir;
}

bool has_tool(const char *tool) {
  const bool found = std::system(("command -v " + std::string(tool) + " > /dev/null").c_str()) == 0;
  if (!found) std::printf("  skipped: no %s here\n", tool);
  return found;
}

void write_file(const std::string &path, const Bytes &data) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char *>(data.data()),
             static_cast<std::streamsize>(data.size()));
}

Bytes read_file(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return Bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
}

// The output of a shell command that reads `input`; empty when it fails.
Bytes run_tool(const std::string &command, const Bytes &input, bool *passed = nullptr) {
  const std::string in = scratch_dir() + "/in", out = scratch_dir() + "/out";
  write_file(in, input);
  const int code =
      std::system(("(" + command + ") < " + in + " > " + out + " 2>/dev/null").c_str());
  if (passed != nullptr) *passed = code == 0;
  return code == 0 ? read_file(out) : Bytes();
}

// ---- tests ------------------------------------------------------------------------------------

std::vector<Bytes> samples() {
  std::vector<Bytes> all;
  for (size_t bytes : {0,       1,       2,       3,       63,      64,      65,      1000,
                       65535,   65536,   65537,   262143,  262144,  262145,  1048575, 1048576,
                       1048577, 2097151, 2097152, 2097153, 4194304, 4194305, 6291457, 9000001}) {
    all.push_back(text_of(bytes, bytes + 1));
  }
  for (size_t bytes : {1, 100, 65536, 3000000}) all.push_back(noise_of(bytes));
  all.push_back(Bytes(5000000, 0));
  return all;
}

void test_round_trips() {
  for (const Bytes &data : samples()) {
    for (Codec codec : kCodecs) {
      for (Executor *on :
           {static_cast<Executor *>(&executor()), static_cast<Executor *>(&single())}) {
        const Outcome packed = zip(codec, level_range(codec).preset, data, *on);
        CHECK(packed.result.ok(), "%s", packed.result.message.c_str());
        for (Codec as : {codec, Codec::kAuto}) {
          const Outcome back = unzip(as, packed.output, data.size(), nullptr, *on);
          CHECK(back.result.ok() && back.output == data, "codec %d, %zu bytes: %s",
                static_cast<int>(codec), data.size(), back.result.message.c_str());
        }
      }
    }
  }
}

void test_levels() {
  const Bytes data = text_of(1100000);
  for (Codec codec : kCodecs) {
    size_t first = 0, last = 0;
    for (int level = level_range(codec).min; level <= level_range(codec).max; level++) {
      const Outcome packed = zip(codec, level, data);
      CHECK(packed.result.ok(), "%s", packed.result.message.c_str());
      CHECK(unzip(codec, packed.output).output == data, "codec %d level %d",
            static_cast<int>(codec), level);
      if (first == 0) first = packed.output.size();
      last = packed.output.size();
    }
    CHECK(last < first);
    for (int level : {level_range(codec).min - 1, level_range(codec).max + 1}) {
      const Outcome refused = zip(codec, level, data);
      CHECK(refused.result.status == CodecStatus::kInvalidArgument);
      CHECK(refused.result.message.find("use 1 to") != std::string::npos);
      CodecResult result;
      CHECK(open_compress_stream(codec, level, executor(), &result) == nullptr && !result.ok());
    }
  }
  CHECK(zip(Codec::kAuto, 1, data).result.status == CodecStatus::kInvalidArgument);
  CHECK(zip(static_cast<Codec>(9), 1, data).result.status == CodecStatus::kInvalidArgument);
  CHECK(unzip(static_cast<Codec>(9), data).result.status == CodecStatus::kInvalidArgument);
}

void test_scatter() {
  Random random(7);
  for (size_t bytes : {1, 17, 5000, 300000, 5000000}) {
    const Bytes data = text_of(bytes);
    for (Codec codec : kCodecs) {
      for (int level : {1, 5}) {
        const Outcome packed = zip(codec, level, data, executor(), &random);
        CHECK(packed.result.ok());
        CHECK(unzip(Codec::kAuto, packed.output, UINT64_MAX, &random).output == data);
      }
    }
  }
}

void test_tools_read_ours() {
  for (Codec codec : kCodecs) {
    if (!has_tool(tool_of(codec))) continue;
    for (const Bytes &data : samples()) {
      const Bytes packed = zip(codec, level_range(codec).preset, data).output;
      bool passed;
      const Bytes back = run_tool(std::string(tool_of(codec)) + " -d -c", packed, &passed);
      CHECK(passed && back == data, "%s, %zu bytes", tool_of(codec), data.size());
    }
    Random random(3);
    const Bytes data = text_of(2300000);
    for (int level = 1; level <= level_range(codec).max; level += 5) {
      const std::string command = std::string(tool_of(codec)) + " -d -c";
      CHECK(run_tool(command, zip(codec, level, data).output) == data);
      CHECK(run_tool(command, zip_stream(codec, level, data, random, 3000000, 1 << 20).output) ==
            data);
    }
  }
}

void test_node_reads_ours() {
  if (!has_tool("node")) return;
  const Bytes data = text_of(5000000);
  const std::string script =
      "node -e \"process.stdout.write(require('zlib').gunzipSync(require('fs').readFileSync(0)))\"";
  for (int level : {1, 6}) CHECK(run_tool(script, zip(Codec::kGzip, level, data).output) == data);
}

void test_we_read_the_tools() {
  struct Case {
    const char *tool;
    const char *command;
  };
  const Case cases[] = {
      {"gzip", "gzip -c"},
      {"gzip", "gzip -1 -c"},
      {"gzip", "gzip -9 --rsyncable -c"},
      {"gzip", "cat > f.txt; gzip -N -c f.txt"},
      {"gzip", "head -c 100000 | gzip -c; true"},
      {"pigz", "pigz -p2 -c"},
      {"pigz", "pigz -p2 -i -R -C comment -c"},
      {"pigz", "pigz -11 -p2 -c"},
      {"zstd", "zstd -c"},
      {"zstd", "zstd -19 --no-check -c"},
      {"zstd", "zstd --long=27 -T2 -c"},
      {"zstd", "zstd --rsyncable -T2 -c"},
      {"zstd", "zstd --format=gzip -c"},
      {"zstd", "zstd --format=lz4 -c"},
      {"zstd", "cat > f; zstd -c f --single-thread"},
      {"lz4", "lz4 -c"},
      {"lz4", "lz4 -9 -BD -c"},
      {"lz4", "lz4 -B4 -BX -BD -c"},
      {"lz4", "lz4 -B5 --no-frame-crc -c"},
      {"lz4", "lz4 --content-size -c"},
  };
  Random random(5);
  for (const Case &one : cases) {
    if (!has_tool(one.tool)) continue;
    for (size_t bytes : {0, 1, 70000, 2300000}) {
      if (bytes > 100000 && std::strstr(one.command, "-11") != nullptr) continue;
      const Bytes data = text_of(bytes);
      bool passed;
      const Bytes packed = run_tool("cd " + scratch_dir() + "; " + one.command, data, &passed);
      CHECK(passed, "%s", one.command);
      Bytes wanted = data;
      if (std::strstr(one.command, "head") != nullptr)
        wanted.resize(std::min<size_t>(bytes, 100000));
      const Outcome whole = unzip(Codec::kAuto, packed);
      CHECK(whole.result.ok() && whole.output == wanted, "%s, %zu bytes: %s", one.command, bytes,
            whole.result.message.c_str());
      const Outcome pieces = unzip_stream(Codec::kAuto, packed, random, 100000, 300000);
      CHECK(pieces.result.ok() && pieces.output == wanted, "stream of %s, %zu bytes: %s",
            one.command, bytes, pieces.result.message.c_str());
    }
  }
}

Bytes joined(std::initializer_list<Bytes> parts) {
  Bytes all;
  for (const Bytes &part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

void test_members_and_skippable_frames() {
  Random random(11);
  const Bytes a = text_of(1500000, 1), b = text_of(700, 2), c = noise_of(900000);
  const Bytes skippable = {0x5A, 0x2A, 0x4D, 0x18, 5, 0, 0, 0, 1, 2, 3, 4, 5};
  const Bytes empty_skippable = {0x50, 0x2A, 0x4D, 0x18, 0, 0, 0, 0};
  for (Codec codec : kCodecs) {
    const Bytes x = zip(codec, 3, a).output, y = zip(codec, 1, b).output,
                z = zip(codec, 2, c).output, none = zip(codec, 1, {}).output;
    std::vector<Bytes> archives = {joined({x, y, z}), joined({none, x, none, y, z, none})};
    if (codec != Codec::kGzip) {
      archives.push_back(joined({skippable, x, empty_skippable, y, skippable, z, skippable}));
    } else {
      archives.push_back(joined({x, y, z, Bytes(777, 0)}));
    }
    for (const Bytes &archive : archives) {
      for (Codec as : {codec, Codec::kAuto}) {
        const Outcome whole = unzip(as, archive);
        CHECK(whole.result.ok() && whole.output == joined({a, b, c}), "%s",
              whole.result.message.c_str());
        CHECK(unzip(as, archive, UINT64_MAX, &random).output == joined({a, b, c}));
        CHECK(unzip_stream(as, archive, random, 5000, 9000).output == joined({a, b, c}));
      }
    }
  }
  CHECK(unzip(Codec::kAuto, skippable).result.ok());
  CHECK(!unzip(Codec::kGzip, skippable).result.ok());
  const Bytes cut(skippable.begin(), skippable.end() - 1);
  CHECK(unzip(Codec::kZstd, cut).result.message.find("truncated") != std::string::npos);
}

void test_streams() {
  Random random(13);
  for (size_t bytes : {0, 1, 65, 70000, 4500000}) {
    const Bytes data = text_of(bytes);
    for (Codec codec : kCodecs) {
      for (uint64_t piece : {uint64_t{64}, uint64_t{5000}, uint64_t{8} << 20}) {
        if (bytes / piece > 20000) continue;
        for (uint64_t cap : {uint64_t{7}, uint64_t{1000}, uint64_t{4} << 20}) {
          if (bytes / cap > 20000) continue;
          const Outcome packed = zip_stream(codec, 1, data, random, piece, cap);
          CHECK(packed.result.ok(), "%s", packed.result.message.c_str());
          CHECK(unzip(codec, packed.output).output == data, "codec %d, %zu bytes",
                static_cast<int>(codec), bytes);
          const Outcome back = unzip_stream(Codec::kAuto, packed.output, random, piece, cap);
          CHECK(back.result.ok() && back.output == data, "codec %d, %zu bytes: %s",
                static_cast<int>(codec), bytes, back.result.message.c_str());
        }
      }
    }
  }
}

void test_gzip_head_fields() {
  const Bytes body = zip(Codec::kGzip, 6, text_of(500)).output;
  Random random(17);
  for (int flags = 0; flags < 32; flags++) {
    if (flags & 2) continue;  // the head's CRC has its own test below
    Bytes archive(body.begin(), body.begin() + 10);
    archive[3] = static_cast<uint8_t>(flags);
    if (flags & 4) archive.insert(archive.end(), {3, 0, 'x', 'y', 'z'});
    if (flags & 8) archive.insert(archive.end(), {'n', 'a', 'm', 'e', 0});
    if (flags & 16) archive.insert(archive.end(), {'c', 0});
    archive.insert(archive.end(), body.begin() + 10, body.end());
    const Outcome whole = unzip(Codec::kAuto, archive);
    CHECK(whole.output == text_of(500), "flags %d: %s", flags, whole.result.message.c_str());
    const Outcome pieces = unzip_stream(Codec::kAuto, archive, random, 3, 50);
    CHECK(pieces.output == text_of(500), "flags %d: %s", flags, pieces.result.message.c_str());
  }
  // CRC-16 of the head 1f 8b 08 02 00 00 00 00 00 03, the low half of its CRC-32.
  Bytes archive = {0x1f, 0x8b, 8, 2, 0, 0, 0, 0, 0, 3};
  uint32_t crc = 0xFFFFFFFF;
  for (uint8_t byte : archive) {
    crc ^= byte;
    for (int i = 0; i < 8; i++) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
  }
  crc = ~crc;
  archive.push_back(static_cast<uint8_t>(crc));
  archive.push_back(static_cast<uint8_t>(crc >> 8));
  archive.insert(archive.end(), body.begin() + 10, body.end());
  CHECK(unzip(Codec::kAuto, archive).output == text_of(500));
  const Outcome pieces = unzip_stream(Codec::kAuto, archive, random, 3, 50);
  CHECK(pieces.output == text_of(500), "%s", pieces.result.message.c_str());
}

void test_unknown_and_empty() {
  const Outcome unknown = unzip(Codec::kAuto, {'P', 'K', 3, 4, 9, 9});
  CHECK(unknown.result.status == CodecStatus::kInvalidArgument);
  for (const char *part : {"50 4b 03 04", "28 b5 2f fd", "04 22 4d 18", "1f 8b 08"}) {
    CHECK(unknown.result.message.find(part) != std::string::npos, "%s",
          unknown.result.message.c_str());
  }
  Random random(19);
  for (Codec codec : {Codec::kAuto, Codec::kZstd, Codec::kLz4, Codec::kGzip}) {
    const Outcome empty = unzip(codec, {});
    CHECK(empty.result.status == CodecStatus::kInvalidArgument);
    CHECK(empty.result.message.find("empty") != std::string::npos);
    CHECK(unzip_stream(codec, {}, random, 10, 10).result.status == CodecStatus::kInvalidArgument);
    CHECK(unzip(codec, text_of(100)).result.status == CodecStatus::kInvalidArgument);
  }
  // The wrong codec is said to be wrong.
  CHECK(unzip(Codec::kZstd, zip(Codec::kGzip, 1, text_of(100)).output)
            .result.message.find("zstd begins") != std::string::npos);
  const Bytes legacy = {0x02, 0x21, 0x4C, 0x18, 0, 0, 0, 0};
  CHECK(unzip(Codec::kAuto, legacy).result.message.find("legacy") != std::string::npos);
}

void test_truncation() {
  Random random(23);
  for (Codec codec : kCodecs) {
    for (const Bytes &data : {text_of(0), text_of(1), text_of(2000), noise_of(300)}) {
      const Bytes packed = zip(codec, 3, data).output;
      for (size_t n = 1; n < packed.size(); n++) {
        const Bytes cut(packed.begin(), packed.begin() + static_cast<long>(n));
        for (const Outcome &outcome : {unzip(Codec::kAuto, cut), unzip(codec, cut),
                                       unzip_stream(codec, cut, random, 100, 100)}) {
          CHECK(outcome.result.status == CodecStatus::kInvalidArgument,
                "codec %d cut at %zu of %zu: %s", static_cast<int>(codec), n, packed.size(),
                outcome.result.message.c_str());
          const std::string wanted = "truncated after " + std::to_string(n) + " bytes";
          CHECK(outcome.result.message.find(wanted) != std::string::npos, "codec %d cut at %zu: %s",
                static_cast<int>(codec), n, outcome.result.message.c_str());
        }
      }
    }
  }
}

void test_bit_flips() {
  Random random(29);
  size_t losses = 0;
  for (Codec codec : kCodecs) {
    const Bytes data = text_of(900);
    const Bytes packed = zip(codec, 6, data).output;
    for (size_t bit = 0; bit < packed.size() * 8; bit++) {
      Bytes damaged = packed;
      damaged[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
      for (const Outcome &outcome :
           {unzip(codec, damaged, 1 << 20), unzip(Codec::kAuto, damaged, 1 << 20),
            unzip_stream(codec, damaged, random, 200, 200)}) {
        if (outcome.result.status == CodecStatus::kDataLoss) losses++;
        CHECK(!outcome.result.ok() || outcome.output == data, "codec %d bit %zu",
              static_cast<int>(codec), bit);
        CHECK(outcome.result.ok() == outcome.result.message.empty());
      }
    }
  }
  CHECK(losses > 1000, "%zu", losses);
}

void test_checksums_are_verified() {
  for (Codec codec : kCodecs) {
    Bytes packed = zip(codec, 3, text_of(5000)).output;
    packed[packed.size() - (codec == Codec::kGzip ? 8 : 1)] ^= 1;
    const Outcome outcome = unzip(codec, packed);
    CHECK(outcome.result.status == CodecStatus::kDataLoss, "codec %d: %s", static_cast<int>(codec),
          outcome.result.message.c_str());
  }
}

void test_trailing_bytes() {
  Random random(31);
  for (Codec codec : kCodecs) {
    const Bytes packed = zip(codec, 3, text_of(3000)).output;
    for (const Bytes &tail :
         {Bytes{1}, Bytes{'x', 'y', 'z', 'w', 'v'}, Bytes{0, 0, 7}, text_of(100)}) {
      const Bytes archive = joined({packed, tail});
      for (const Outcome &outcome :
           {unzip(Codec::kAuto, archive), unzip_stream(codec, archive, random, 999, 999)}) {
        CHECK(outcome.result.status == CodecStatus::kInvalidArgument);
        CHECK(outcome.result.message.find("followed by other bytes") != std::string::npos, "%s",
              outcome.result.message.c_str());
      }
    }
    const bool padding_passes = unzip(codec, joined({packed, Bytes(9, 0)})).result.ok();
    CHECK(padding_passes == (codec == Codec::kGzip));
    // Another codec's archive is no member of this one.
    const Codec other = codec == Codec::kGzip ? Codec::kLz4 : Codec::kGzip;
    CHECK(!unzip(Codec::kAuto, joined({packed, zip(other, 1, text_of(10)).output})).result.ok());
  }
}

void test_caps() {
  Random random(37);
  for (Codec codec : kCodecs) {
    for (size_t bytes : {1000, 100000, 3000000}) {
      const Bytes data = text_of(bytes);
      const Bytes packed = zip(codec, 3, data).output;
      CHECK(unzip(codec, packed, bytes).output == data);
      CHECK(unzip(codec, packed, bytes, &random).output == data);
      const Outcome over = unzip(codec, packed, bytes - 1);
      CHECK(over.result.status == CodecStatus::kResourceExhausted);
      CHECK(over.result.message.find(std::to_string(bytes - 1)) != std::string::npos, "%s",
            over.result.message.c_str());
      CHECK(unzip(codec, packed, 0).result.status == CodecStatus::kResourceExhausted);
      for (uint64_t cap : {uint64_t{0}, uint64_t{10}, uint64_t{packed.size() - 1}}) {
        CHECK(zip(codec, 3, data, executor(), nullptr, cap).result.status ==
                  CodecStatus::kResourceExhausted,
              "codec %d, %zu bytes, cap %zu", static_cast<int>(codec), bytes,
              static_cast<size_t>(cap));
      }
      const Outcome exact = zip(codec, 3, data, executor(), nullptr, packed.size());
      CHECK(exact.result.ok() && unzip(codec, exact.output).output == data,
            "codec %d, %zu bytes: %s", static_cast<int>(codec), bytes,
            exact.result.message.c_str());
    }
  }
}

void test_bombs() {
  const uint64_t cap = 1 << 20;
  const Bytes zeros(200 << 20, 0);
  for (Codec codec : kCodecs) {
    const Bytes bomb = zip(codec, 1, zeros).output;
    const Outcome outcome = unzip(Codec::kAuto, bomb, cap);
    CHECK(outcome.result.status == CodecStatus::kResourceExhausted);
    CHECK(outcome.peak <= cap);
  }
  // A tiny frame that declares 2 GiB gets memory for what its bytes can hold.
  const Bytes lz4_liar = {0x04, 0x22, 0x4D, 0x18, 0x6C, 0x40, 0, 0, 0, 0x80,
                          0,    0,    0,    0,    0,    0,    0, 0, 0};
  const Bytes zstd_liar = {0x28, 0xB5, 0x2F, 0xFD, 0x80, 0x40, 0, 0, 0, 0x80, 1, 0, 0};
  for (const Bytes &liar : {lz4_liar, zstd_liar}) {
    const Outcome outcome = unzip(Codec::kAuto, liar, UINT64_MAX);
    CHECK(!outcome.result.ok(), "%02x", liar[0]);
    CHECK(outcome.peak <= 128 << 10, "%zu", static_cast<size_t>(outcome.peak));
  }
  Bytes gzip_liar = zip(Codec::kGzip, 6, text_of(100)).output;
  gzip_liar[gzip_liar.size() - 1] = 0x7F;
  const Outcome outcome = unzip(Codec::kAuto, gzip_liar);
  CHECK(outcome.result.status == CodecStatus::kDataLoss);
  CHECK(outcome.peak <= 128 << 10);
}

void test_refused_frames() {
  // Window log 28: descriptor 0, window byte (28 - 10) << 3.
  const Bytes wide = {0x28, 0xB5, 0x2F, 0xFD, 0x00, (28 - 10) << 3, 1, 0, 0};
  const Bytes widest_allowed = {0x28, 0xB5, 0x2F, 0xFD, 0x00, (27 - 10) << 3, 1, 0, 0};
  const Bytes zstd_dictionary = {0x28, 0xB5, 0x2F, 0xFD, 0x01, 0x00, 42, 1, 0, 0};
  const Bytes lz4_dictionary = {0x04, 0x22, 0x4D, 0x18, 0x61, 0x40, 1, 0, 0, 0, 0x99};
  Random random(41);
  for (bool stream : {false, true}) {
    const auto open = [&](const Bytes &bytes) {
      return stream ? unzip_stream(Codec::kAuto, bytes, random, 4, 100)
                    : unzip(Codec::kAuto, bytes);
    };
    CHECK(open(widest_allowed).result.ok(), "%s", open(widest_allowed).result.message.c_str());
    CHECK(open(wide).result.message.find("256 MiB") != std::string::npos);
    CHECK(open(zstd_dictionary).result.message.find("dictionary 42") != std::string::npos);
    CHECK(open(lz4_dictionary).result.message.find("dictionary") != std::string::npos);
    for (const Bytes &bytes : {wide, zstd_dictionary, lz4_dictionary}) {
      CHECK(open(bytes).result.status == CodecStatus::kInvalidArgument);
    }
  }
}

void test_cancel() {
  const Bytes data = text_of(24 << 20);
  struct Case {
    Codec codec;
    int level;
  };
  for (const Case &one : {Case{Codec::kZstd, 3}, Case{Codec::kZstd, 19}, Case{Codec::kLz4, 9},
                          Case{Codec::kLz4, 12}, Case{Codec::kGzip, 6}, Case{Codec::kGzip, 9}}) {
    for (bool as_stream : {false, true}) {
      CodecResult opened;
      auto stream = open_compress_stream(one.codec, one.level, executor(), &opened);
      Segment segment{data.data(), data.size()};
      TestTask task;
      using Clock = std::chrono::steady_clock;
      Clock::time_point cancelled;
      std::thread canceller([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(15));
        cancelled = Clock::now();
        task.cancel();
      });
      const CodecResult result =
          as_stream ? stream->write({&segment, 1}, true, UINT64_MAX, task).result
                    : compress(one.codec, one.level, {&segment, 1}, UINT64_MAX, task, executor());
      stream.reset();
      const Clock::time_point returned = Clock::now();
      canceller.join();
      const double late = std::chrono::duration<double>(returned - cancelled).count();
      if (result.ok()) {
        std::printf("  codec %d level %d was done before it was cancelled\n",
                    static_cast<int>(one.codec), one.level);
        continue;
      }
      CHECK(result.status == CodecStatus::kCancelled, "%s", result.message.c_str());
      std::printf("  codec %d level %d %s: %.0f ms\n", static_cast<int>(one.codec), one.level,
                  as_stream ? "stream" : "whole", late * 1e3);
    }
  }
  for (Codec codec : kCodecs) {
    const Bytes packed = zip(codec, 1, data).output;
    Segment segment{packed.data(), packed.size()};
    TestTask task;
    task.cancel();
    CHECK(decompress(codec, {&segment, 1}, UINT64_MAX, task, executor()).status ==
          CodecStatus::kCancelled);
  }
  release_codec_memory();
}

void test_many_threads() {
  const Bytes data = text_of(3 << 20);
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; t++) {
    threads.emplace_back([&, t] {
      for (Codec codec : kCodecs) {
        const Outcome packed = zip(codec, 1 + t, data);
        if (unzip(Codec::kAuto, packed.output).output != data) wrong++;
      }
    });
  }
  for (std::thread &thread : threads) thread.join();
  CHECK(wrong == 0);
}

struct Test {
  const char *name;
  void (*run)();
};

const Test kTests[] = {
    {"round trips", test_round_trips},
    {"levels", test_levels},
    {"scatter", test_scatter},
    {"tools read ours", test_tools_read_ours},
    {"node reads ours", test_node_reads_ours},
    {"we read the tools", test_we_read_the_tools},
    {"members and skippable frames", test_members_and_skippable_frames},
    {"streams", test_streams},
    {"gzip head fields", test_gzip_head_fields},
    {"unknown and empty", test_unknown_and_empty},
    {"truncation", test_truncation},
    {"bit flips", test_bit_flips},
    {"checksums are verified", test_checksums_are_verified},
    {"trailing bytes", test_trailing_bytes},
    {"caps", test_caps},
    {"bombs", test_bombs},
    {"refused frames", test_refused_frames},
    {"cancel", test_cancel},
    {"many threads", test_many_threads},
};

}  // namespace

// codecs_test [TEXT...]: the tests whose name holds one of the texts; all by default.
int main(int argc, char **argv) {
  const auto is_wanted = [&](const std::string &name) {
    return argc < 2 || std::any_of(argv + 1, argv + argc, [&](const char *text) {
             return name.find(text) != std::string::npos;
           });
  };
  for (const Test &test : kTests) {
    if (!is_wanted(test.name)) continue;
    const int before = failures;
    const auto begin = std::chrono::steady_clock::now();
    test.run();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    std::printf("%s %s (%.1f s)\n", failures == before ? "ok    " : "FAILED", test.name,
                took.count());
    std::fflush(stdout);
  }
  release_codec_memory();
  (void)std::system(("rm -rf " + scratch_dir()).c_str());
  return failures == 0 ? 0 : 1;
}
