// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CUDA_EMULATED_BLOCK_RUN_H
#define AXLE_CUDA_EMULATED_BLOCK_RUN_H

namespace axle::cuda::emulated {

// Calls one thread of a kernel with the arguments as cuLaunchKernel has them.
using KernelCall = void (*)(void **arguments);

// Runs all blocks of a launch, one after another, on the calling thread. A kernel whose threads wait for
// one another for ever ends the process and says so.
void run_grid(KernelCall call, void **arguments, unsigned grid_blocks, unsigned block_threads);

}  // namespace axle::cuda::emulated

#endif
