// SPDX-License-Identifier: Apache-2.0
#include "nvml.h"

#include <dlfcn.h>

namespace axle::cuda {

namespace {

constexpr const char *kSystemLibrary = "libnvidia-ml.so.1";
constexpr int kSuccess = 0;
constexpr int kSensorOfGpu = 0;

template <class FunctionType>
bool find(void *library, const char *name, FunctionType **slot) {
  *slot = reinterpret_cast<FunctionType *>(dlsym(library, name));
  return *slot != nullptr;
}

}  // namespace

Nvml::Nvml(const std::string &path) {
  // It stays loaded, as the driver does.
  void *library = dlopen(path.empty() ? kSystemLibrary : path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return;
  ready_ = find(library, "nvmlInit_v2", &init_) &&
           find(library, "nvmlDeviceGetHandleByUUID", &find_device_) &&
           find(library, "nvmlDeviceGetUtilizationRates", &utilization_) &&
           find(library, "nvmlDeviceGetTemperature", &temperature_) && init_() == kSuccess;
}

NvmlReading Nvml::read(const std::string &uuid) const {
  NvmlReading reading;
  Device device = nullptr;
  if (!ready_ || find_device_(uuid.c_str(), &device) != kSuccess) return reading;
  Utilization utilization = {0, 0};  // none of a slice
  if (utilization_(device, &utilization) == kSuccess) reading.utilization_percent = utilization.gpu;
  unsigned celsius = 0;
  if (temperature_(device, kSensorOfGpu, &celsius) == kSuccess) {
    reading.temperature_celsius = celsius;
  }
  return reading;
}

}  // namespace axle::cuda
