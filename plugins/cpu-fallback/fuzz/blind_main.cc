// SPDX-License-Identifier: Apache-2.0
//
// Mutates the seeds of a target without looking at what they reach, the same ones on every run:
//   blind_TARGET [runs] [seed]
#include <algorithm>
#include <cstdio>
#include <string>

#include "../test/codecs_fixture.h"
#include "target.h"

using namespace axle::cpu::test;

namespace {

void mutate(Bytes &bytes, const std::vector<Bytes> &all, Random &random) {
  for (uint64_t n = 1 + random.below(4); n > 0; n--) {
    if (bytes.empty()) bytes.push_back(0);
    // Heads and the first tables matter most.
    const size_t range = random.below(2) ? std::min<size_t>(bytes.size(), 64) : bytes.size();
    const size_t at = random.below(range);
    const auto here = bytes.begin() + static_cast<long>(at);
    switch (random.below(8)) {
      case 0:
        bytes[at] ^= static_cast<uint8_t>(1 << random.below(8));
        break;
      case 1:
        bytes[at] = static_cast<uint8_t>(random.next() >> 40);
        break;
      case 2:
        bytes[at] = random.below(2) ? 0xFF : 0;
        break;
      case 3:
        bytes.erase(here, here + static_cast<long>(1 + random.below(bytes.size() - at)));
        break;
      case 4:
        bytes.insert(here, 1 + random.below(20), static_cast<uint8_t>(random.next() >> 40));
        break;
      case 5: {
        const Bytes &other = all[random.below(all.size())];
        bytes.insert(bytes.end(), other.begin(), other.end());
        break;
      }
      case 6: {
        const Bytes &other = all[random.below(all.size())];
        for (size_t i = random.below(64); i < std::min(other.size(), bytes.size()); i++) {
          bytes[i] = other[i];
        }
        break;
      }
      default:
        bytes[at] = static_cast<uint8_t>(bytes[at] + 1);
        break;
    }
  }
}

}  // namespace

int main(int argc, char **argv) {
  const long runs = argc > 1 ? std::stol(argv[1]) : 20000;
  Random random(argc > 2 ? std::stoull(argv[2]) : 1);
  const std::vector<Bytes> all = axle::cpu::fuzz::seeds();
  for (const Bytes &seed : all) LLVMFuzzerTestOneInput(seed.data(), seed.size());
  for (long i = 0; i < runs; i++) {
    Bytes bytes = all[random.below(all.size())];
    mutate(bytes, all, random);
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
  std::printf("%ld mutated inputs, none did harm\n", runs);
  return 0;
}
