// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CUDA_TEST_EMULATION_H
#define AXLE_CUDA_TEST_EMULATION_H

#include <dlfcn.h>

#include <stdexcept>

#include "driver/driver.h"

namespace axle::test {

// The emulated driver, set as told, with the context of its first device current.
class Emulation {
 public:
  explicit Emulation(const char *settings)
      : driver((configure(settings), AXLE_CUDA_EMULATED_PATH)) {
    driver.check(driver->primary_retain(&context_, 0), "retain");
    driver.check(driver->context_set(context_), "set");
  }
  ~Emulation() {
    driver->context_set(nullptr);
    driver->primary_release(0);
  }

  cuda::cu::Stream stream() {
    cuda::cu::Stream made = nullptr;
    driver.check(driver->stream_create(&made, cuda::cu::kStreamNonBlocking), "stream");
    return made;
  }

  static size_t allocations() { return symbol<size_t (*)()>("axle_emulated_cuda_allocations")(); }
  static bool holds(cuda::cu::Ptr from, size_t bytes, unsigned char value) {
    using Holds = int (*)(cuda::cu::Ptr, size_t, unsigned char, size_t);
    return symbol<Holds>("axle_emulated_cuda_holds")(from, bytes, value, 1) != 0;
  }

 private:
  template <class Function>
  static Function symbol(const char *name) {
    void *library = dlopen(AXLE_CUDA_EMULATED_PATH, RTLD_NOW | RTLD_LOCAL);
    void *found = library == nullptr ? nullptr : dlsym(library, name);
    if (found == nullptr) throw std::runtime_error(name);
    return reinterpret_cast<Function>(found);
  }
  static void configure(const char *settings) {
    symbol<int (*)(const char *)>("axle_emulated_cuda_configure")(settings);
  }

 public:
  cuda::Driver driver;

 private:
  cuda::cu::Context context_ = nullptr;
};

}  // namespace axle::test

#endif
