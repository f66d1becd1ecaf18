// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CUDA_EMULATED_KERNELS_H
#define AXLE_CUDA_EMULATED_KERNELS_H

#include <cstddef>
#include <string>
#include <vector>

#include "block_run.h"

namespace axle::cuda::emulated {

// A kernel, compiled for the host.
struct Kernel {
  const char *name;
  KernelCall call;
  std::vector<size_t> argument_bytes;
};

// NULL where there is none of that name.
const Kernel *find_kernel(const std::string &name);

}  // namespace axle::cuda::emulated

#endif
