// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <charconv>
#include <cstring>

#include "common/failure.h"

namespace axle::fpga {

namespace {

uint64_t parse_number(const axle_option &option, uint64_t least, uint64_t most) {
  uint64_t value = 0;
  const char *end = option.value + std::strlen(option.value);
  const auto [rest, error] = std::from_chars(option.value, end, value);
  if (error != std::errc() || rest != end || value < least || value > most) {
    throw Failure(AXLE_STATUS_INVALID_ARGUMENT,
                  one_line(std::string("option ") + option.key + "=" + option.value +
                           ": give a whole number from " + std::to_string(least) + " to " +
                           std::to_string(most)));
  }
  return value;
}

}  // namespace

Options parse_options(const axle_option *options, uint64_t option_count) {
  Options parsed;
  for (uint64_t i = 0; i < option_count; i++) {
    const std::string key = options[i].key;
    if (key == "library") {
      parsed.library = options[i].value;
    } else if (key == "xclbin") {
      parsed.xclbin = options[i].value;
    } else if (key == "threads") {
      parsed.threads = parse_number(options[i], 1, kThreadsMax);
    } else if (key == "depth") {
      parsed.depth = parse_number(options[i], 1, kDepthMax);
    } else if (key == "run_timeout_ms") {
      parsed.run_timeout_ms = parse_number(options[i], 1, kRunTimeoutMsMax);
    } else {
      throw Failure(AXLE_STATUS_INVALID_ARGUMENT,
                    one_line("option " + key +
                             " is not known; fpga-xrt has library, xclbin, threads, depth and "
                             "run_timeout_ms"));
    }
  }
  return parsed;
}

}  // namespace axle::fpga
