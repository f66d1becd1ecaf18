// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CPU_OPTIONS_H
#define AXLE_CPU_OPTIONS_H

#include <axle/plugin.h>

#include <cstddef>
#include <string>

namespace axle::cpu {

// The largest nice value that Linux knows.
constexpr size_t kNiceMax = 19;

// Most threads that an option may ask for.
constexpr size_t kThreadsMax = 1024;

// What the operator may set at open.
struct Options {
  size_t threads = 0;  // threads=N: worker threads; default usable_cpus()
  int nice = 5;        // nice=N: how far the worker threads stand back for the event loop, 0..19
  int intra_op_threads = 1;  // intra_op_threads=N: of ONNX Runtime, for each model
  std::string onnxruntime;   // onnxruntime=PATH: of libonnxruntime.so.1; empty = by its soname
};

// Throws Failure (INVALID_ARGUMENT) for an option that is unknown or has a bad value.
Options parse_options(const axle_option *options, uint64_t option_count);

}  // namespace axle::cpu

#endif
