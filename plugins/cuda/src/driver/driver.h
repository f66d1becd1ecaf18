// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CUDA_DRIVER_DRIVER_H
#define AXLE_CUDA_DRIVER_DRIVER_H

#include <memory>
#include <string>

#include "api.h"
#include "common/failure.h"

namespace axle::cuda {

// A call of the driver that failed, as a Failure of the op. `sticky` ones end the context: every later
// call on the device fails too, until the process opens it anew.
class DriverFailure : public Failure {
 public:
  DriverFailure(int32_t status, const std::string &message, cu::Result result)
      : Failure(status, message), result_(result) {}

  cu::Result result() const { return result_; }
  bool sticky() const;

 private:
  cu::Result result_;
};

// libcuda, opened and initialised. It stays loaded until the process ends: the driver does not bear
// to be unloaded.
class Driver {
 public:
  // `path` is empty for the system's libcuda.so.1. Throws Failure (UNAVAILABLE) with the reason when
  // there is no driver, it is too old, or it has no device.
  explicit Driver(const std::string &path);

  const cu::Functions &functions() const { return functions_; }
  const cu::Functions *operator->() const { return &functions_; }
  bool emulated() const { return emulated_; }
  int version() const { return version_; }  // 13000 for CUDA 13.0
  int device_count() const { return device_count_; }

  // Throws DriverFailure when `result` is not success; `what` says what was tried, as in "copy to the
  // device".
  void check(cu::Result result, const char *what) const {
    if (result != cu::kSuccess) fail(result, what);
  }
  // "CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected"
  std::string text(cu::Result result) const;

 private:
  [[noreturn]] void fail(cu::Result result, const char *what) const;

  cu::Functions functions_;
  bool emulated_ = false;
  int version_ = 0;
  int device_count_ = 0;
};

}  // namespace axle::cuda

#endif
