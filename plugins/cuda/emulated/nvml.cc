// SPDX-License-Identifier: Apache-2.0
//
// A management library for the emulated devices, for tests: the n-th is 10 n + 37 percent busy and n + 54 degrees warm.
// Slices have no utilisation, as those of hardware have none.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#define AXLE_NVML extern "C" __attribute__((visibility("default")))

namespace {

constexpr int kSuccess = 0;
constexpr int kNotSupported = 3;
constexpr int kNotFound = 6;
constexpr unsigned kDevices = 256;
constexpr unsigned kPercent = 37;
constexpr unsigned kCelsius = 54;

struct Device {
  unsigned number;
  bool slice;
};
Device devices[kDevices];
Device slices[kDevices];

struct Utilization {
  unsigned gpu, memory;
};

// As the plugin writes the UUIDs of emulated/driver.cc.
std::string uuid_of(unsigned number) {
  const std::string text = "emulated-gpu-" + std::to_string(1000 + number).substr(1);
  std::string uuid;
  for (size_t i = 0; i < text.size(); i++) {
    if (i == 4 || i == 6 || i == 8 || i == 10) uuid += '-';
    char digits[3];
    std::snprintf(digits, sizeof(digits), "%02x", static_cast<unsigned char>(text[i]));
    uuid += digits;
  }
  return uuid;
}

}  // namespace

AXLE_NVML int nvmlInit_v2() { return kSuccess; }

AXLE_NVML int nvmlDeviceGetHandleByUUID(const char *uuid, Device **device) {
  for (unsigned i = 0; i < kDevices; i++) {
    devices[i] = {i, false};
    slices[i] = {i, true};
    if (uuid == "GPU-" + uuid_of(i)) return *device = &devices[i], kSuccess;
    if (uuid == "MIG-" + uuid_of(i)) return *device = &slices[i], kSuccess;
  }
  return kNotFound;
}

AXLE_NVML int nvmlDeviceGetUtilizationRates(Device *device, Utilization *utilization) {
  if (device->slice) return kNotSupported;
  *utilization = {kPercent + 10 * device->number, 0};
  return kSuccess;
}

AXLE_NVML int nvmlDeviceGetTemperature(Device *device, int sensor, unsigned *celsius) {
  if (sensor != 0) return kNotSupported;
  *celsius = kCelsius + device->number;
  return kSuccess;
}
