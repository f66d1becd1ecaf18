// SPDX-License-Identifier: Apache-2.0
//
// The plugin's kernels, compiled by this compiler from the source that nvcc compiles.
#include "kernels.h"

#include <utility>

#include "../src/kernels/kernel_names.h"
#include "../src/kernels/kernels.cu"

namespace axle::cuda::emulated {

namespace {

// Calls a kernel with arguments as cuLaunchKernel has them: a pointer to each.
template <class... Arguments, size_t... index>
void call_with(void (*kernel)(Arguments...), void **arguments, std::index_sequence<index...>) {
  kernel(*static_cast<Arguments *>(arguments[index])...);
}

template <auto kernel>
struct Caller;
template <class... Arguments, void (*kernel)(Arguments...)>
struct Caller<kernel> {
  static void call(void **arguments) {
    call_with(kernel, arguments, std::index_sequence_for<Arguments...>());
  }
  static std::vector<size_t> argument_bytes() { return {sizeof(Arguments)...}; }
};

const std::vector<Kernel> &kernels() {
#define AXLE_CUDA_ENTRY(name) {#name, &Caller<&name>::call, Caller<&name>::argument_bytes()},
  static const std::vector<Kernel> list = {AXLE_CUDA_KERNELS(AXLE_CUDA_ENTRY)};
#undef AXLE_CUDA_ENTRY
  return list;
}

}  // namespace

const Kernel *find_kernel(const std::string &name) {
  for (const Kernel &kernel : kernels()) {
    if (name == kernel.name) return &kernel;
  }
  return nullptr;
}

}  // namespace axle::cuda::emulated
