// SPDX-License-Identifier: Apache-2.0
#include "card_handles.h"

#include <algorithm>

#include "common/failure.h"

namespace axle::fpga {

namespace {

constexpr const char *kKernelName = "axle_lz4_compress";

}  // namespace

bool CardHandles::exists(const XrtLibrary &library, unsigned index) {
  const xrt::Device device = library->device_open(index);
  if (device == nullptr) return false;
  library->device_close(device);
  return true;
}

CardHandles::CardHandles(const XrtLibrary &opened, const XclbinFile &xclbin, unsigned index)
    : library(opened) {
  try {
    open(xclbin, index);
  } catch (...) {
    close();
    throw;
  }
}

CardHandles::~CardHandles() { close(); }

void CardHandles::open(const XclbinFile &xclbin, unsigned index) {
  const std::string card = "card " + std::to_string(index);
  device = library->device_open(index);
  if (device == nullptr) throw Failure(AXLE_STATUS_UNAVAILABLE, card + " does not open");
  if (library->device_load(device, xclbin.path.c_str()) != 0) {
    throw Failure(AXLE_STATUS_UNAVAILABLE,
                  one_line(card + " does not take " + xclbin.path +
                           "; is it linked for the card's shell? `xbutil examine` names it"));
  }
  // Another process may have put its own there.
  xrt::Uuid there = {};
  if (library->device_uuid(device, there) != 0 ||
      !std::equal(xclbin.uuid.begin(), xclbin.uuid.end(), there)) {
    throw Failure(AXLE_STATUS_UNAVAILABLE, card + " holds the image " + uuid_text(there) +
                                               ", not " + uuid_text(xclbin.uuid.data()) +
                                               "; end who uses it and open again");
  }
  kernel = library->kernel_open(device, there, kKernelName);
  if (kernel == nullptr) {
    throw Failure(AXLE_STATUS_UNAVAILABLE,
                  one_line(xclbin.path + " has no kernel " + kKernelName +
                           "; link the kernels of plugins/fpga-xrt/kernels into it"));
  }
}

void CardHandles::close() noexcept {
  if (kernel != nullptr) library->kernel_close(kernel);
  if (device != nullptr) library->device_close(device);
}

}  // namespace axle::fpga
