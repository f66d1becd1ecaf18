// SPDX-License-Identifier: Apache-2.0
//
// Writes the seeds of a target into a folder that is there: seeds_TARGET FOLDER
#include <cstdio>
#include <fstream>
#include <string>

#include "target.h"

int main(int argc, char **argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
    return 2;
  }
  size_t number = 0;
  for (const auto &seed : axle::cpu::fuzz::seeds()) {
    const std::string path = std::string(argv[1]) + "/seed-" + std::to_string(number++);
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char *>(seed.data()), static_cast<long>(seed.size()));
    if (!file.flush()) {
      std::fprintf(stderr, "cannot write %s\n", path.c_str());
      return 1;
    }
  }
  return 0;
}
