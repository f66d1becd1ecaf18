// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_FPGA_CARD_HANDLES_H
#define AXLE_FPGA_CARD_HANDLES_H

#include "xclbin_file.h"
#include "xrt/library.h"

namespace axle::fpga {

// A card that was opened and has the image, and its kernel.
class CardHandles {
 public:
  static bool exists(const XrtLibrary &library, unsigned index);

  // Throws Failure (UNAVAILABLE).
  CardHandles(const XrtLibrary &library, const XclbinFile &xclbin, unsigned index);
  ~CardHandles();
  CardHandles(const CardHandles &) = delete;
  CardHandles &operator=(const CardHandles &) = delete;

  const XrtLibrary &library;
  xrt::Device device = nullptr;
  xrt::Kernel kernel = nullptr;

 private:
  void close() noexcept;
  void open(const XclbinFile &xclbin, unsigned index);
};

}  // namespace axle::fpga

#endif
