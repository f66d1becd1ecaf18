// SPDX-License-Identifier: Apache-2.0
#include "settings.h"

#include <cstdlib>

namespace axle::fpga::emulated {

std::string fault() {
  const char *value = std::getenv("AXLE_EMULATED_XRT");
  return value == nullptr ? "" : value;
}

}  // namespace axle::fpga::emulated
