// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CUDA_EMULATED_SETTINGS_H
#define AXLE_CUDA_EMULATED_SETTINGS_H

#include <cstdint>
#include <string>

namespace axle::cuda::emulated {

// What the emulated driver is told to be: "devices=2,memory=1048576,launch-fails=3", from the variable
// AXLE_EMULATED_CUDA at cuInit, or by axle_emulated_cuda_configure().
struct Settings {
  uint64_t devices = 1;
  uint64_t mig = 0;              // 1: devices call themselves slices
  uint64_t memory = 256u << 20;  // bytes of each device
  uint64_t version = 13000;      // of the driver
  uint64_t context_ms = 0;       // what the first context of a device takes
  uint64_t copy_us_per_mib = 0;  // what a copy takes at least
  uint64_t copy_us = 0;          // what a copy of any size takes besides
  uint64_t poison = 0;      // what memory is filled with that is to be wiped: 255 makes NaN of it
  uint64_t init_fails = 0;  // the error that cuInit gives
  uint64_t context_fails = 0;  // 1: no memory for a context
  uint64_t alloc_fails = 0;    // the n-th allocation from now finds no memory; 0 = none does
  uint64_t launch_fails = 0;   // the n-th launch from now ends its context
  uint64_t lost = 0;           // the n-th operation of a stream from now finds the device gone
};

// Throws std::invalid_argument for what is not known.
Settings parse_settings(const std::string &text);

}  // namespace axle::cuda::emulated

#endif
