// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CUDA_MODEL_H
#define AXLE_CUDA_MODEL_H

#include <axle/plugin.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "network/network.h"
#include "network/planner.h"

namespace axle::cuda {

// Plans that a model keeps, one for each shape of its inputs that came.
constexpr size_t kPlansMax = 64;

// A loaded model: its network, and its weights as they are copied to the device. Any thread.
class Model {
 public:
  // Throws Failure: INVALID_ARGUMENT for a model that is wrong, UNIMPLEMENTED for one that needs what is not
  // here. The source is not needed afterwards.
  static std::unique_ptr<Model> load(const axle_model_source &source);
  // The same refusals, without reading any weights.
  static void check(const axle_model_source &source);

  const std::string &name() const { return name_; }
  const Network &network() const { return network_; }
  const std::vector<uint8_t> &weights() const { return weights_; }

  // Throws Failure where the shapes do not fit the network.
  std::shared_ptr<const Plan> plan_for(const std::vector<Dims> &inputs) const;

  void fill(axle_model_info *info) const;

 private:
  Model(const axle_model_source &source, ReadNetwork &&read);

  const std::string name_;
  const Network network_;
  const std::vector<uint8_t> weights_;
  std::vector<axle_tensor_spec> input_specs_;
  std::vector<axle_tensor_spec> output_specs_;
  mutable std::mutex mutex_;
  mutable std::map<std::vector<Dims>, std::shared_ptr<const Plan>> plans_;
};

// The task's tensors in the order of the model's inputs: by name, or by position where a tensor has no name.
// Throws Failure (INVALID_ARGUMENT) where they are not those that the model takes.
std::vector<const axle_tensor *> match_inputs(const Model &model, const axle_task &task);

// Checks one shape against one input of the model, likewise.
void check_input(const Model &model, const NetworkPort &port, uint32_t dtype, const int64_t *dims,
                 size_t rank);

}  // namespace axle::cuda

#endif
