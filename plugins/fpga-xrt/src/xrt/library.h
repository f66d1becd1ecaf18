// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_FPGA_XRT_LIBRARY_H
#define AXLE_FPGA_XRT_LIBRARY_H

#include <string>

#include "api.h"

namespace axle::fpga {

// libxrt_coreutil, opened. It stays loaded until the process ends: its threads do not bear to be unloaded.
class XrtLibrary {
 public:
  // `path` is empty for the system's. Throws Failure (UNAVAILABLE).
  explicit XrtLibrary(const std::string &path);

  const xrt::Functions *operator->() const { return &functions_; }
  bool emulated() const { return emulated_; }

 private:
  xrt::Functions functions_;
  bool emulated_ = false;
};

}  // namespace axle::fpga

#endif
