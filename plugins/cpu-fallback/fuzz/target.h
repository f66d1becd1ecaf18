// SPDX-License-Identifier: Apache-2.0
//
// A parser of bytes that nobody has vouched for, as its file in this folder defines it. The same file
// makes two programs: one that libFuzzer drives, and one that mutates blindly, for any compiler.
#ifndef AXLE_CPU_FUZZ_TARGET_H
#define AXLE_CPU_FUZZ_TARGET_H

#include <cstddef>
#include <cstdint>
#include <vector>

// Aborts when something does not hold. libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

namespace axle::cpu::fuzz {

// Well-formed inputs to begin with.
std::vector<std::vector<uint8_t>> seeds();

}  // namespace axle::cpu::fuzz

#endif
