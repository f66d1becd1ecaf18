// SPDX-License-Identifier: Apache-2.0
#include "driver/driver.h"

#include <string>

#include "common/test/harness.h"
#include "emulation.h"

using axle::Failure;
using axle::cuda::Driver;
using axle::cuda::DriverFailure;
using axle::test::Emulation;
namespace cu = axle::cuda::cu;

namespace {

std::string why_not(const std::string &path) {
  try {
    const Driver driver(path);
    return "it opened";
  } catch (const Failure &failure) {
    return std::to_string(failure.status()) + ": " + failure.what();
  }
}

}  // namespace

TEST(no_driver_is_unavailable_with_the_reason) {
  CHECK_HAS(why_not("/nowhere/libcuda.so.1"), "14: no NVIDIA driver: /nowhere/libcuda.so.1");
  // A library, but no driver.
  CHECK_HAS(why_not("libm.so.6"), "14: the NVIDIA driver has no cuInit");
}

TEST(the_emulated_driver_is_known_as_such) {
  Emulation emulation("");
  CHECK(emulation.driver.emulated());
  CHECK_EQ(emulation.driver.device_count(), 1);
}

TEST(copies_outside_of_what_was_allocated_are_refused) {
  Emulation emulation("");
  const auto stream = emulation.stream();
  const auto &driver = emulation.driver;
  cu::Ptr device = 0;
  void *pinned = nullptr;
  char pageable[16] = {};
  driver.check(driver->memory_alloc(&device, 1000), "alloc");
  driver.check(driver->host_alloc(&pinned, 1000, 0), "pinned");
  CHECK_EQ(driver->copy_in(device, pinned, 1000, stream), cu::kSuccess);
  CHECK_EQ(driver->copy_in(device + 1, pinned, 1000, stream), cu::kInvalidValue);
  CHECK_EQ(driver->copy_in(device, pageable, 16, stream), cu::kInvalidValue);
  CHECK_EQ(driver->fill(device, 0, 1001, stream), cu::kInvalidValue);
  CHECK_EQ(driver->stream_synchronize(stream), cu::kSuccess);
  CHECK_EQ(driver->memory_free(device), cu::kSuccess);
  CHECK_EQ(driver->memory_free(device), cu::kInvalidValue);
  driver->host_free(pinned);
  driver->stream_destroy(stream);
}

TEST(a_failed_launch_ends_the_context) {
  Emulation emulation("lost=2");
  const auto stream = emulation.stream();
  const auto &driver = emulation.driver;
  cu::Ptr device = 0;
  driver.check(driver->memory_alloc(&device, 1000), "alloc");
  driver.check(driver->fill(device, 0, 1000, stream), "fill");
  driver.check(driver->fill(device, 0, 1000, stream), "fill");  // it fails later
  bool sticky = false;
  try {
    driver.check(driver->stream_synchronize(stream), "waiting");
  } catch (const DriverFailure &failure) {
    sticky = failure.sticky();
    CHECK_EQ(failure.status(), AXLE_STATUS_UNAVAILABLE);
    CHECK_HAS(failure.what(), "waiting failed: CUDA_ERROR_DEVICE_UNAVAILABLE");
  }
  CHECK(sticky);
  CHECK_EQ(driver->memory_alloc(&device, 1), cu::kDeviceUnavailable);
  driver->memory_free(device);
  driver->stream_destroy(stream);
}
