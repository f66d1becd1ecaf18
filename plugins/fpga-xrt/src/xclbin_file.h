// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_FPGA_XCLBIN_FILE_H
#define AXLE_FPGA_XCLBIN_FILE_H

#include <array>
#include <cstdint>
#include <string>

namespace axle::fpga {

// Largest image that is looked at; those of the largest cards have 100 MiB.
constexpr uint64_t kXclbinBytesMax = uint64_t{1} << 30;

// An image for the card, as far as the host looks at it: the head of the axlf container (xclbin.h of XRT).
struct XclbinFile {
  std::string path;
  std::array<unsigned char, 16> uuid = {};
};

// Throws Failure: NOT_FOUND where there is no such file, INVALID_ARGUMENT where it is no image, or one that was cut off.
XclbinFile read_xclbin(const std::string &path);

std::string uuid_text(const unsigned char *uuid);

}  // namespace axle::fpga

#endif
