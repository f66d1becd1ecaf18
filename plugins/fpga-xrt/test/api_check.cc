// SPDX-License-Identifier: Apache-2.0
//
// Asks XRT's own headers whether src/xrt/api.h tells the truth. It is compiled and never run.
#include <ert.h>
#include <xclbin.h>
#include <xrt/xrt_bo.h>
#include <xrt/xrt_device.h>
#include <xrt/xrt_kernel.h>

#include <cstddef>
#include <type_traits>

#include "xrt/api.h"

namespace {

// Enumerations of XRT pass as int; everything else is the same type.
template <class Result, class... Arguments>
using PlainFunction = std::conditional_t<std::is_enum_v<Result>, int, Result> (*)(
    std::conditional_t<std::is_enum_v<Arguments>, int, Arguments>...);

template <class Result, class... Arguments>
PlainFunction<Result, Arguments...> plain(Result (*)(Arguments...));
template <class Result, class... Arguments>
Result (*plain(Result (*)(Arguments..., ...)))(Arguments..., ...);

#define AXLE_FPGA_CHECK(member, name, result, arguments)                                    \
  static_assert(                                                                            \
      std::is_same_v<decltype(plain(&name)), decltype(axle::fpga::xrt::Functions::member)>, \
      #name " has other arguments");
AXLE_FPGA_XRT_FUNCTIONS(AXLE_FPGA_CHECK)
#undef AXLE_FPGA_CHECK

static_assert(axle::fpga::xrt::kToDevice == XCL_BO_SYNC_BO_TO_DEVICE);
static_assert(axle::fpga::xrt::kFromDevice == XCL_BO_SYNC_BO_FROM_DEVICE);
static_assert(axle::fpga::xrt::kStateCompleted == ERT_CMD_STATE_COMPLETED);
static_assert(axle::fpga::xrt::kStateError == ERT_CMD_STATE_ERROR);
static_assert(axle::fpga::xrt::kStateAbort == ERT_CMD_STATE_ABORT);
static_assert(axle::fpga::xrt::kStateNoResponse == ERT_CMD_STATE_NORESPONSE);
static_assert(axle::fpga::xrt::kStateSoftKernelError == ERT_CMD_STATE_SKERROR);
static_assert(axle::fpga::xrt::kStateSoftKernelCrashed == ERT_CMD_STATE_SKCRASHED);

// What src/xclbin_file.cc reads.
static_assert(offsetof(axlf, m_header.m_length) == 304);
static_assert(offsetof(axlf, m_header.uuid) == 416);
static_assert(offsetof(axlf, m_header.m_numSections) == 448);
static_assert(offsetof(axlf, m_sections) == 456);
static_assert(offsetof(axlf_section_header, m_sectionOffset) == 24);
static_assert(offsetof(axlf_section_header, m_sectionSize) == 32);

}  // namespace
