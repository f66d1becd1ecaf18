// SPDX-License-Identifier: Apache-2.0
//
// axle_fpga_probe LIBRARY XCLBIN: opens cards as the plugin does, and says how many can be. It may be ended by XRT.
#include <cstdio>

#include "card_handles.h"
#include "common/failure.h"
#include "probe.h"
#include "xclbin_file.h"
#include "xrt/library.h"

int main(int argc, char **argv) {
  if (argc != 3) {
    std::fprintf(stderr, "give the library and the xclbin\n");
    return 2;
  }
  try {
    const axle::fpga::XrtLibrary library(argv[1]);
    const axle::fpga::XclbinFile xclbin = axle::fpga::read_xclbin(argv[2]);
    unsigned cards = 0;
    while (cards < axle::fpga::kCardsMax && axle::fpga::CardHandles::exists(library, cards)) {
      const axle::fpga::CardHandles handles(library, xclbin, cards);
      cards++;
    }
    std::printf("axle-fpga-cards %u\n", cards);
    return 0;
  } catch (...) {
    std::fprintf(stderr, "%s\n", axle::current_reason().message.c_str());
    return 1;
  }
}
