// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_FPGA_TEST_KERNEL_BENCH_H
#define AXLE_FPGA_TEST_KERNEL_BENCH_H

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "simulated_kernel.h"

namespace axle::fpga {

using Bytes = std::vector<uint8_t>;

constexpr size_t kBlockBytesMax = 65536;
constexpr uint32_t kStatusDone = 1;
constexpr uint32_t kStatusDoesNotFit = 2;
constexpr uint32_t kStatusRefused = 3;
constexpr uint32_t kStatusBusError = 4;

// The most bytes that a block of LZ4 takes.
constexpr size_t bound(size_t bytes) { return bytes + bytes / 255 + 16; }

// The kernel and a memory with an input, an output and a record, with gaps between them that fail.
class KernelBench {
 public:
  struct Record {
    uint32_t status, bytes, cycles, version;
  };

  KernelBench();

  SimulatedKernel &kernel() { return kernel_; }
  // Each channel holds back in so many of 256 cycles.
  void set_pressure(unsigned of_256, uint32_t seed);

  // Where the block begins behind the start of a KiB: bursts are cut there.
  void place(uint64_t input_offset, uint64_t output_offset);
  void begin(const Bytes &input, uint64_t input_bytes, uint64_t output_bytes_max);
  // Of the run to its end; throws where it does not end, or broke a rule of AXI, or wrote elsewhere.
  Record end();
  // Both, with as much room as it may take; throws unless what liblz4 makes of it is the input.
  Record compress(const Bytes &input);

  const Bytes &output() const { return output_; }

 private:
  uint8_t *at(uint64_t address, size_t bytes);

  uint64_t input_at_ = 0;
  uint64_t output_at_ = 0;
  Bytes input_, output_;
  Bytes record_;
  std::mt19937 random_;
  SimulatedKernel kernel_;
};

// What tests compress.
Bytes random_bytes(size_t bytes, uint32_t seed);
Bytes few_values(size_t bytes, uint32_t seed);  // matches of all lengths and distances
const Bytes &text();                            // the documents of this repository

}  // namespace axle::fpga

#endif
