// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <charconv>
#include <cstring>

#include "common/failure.h"
#include "machine.h"

namespace axle::cpu {

namespace {

size_t parse_number(const axle_option &option, size_t least, size_t most) {
  size_t value = 0;
  const char *end = option.value + std::strlen(option.value);
  const auto [rest, error] = std::from_chars(option.value, end, value);
  if (error != std::errc() || rest != end || value < least || value > most) {
    throw Failure(AXLE_STATUS_INVALID_ARGUMENT, std::string("option ") + option.key + "=" +
                                                    option.value + ": give a whole number from " +
                                                    std::to_string(least) + " to " +
                                                    std::to_string(most));
  }
  return value;
}

size_t parse_threads(const axle_option &option) { return parse_number(option, 1, kThreadsMax); }

}  // namespace

Options parse_options(const axle_option *options, uint64_t option_count) {
  Options parsed;
  for (uint64_t i = 0; i < option_count; i++) {
    const std::string key = options[i].key;
    if (key == "threads") {
      parsed.threads = parse_threads(options[i]);
    } else if (key == "intra_op_threads") {
      parsed.intra_op_threads = static_cast<int>(parse_threads(options[i]));
    } else if (key == "nice") {
      parsed.nice = static_cast<int>(parse_number(options[i], 0, kNiceMax));
    } else if (key == "onnxruntime") {
      parsed.onnxruntime = options[i].value;
    } else {
      throw Failure(
          AXLE_STATUS_INVALID_ARGUMENT,
          "option " + key +
              " is not known; cpu-fallback has threads, nice, intra_op_threads and onnxruntime");
    }
  }
  if (parsed.threads == 0) parsed.threads = usable_cpus();
  return parsed;
}

}  // namespace axle::cpu
