// SPDX-License-Identifier: Apache-2.0
#include "driver/nvml.h"

#include "common/test/harness.h"

using axle::cuda::Nvml;
using axle::cuda::NvmlReading;

namespace {

constexpr const char *kSecond = "656d756c-6174-6564-2d67-70752d303031";

}  // namespace

TEST(a_device_is_read_by_its_uuid) {
  const Nvml nvml(AXLE_CUDA_EMULATED_NVML_PATH);
  CHECK(nvml.is_there());
  const NvmlReading reading = nvml.read(std::string("GPU-") + kSecond);
  CHECK_EQ(reading.utilization_percent, 47u);
  CHECK_EQ(reading.temperature_celsius, 55u);
  const NvmlReading slice = nvml.read(std::string("MIG-") + kSecond);
  CHECK_EQ(slice.utilization_percent, 0u);
  CHECK_EQ(slice.temperature_celsius, 55u);
  CHECK_EQ(nvml.read("GPU-of-another-machine").temperature_celsius, 0u);
}

TEST(without_the_management_library_there_are_no_readings) {
  const Nvml missing("/nowhere/libnvidia-ml.so.1");
  CHECK(!missing.is_there());
  CHECK_EQ(missing.read(std::string("GPU-") + kSecond).temperature_celsius, 0u);
  // A library, but not that one.
  CHECK(!Nvml("libm.so.6").is_there());
}
