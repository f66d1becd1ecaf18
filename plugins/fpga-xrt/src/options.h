// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_FPGA_OPTIONS_H
#define AXLE_FPGA_OPTIONS_H

#include <axle/plugin.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace axle::fpga {

constexpr size_t kThreadsMax = 16;
constexpr size_t kDepthMax = 64;
constexpr uint64_t kRunTimeoutMsMax = 600000;

// What the operator may set at open.
struct Options {
  std::string library;              // library=PATH: of libxrt_coreutil; empty = the system's
  std::string xclbin;               // xclbin=PATH: the image with the kernels; needed
  size_t threads = 2;               // threads=N: tasks that one card works on at once
  size_t depth = 4;                 // depth=N: blocks of one task that the card has at once
  uint64_t run_timeout_ms = 10000;  // run_timeout_ms=N: after which a run is said to hang
};

// Throws Failure (INVALID_ARGUMENT) for an option that is unknown or has a bad value.
Options parse_options(const axle_option *options, uint64_t option_count);

}  // namespace axle::fpga

#endif
