// SPDX-License-Identifier: Apache-2.0
#include "library.h"

#include <dlfcn.h>

#include "common/failure.h"

namespace axle::fpga {

namespace {

constexpr const char *kSystemLibrary = "libxrt_coreutil.so.2";

[[noreturn]] void unavailable(const std::string &why) {
  throw Failure(AXLE_STATUS_UNAVAILABLE, one_line(why));
}

// The one place where a symbol gets a type: the table's own.
template <class FunctionType>
void find(void *library, const char *name, FunctionType **slot) {
  *slot = reinterpret_cast<FunctionType *>(dlsym(library, name));
  if (*slot == nullptr) {
    unavailable(std::string("the XRT library has no ") + name + "; install XRT 2.13 or newer");
  }
}

}  // namespace

XrtLibrary::XrtLibrary(const std::string &path) {
  void *library = dlopen(path.empty() ? kSystemLibrary : path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char *why = dlerror();
    unavailable("no XRT: " + std::string(why == nullptr ? path : why));
  }
#define AXLE_FPGA_FIND(member, name, result, arguments) find(library, #name, &functions_.member);
  AXLE_FPGA_XRT_FUNCTIONS(AXLE_FPGA_FIND)
#undef AXLE_FPGA_FIND
  emulated_ = dlsym(library, xrt::kEmulatedMark) != nullptr;
}

}  // namespace axle::fpga
