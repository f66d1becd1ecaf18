// SPDX-License-Identifier: Apache-2.0
// A task that is being put together.
#ifndef AXLE_HOST_STAGING_H
#define AXLE_HOST_STAGING_H

#include "environment.h"

namespace axle::host {

// Retires the task unless it is kept.
class StagedTask {
 public:
  explicit StagedTask(Environment *environment);
  ~StagedTask();
  StagedTask(const StagedTask &) = delete;
  StagedTask &operator=(const StagedTask &) = delete;

  Task *get() const { return task_; }
  // All throw StatusError INVALID_ARGUMENT.
  // Op, model, arguments and limits, of the numbers that inputs.h describes.
  void use_numbers(const double *numbers);
  void use_limits(double output_bytes_max, double deadline_ms);
  void keep() { kept_ = true; }

 private:
  // 0 is none.
  void use_model(uint64_t id);
  void use_args(uint64_t id);

  Environment *environment_;
  Task *task_;
  bool kept_ = false;
};

}  // namespace axle::host

#endif  // AXLE_HOST_STAGING_H
