// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CUDA_DRIVER_NVML_H
#define AXLE_CUDA_DRIVER_NVML_H

#include <cstdint>
#include <string>

namespace axle::cuda {

// What NVIDIA's management library says of a device; 0 for what it does not.
struct NvmlReading {
  uint32_t utilization_percent = 0;
  uint32_t temperature_celsius = 0;
};

// libnvidia-ml, which comes with the driver. A machine without it has no readings, which is no error. Any thread.
class Nvml {
 public:
  // `path` is empty for the system's libnvidia-ml.so.1.
  explicit Nvml(const std::string &path);

  bool is_there() const { return ready_; }
  // Of the device with that UUID, as nvidia-smi writes it.
  NvmlReading read(const std::string &uuid) const;

 private:
  using Device = struct DeviceOf *;
  struct Utilization {
    unsigned gpu, memory;
  };

  bool ready_ = false;
  int (*init_)() = nullptr;
  int (*find_device_)(const char *uuid, Device *device) = nullptr;
  int (*utilization_)(Device device, Utilization *utilization) = nullptr;
  int (*temperature_)(Device device, int sensor, unsigned *celsius) = nullptr;
};

}  // namespace axle::cuda

#endif
