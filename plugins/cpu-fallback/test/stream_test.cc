// SPDX-License-Identifier: Apache-2.0
//
// How the codecs hang together with tasks and streams; the codecs have tests of their own.
#include <algorithm>

#include "common/test/harness.h"
#include "test_host.h"

using namespace axle::test;

namespace {

std::string make_bytes(size_t bytes) {
  std::string text;
  uint32_t seed = 7;
  while (text.size() < bytes) {
    seed = seed * 1664525u + 1013904223u;
    text += "line " + std::to_string(seed >> 20) + " of a text that repeats itself\n";
  }
  text.resize(bytes);
  return text;
}

std::string run_whole(Plugin &plugin, uint32_t op, int64_t codec, const std::string &input) {
  TestTask task(op);
  task.input(nullptr, AXLE_DTYPE_UINT8, {static_cast<int64_t>(input.size())}, input,
             {input.size() / 3, input.size() / 2})
      .arg("codec", codec);
  return plugin.run(task).output(0).bytes;
}

class StreamUser {
 public:
  StreamUser(Plugin &plugin, uint32_t op, int64_t codec, uint64_t output_bytes_max)
      : plugin_(plugin), op_(op), output_bytes_max_(output_bytes_max) {
    axle_arg arg = {};
    arg.name = "codec";
    arg.type = AXLE_ARG_INT;
    arg.value.i = codec;
    axle_stream_config config = {};
    config.struct_size = sizeof(config);
    config.op = op;
    config.op_version = 1;
    config.args = &arg;
    config.arg_count = 1;
    error_ = make_error();
    status_ = plugin.table()->stream_open(plugin.instance(), &config, &stream_, &error_);
  }
  ~StreamUser() {
    if (stream_ != nullptr) plugin_.table()->stream_close(plugin_.instance(), stream_);
  }

  int32_t status() const { return status_; }
  std::string message() const { return error_.message; }

  // Writes it all, as often as the stream asks, and returns what came out.
  std::string write(std::string input, bool end) {
    std::string output;
    for (;;) {
      TestTask task(op_);
      task.input(nullptr, AXLE_DTYPE_UINT8, {static_cast<int64_t>(input.size())}, input,
                 {input.size() / 2})
          .output_bytes_max(output_bytes_max_)
          .stream_flags(end ? AXLE_STREAM_END : 0);
      axle_error error = make_error();
      CHECK_EQ(plugin_.table()->stream_write(plugin_.instance(), stream_, task.raw(), &error),
               AXLE_STATUS_OK);
      task.wait();
      status_ = task.status();
      if (status_ != AXLE_STATUS_OK) return output;
      for (const Output &part : task.outputs()) output += part.bytes;
      input.erase(0, task.completion().consumed_bytes);
      if (input.empty() && task.completion().stream_more == 0) return output;
    }
  }

 private:
  Plugin &plugin_;
  uint32_t op_;
  uint64_t output_bytes_max_;
  axle_stream *stream_ = nullptr;
  axle_error error_ = {};
  int32_t status_ = AXLE_STATUS_OK;
};

}  // namespace

TEST(compress_and_decompress_are_inverse) {
  Plugin plugin;
  for (int64_t codec = AXLE_CODEC_ZSTD; codec <= AXLE_CODEC_GZIP; codec++) {
    for (const size_t bytes : {0u, 1u, 100000u, 5000000u}) {
      const std::string text = make_bytes(bytes);
      const std::string packed = run_whole(plugin, AXLE_OP_COMPRESS, codec, text);
      CHECK(run_whole(plugin, AXLE_OP_DECOMPRESS, codec, packed) == text);
      CHECK(run_whole(plugin, AXLE_OP_DECOMPRESS, 0, packed) == text);
      if (bytes > 1) CHECK(packed.size() < bytes / 2);
    }
  }
}

TEST(streams_are_inverse_and_stay_under_the_cap) {
  Plugin plugin;
  const std::string text = make_bytes(3000000);
  for (int64_t codec = AXLE_CODEC_ZSTD; codec <= AXLE_CODEC_GZIP; codec++) {
    StreamUser packer(plugin, AXLE_OP_COMPRESS, codec, 70000);
    StreamUser unpacker(plugin, AXLE_OP_DECOMPRESS, codec, 50000);
    std::string packed;
    std::string unpacked;
    for (size_t at = 0; at <= text.size(); at += 300000) {
      const bool end = at + 300000 > text.size();
      const std::string part = packer.write(text.substr(at, 300000), end);
      CHECK_EQ(packer.status(), AXLE_STATUS_OK);
      packed += part;
      unpacked += unpacker.write(part, end);
      CHECK_EQ(unpacker.status(), AXLE_STATUS_OK);
    }
    CHECK(unpacked == text);
    CHECK(run_whole(plugin, AXLE_OP_DECOMPRESS, codec, packed) == text);
  }
}

TEST(bad_input_has_its_own_code) {
  Plugin plugin;
  const std::string text = make_bytes(50000);
  const auto status = [&](const std::string &packed, uint64_t cap = 1u << 30) {
    TestTask task(AXLE_OP_DECOMPRESS);
    task.input(nullptr, AXLE_DTYPE_UINT8, {static_cast<int64_t>(packed.size())}, packed)
        .output_bytes_max(cap);
    return plugin.run(task).status();
  };
  for (int64_t codec = AXLE_CODEC_ZSTD; codec <= AXLE_CODEC_GZIP; codec++) {
    const std::string packed = run_whole(plugin, AXLE_OP_COMPRESS, codec, text);
    CHECK_EQ(status(packed.substr(0, packed.size() - 1)), AXLE_STATUS_INVALID_ARGUMENT);
    CHECK_EQ(status(packed + "garbage"), AXLE_STATUS_INVALID_ARGUMENT);
    CHECK_EQ(status(packed, 49999), AXLE_STATUS_RESOURCE_EXHAUSTED);
    CHECK_EQ(status(packed, 50000), AXLE_STATUS_OK);
  }
  CHECK_EQ(status("what is this"), AXLE_STATUS_INVALID_ARGUMENT);
}

TEST(arguments_of_compression_are_checked) {
  Plugin plugin;
  const auto message = [&](TestTask &task) {
    task.input(nullptr, AXLE_DTYPE_UINT8, {1}, "x");
    CHECK_EQ(plugin.run(task).status(), AXLE_STATUS_INVALID_ARGUMENT);
    return task.message();
  };
  TestTask none(AXLE_OP_COMPRESS);
  CHECK_HAS(message(none), "\"codec\" is missing");
  TestTask unknown(AXLE_OP_COMPRESS);
  CHECK_HAS(message(unknown.arg("codec", static_cast<int64_t>(9))), "\"codec\" is 9");
  TestTask level(AXLE_OP_COMPRESS);
  CHECK_HAS(message(level.arg("codec", static_cast<int64_t>(AXLE_CODEC_ZSTD))
                        .arg("level", static_cast<int64_t>(23))),
            "give 1 to 22");
  StreamUser stream(plugin, AXLE_OP_COMPRESS, 9, 1000);
  CHECK_EQ(stream.status(), AXLE_STATUS_INVALID_ARGUMENT);
  CHECK_HAS(stream.message(), "\"codec\" is 9");
  StreamUser no_stream(plugin, AXLE_OP_TOPK, 1, 1000);
  CHECK_EQ(no_stream.status(), AXLE_STATUS_UNIMPLEMENTED);
}

TEST(a_stream_that_gets_garbage_fails) {
  Plugin plugin;
  StreamUser stream(plugin, AXLE_OP_DECOMPRESS, AXLE_CODEC_GZIP, 1000);
  stream.write("this is not gzip at all", true);
  CHECK_EQ(stream.status(), AXLE_STATUS_INVALID_ARGUMENT);
}
