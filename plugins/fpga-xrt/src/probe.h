// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_FPGA_PROBE_H
#define AXLE_FPGA_PROBE_H

#include <cstdint>
#include <string>

namespace axle::fpga {

constexpr unsigned kCardsMax = 16;
// A card whose image has to be changed takes seconds.
constexpr int kProbeTimeoutMs = 60000;

// How many cards can be opened and take the image, found out by the program axle_fpga_probe in a process of its own: XRT
// ends the process where its environment is not as it wants it. Throws Failure (UNAVAILABLE) with the reason when there is
// none.
uint32_t probe_cards(const std::string &library, const std::string &xclbin);

}  // namespace axle::fpga

#endif
