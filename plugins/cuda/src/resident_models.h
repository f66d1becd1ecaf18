// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CUDA_RESIDENT_MODELS_H
#define AXLE_CUDA_RESIDENT_MODELS_H

#include <condition_variable>
#include <list>
#include <map>
#include <mutex>

#include "device_memory.h"
#include "lane.h"

namespace axle::cuda {

class Model;

// Which models have their weights on a device. One that is loaded may have lost its place to others; it gets
// it back when it is used, from its copy on the host. A model that some task runs stays.
class ResidentModels {
 public:
  // `bytes_max` of weights at once; 0 = as much as the device has.
  ResidentModels(DeviceMemory &memory, uint64_t bytes_max)
      : memory_(memory), quota_(0), bytes_max_(bytes_max) {}

  // Keeps a model's weights where they are.
  class Pin {
   public:
    Pin() = default;
    Pin(Pin &&other) noexcept { *this = std::move(other); }
    Pin &operator=(Pin &&other) noexcept {
      std::swap(models_, other.models_);
      std::swap(model_, other.model_);
      std::swap(weights_, other.weights_);
      return *this;
    }
    ~Pin() {
      if (models_ != nullptr) models_->unpin(*model_);
    }
    cu::Ptr weights() const { return weights_; }

   private:
    friend class ResidentModels;
    ResidentModels *models_ = nullptr;
    const Model *model_ = nullptr;
    cu::Ptr weights_ = 0;
  };

  // Copies the weights to the device where they are not there, by `lane`, whose work is waited for. Others that
  // want the same model meanwhile wait; those that want another do not. Throws Failure (RESOURCE_EXHAUSTED) when
  // there is no room even without all models that no task runs.
  Pin pin(const Model &model, Lane &lane);
  // The model is not used any more.
  void forget(const Model &model) noexcept;
  // Takes the place of the model that was not used for longest. False when tasks run all that there are.
  bool evict_one() noexcept;

  uint64_t resident_bytes() const;
  size_t resident_count() const;
  uint64_t evictions() const;

 private:
  struct Resident {
    DeviceBlock block;
    uint64_t bytes = 0;
    size_t pins = 0;
    bool loading = true;
    uint64_t used = 0;  // on the clock of uses
  };

  void unpin(const Model &model) noexcept;
  void make_room(uint64_t bytes);
  void copy(const Model &model, Lane &lane, cu::Ptr to);

  DeviceMemory &memory_;
  Quota quota_;
  const uint64_t bytes_max_;
  mutable std::mutex mutex_;
  std::condition_variable loaded_;
  std::map<const Model *, Resident> resident_;
  uint64_t bytes_ = 0;
  uint64_t uses_ = 0;
  uint64_t evictions_ = 0;
};

}  // namespace axle::cuda

#endif
