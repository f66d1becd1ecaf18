// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CUDA_OPTIONS_H
#define AXLE_CUDA_OPTIONS_H

#include <axle/plugin.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace axle::cuda {

constexpr size_t kThreadsMax = 64;
constexpr size_t kLanesMax = 64;
// Pieces that large inputs are cut into: room for the largest block of an LZ4 frame, at least.
constexpr size_t kSlabBytesMin = 4u << 20;
constexpr size_t kSlabBytesMax = 128u << 20;

// What the operator may set at open.
struct Options {
  std::string driver;  // driver=PATH: of libcuda; empty = the system's libcuda.so.1
  std::string nvml;    // nvml=PATH: of libnvidia-ml; empty = the system's libnvidia-ml.so.1
  size_t threads = 2;  // threads=N: tasks that one device works on at once
  size_t lanes = 4;    // lanes=N: streams with pinned memory that one device keeps
  size_t slab_bytes = 8u << 20;  // slab_bytes=N: what one lane takes of an input at a time
  uint64_t queue_memory_bytes =
      0;  // queue_memory_bytes=N: most device memory that one queue's tasks
          // hold at once; 0 = as much as there is
  uint64_t model_memory_bytes = 0;  // model_memory_bytes=N: most weights of models that stay on a
                                    // device at once; 0 = as much as there is
};

// Throws Failure (INVALID_ARGUMENT) for an option that is unknown or has a bad value.
Options parse_options(const axle_option *options, uint64_t option_count);

}  // namespace axle::cuda

#endif
