// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CUDA_NETWORK_PLANNER_H
#define AXLE_CUDA_NETWORK_PLANNER_H

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "../gpu.h"
#include "network.h"

namespace axle::cuda {

// Where a value lies while a network runs.
struct Place {
  enum class Where { kNowhere, kWeights, kBuffer };
  Where where = Where::kNowhere;
  uint64_t at = 0;  // offset among the weights, or number of the buffer
};

// What the steps of a plan run with.
class Launcher {
 public:
  Launcher(Lane &on, const Kernels &with, cu::Ptr weights, cu::Ptr arena,
           const std::vector<uint64_t> &offsets)
      : lane(on), kernels(with), weights_(weights), arena_(arena), offsets_(offsets) {}

  // 0 for what is nowhere.
  cu::Ptr at(const Place &place) const {
    switch (place.where) {
      case Place::Where::kWeights:
        return weights_ + place.at;
      case Place::Where::kBuffer:
        return arena_ + offsets_[place.at];
      case Place::Where::kNowhere:
        break;
    }
    return 0;
  }

  Lane &lane;
  const Kernels &kernels;

 private:
  cu::Ptr weights_;
  cu::Ptr arena_;
  const std::vector<uint64_t> &offsets_;
};

using Step = std::function<void(Launcher &)>;

// What running a network takes for inputs of given shapes.
struct Plan {
  std::vector<Step> steps;
  std::vector<uint64_t> offsets;  // of buffers, in the arena
  uint64_t arena_bytes = 0;
  std::vector<Place> inputs;
  std::vector<Place> outputs;
  std::vector<Dims> output_dims;
};

// Throws Failure: INVALID_ARGUMENT where the shapes do not fit, UNIMPLEMENTED where no kernel does it.
Plan make_plan(const Network &network, const std::vector<Dims> &inputs);

// As many elements as `dims` say. Throws Failure (UNIMPLEMENTED) past kElementsMax.
uint32_t elements_of(const Dims &dims);

// What an operator plans its node with.
class Planner {
 public:
  Planner(const Network &network, const std::vector<Dims> &inputs);
  Plan finish();

  const NetworkNode &node() const { return *node_; }
  int64_t opset() const { return network_.opset; }

  bool has(size_t input) const;
  const Dims &dims(size_t input) const;
  // Of FP32, and used by this node.
  Place place(size_t input);
  // A constant of the model. Throws Failure (UNIMPLEMENTED) where it is computed.
  const std::vector<int64_t> &integers(size_t input) const;
  float scalar(size_t input) const;
  // The bias that fuse() found.
  Place bias();

  int64_t integer(const char *attribute, int64_t fallback) const;
  float number(const char *attribute, float fallback) const;
  std::string text(const char *attribute, const char *fallback) const;
  std::vector<int64_t> integers(const char *attribute) const;  // none where it is not there

  // What the node makes: new memory, or what an input has, by another shape.
  Place make_output(const Dims &dims);
  void keep_as_output(size_t input, const Dims &dims);

  void step(Step step) { plan_.steps.push_back(std::move(step)); }
  // A kernel with a thread for each of `count` elements, or a block for each of `blocks`. None for 0.
  template <class Run>
  void for_each_element(uint32_t count, Run run) {
    for_each_block((count + kernels::kNetworkThreads - 1) / kernels::kNetworkThreads, run);
  }
  template <class Run>
  void for_each_block(uint32_t blocks, Run run) {
    if (blocks == 0) return;
    step([blocks, run](Launcher &launcher) { run(launcher, blocks); });
  }

  [[noreturn]] void mismatch(const std::string &what) const;     // INVALID_ARGUMENT
  [[noreturn]] void unsupported(const std::string &what) const;  // UNIMPLEMENTED

 private:
  struct Buffer {
    uint64_t bytes = 0;
    size_t first = 0;  // step of the network, by its nodes, that writes it
    size_t last = 0;   // and that reads it last
  };

  size_t value_of(size_t input) const;
  Place new_buffer(const Dims &dims);
  void lay_out();

  const Network &network_;
  const NetworkNode *node_ = nullptr;
  size_t at_ = 0;
  std::vector<Dims> dims_;     // by value
  std::vector<Place> places_;  // by value
  std::vector<Buffer> buffers_;
  Plan plan_;
};

}  // namespace axle::cuda

#endif
