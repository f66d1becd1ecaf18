// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_FPGA_EMULATED_SETTINGS_H
#define AXLE_FPGA_EMULATED_SETTINGS_H

#include <string>

namespace axle::fpga::emulated {

constexpr unsigned kUnits = 2;  // of the kernel on a card

// AXLE_EMULATED_XRT: what goes wrong on the cards, one of
//   (nothing)  nothing
//   none       there is no card
//   abort      opening a card ends the process, as XRT does without XILINX_XRT
//   load       a card does not take the image
//   uuid       a card holds another image than it was given
//   kernel     the image has no such kernel
//   memory     a card has no memory left
//   hang       runs never end
//   error      runs end with an error
//   idle       runs end without having run, as on XRT's noop device
//   hang-later the sixth run of the process, and those after it, never end
std::string fault();

}  // namespace axle::fpga::emulated

#endif
