// SPDX-License-Identifier: Apache-2.0
//
// Elements of BYTES tensors: the first byte of an input is how many there should be. What is split is
// joined to the same bytes.
#include "../src/bytes_elements.h"

#include <cstdlib>
#include <cstring>

#include "common/failure.h"
#include "guarded_memory.h"
#include "target.h"

using namespace axle::cpu;
using namespace axle::cpu::fuzz;

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  if (bytes == 0) return 0;
  const uint64_t count = data[0] == 0xFF ? UINT64_MAX : data[0];
  const size_t body_bytes = bytes - 1;
  const GuardedMemory body(body_bytes);
  if (body_bytes > 0) std::memcpy(body.data(), data + 1, body_bytes);
  try {
    const auto elements = split_elements(body.data(), body_bytes, count);
    check(elements.size() == count);
    std::vector<uint8_t> joined(body_bytes);
    unsigned char *next = joined.data();
    for (const std::string_view element : elements) next = append_element(next, element);
    check(next == joined.data() + body_bytes);
    check(body_bytes == 0 || std::memcmp(joined.data(), body.data(), body_bytes) == 0);
  } catch (const axle::Failure &failure) {
    check(failure.status() == AXLE_STATUS_INVALID_ARGUMENT);
  }
  return 0;
}

std::vector<std::vector<uint8_t>> axle::cpu::fuzz::seeds() {
  return {
      {0},
      {1, 0, 0, 0, 0},
      {2, 3, 0, 0, 0, 'a', 'b', 'c', 1, 0, 0, 0, 'd'},
      {0xFF, 1, 0, 0, 0, 'a'},
  };
}
