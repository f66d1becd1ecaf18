// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CUDA_NETWORK_RUN_H
#define AXLE_CUDA_NETWORK_RUN_H

#include <memory>
#include <vector>

#include "gpu.h"
#include "model.h"

namespace axle::cuda {

// One run of a network on a lane of its own: memory is had and weights are there once it is made, inputs are
// copied or computed to where it says, then the network is launched, and outputs are read.
class NetworkRun {
 public:
  // `extra_bytes` of device memory more are at extra(). Throws Failure.
  NetworkRun(GpuContext &context, Quota &quota, const Model &model, const std::vector<Dims> &inputs,
             uint64_t extra_bytes = 0);

  Lane &lane() { return *lane_; }
  cu::Ptr input(size_t i) const { return launcher_->at(plan_->inputs[i]); }
  cu::Ptr output(size_t i) const { return launcher_->at(plan_->outputs[i]); }
  const Dims &output_dims(size_t i) const { return plan_->output_dims[i]; }
  uint64_t output_bytes(size_t i) const;
  size_t outputs() const { return plan_->outputs.size(); }
  cu::Ptr extra() const { return arena_.at(extra_at_); }

  void launch();

 private:
  // In this order they are had; they go in the other, the lane last, which waits for what is still under way.
  std::shared_ptr<const Plan> plan_;
  LanePool::Lease lane_;
  ResidentModels::Pin pin_;
  DeviceBlock arena_;
  uint64_t extra_at_ = 0;
  std::unique_ptr<Launcher> launcher_;
};

// Device memory; where there is none left, models that nobody runs give theirs. Throws Failure.
DeviceBlock take_memory(GpuContext &context, Quota &quota, uint64_t bytes, cu::Stream stream);

}  // namespace axle::cuda

#endif
