// SPDX-License-Identifier: Apache-2.0
#include "network_run.h"

#include <algorithm>

namespace axle::cuda {

DeviceBlock take_memory(GpuContext &context, Quota &quota, uint64_t bytes, cu::Stream stream) {
  for (;;) {
    try {
      return context.memory->take(std::max<uint64_t>(bytes, 1), quota, stream);
    } catch (const DriverFailure &failure) {
      if (failure.result() != cu::kOutOfMemory || !context.models->evict_one()) throw;
    }
  }
}

NetworkRun::NetworkRun(GpuContext &context, Quota &quota, const Model &model,
                       const std::vector<Dims> &inputs, uint64_t extra_bytes)
    : plan_(model.plan_for(inputs)), lane_(context.lanes->take()) {
  pin_ = context.models->pin(model, *lane_);
  extra_at_ = plan_->arena_bytes;
  arena_ = take_memory(context, quota, plan_->arena_bytes + extra_bytes, lane_->stream());
  launcher_ = std::make_unique<Launcher>(*lane_, context.kernels, pin_.weights(), arena_.at(),
                                         plan_->offsets);
}

uint64_t NetworkRun::output_bytes(size_t i) const {
  return uint64_t{elements_of(plan_->output_dims[i])} * sizeof(float);
}

void NetworkRun::launch() {
  for (const Step &step : plan_->steps) step(*launcher_);
}

}  // namespace axle::cuda
