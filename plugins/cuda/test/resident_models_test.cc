// SPDX-License-Identifier: Apache-2.0
#include "resident_models.h"

#include <cstring>
#include <memory>
#include <string>

#include "common/test/harness.h"
#include "emulation.h"
#include "model.h"
#include "onnx_bytes.h"

using axle::Failure;
using axle::cuda::DeviceMemory;
using axle::cuda::Lane;
using axle::cuda::Model;
using axle::cuda::ResidentModels;
using axle::test::Emulation;
using axle::test::OneFile;
using axle::test::small_model;

namespace {

constexpr int64_t kRows = 4000;  // 32 kB of weights

std::unique_ptr<Model> make_model(float first) {
  const std::string text = small_model(kRows, first);
  const OneFile file(text);
  return Model::load(file.source);
}

// The first weight of a model, as it is on the device.
float first_weight(Emulation &emulation, Lane &lane, axle::cuda::cu::Ptr weights) {
  lane.out.reserve(sizeof(float));
  lane.copy_out(lane.out.data(), weights, sizeof(float));
  lane.mark();
  lane.await();
  float value = 0;
  std::memcpy(&value, lane.out.data(), sizeof(value));
  static_cast<void>(emulation);
  return value;
}

}  // namespace

TEST(the_model_that_was_not_used_for_longest_loses_its_place) {
  Emulation emulation("");
  {
    DeviceMemory memory(emulation.driver);
    Lane lane(emulation.driver);
    const auto a = make_model(1);
    const auto b = make_model(2);
    const auto c = make_model(3);
    ResidentModels models(memory, 2 * a->weights().size());
    models.pin(*a, lane);
    models.pin(*b, lane);
    models.pin(*a, lane);
    CHECK_EQ(models.evictions(), 0u);
    models.pin(*c, lane);  // in the place of b
    CHECK_EQ(models.resident_count(), 2u);
    CHECK_EQ(models.evictions(), 1u);
    models.pin(*a, lane);
    CHECK_EQ(models.evictions(), 1u);
    // It comes back with its own weights.
    const auto pin = models.pin(*b, lane);
    CHECK_EQ(models.evictions(), 2u);
    CHECK_EQ(first_weight(emulation, lane, pin.weights()), 2.0f);
  }
  CHECK_EQ(Emulation::allocations(), 0u);
}

TEST(a_model_that_is_run_stays) {
  Emulation emulation("");
  DeviceMemory memory(emulation.driver);
  Lane lane(emulation.driver);
  const auto a = make_model(1);
  const auto b = make_model(2);
  ResidentModels models(memory, a->weights().size());
  {
    const auto pin = models.pin(*a, lane);
    int32_t status = AXLE_STATUS_OK;
    try {
      models.pin(*b, lane);
    } catch (const Failure &failure) {
      status = failure.status();
    }
    CHECK_EQ(status, AXLE_STATUS_RESOURCE_EXHAUSTED);
    CHECK_EQ(models.resident_count(), 1u);
    CHECK_EQ(first_weight(emulation, lane, pin.weights()), 1.0f);
    CHECK(!models.evict_one());
  }
  const auto pin = models.pin(*b, lane);
  CHECK_EQ(first_weight(emulation, lane, pin.weights()), 2.0f);
}

TEST(models_make_room_where_the_device_has_none) {
  Emulation emulation("memory=150000");  // for two of them, as they are kept in classes of sizes
  DeviceMemory memory(emulation.driver);
  Lane lane(emulation.driver);
  const auto a = make_model(1);
  const auto b = make_model(2);
  const auto c = make_model(3);
  ResidentModels models(memory, 0);
  models.pin(*a, lane);
  models.pin(*b, lane);
  const auto pin = models.pin(*c, lane);
  CHECK_EQ(models.evictions(), 1u);
  CHECK_EQ(first_weight(emulation, lane, pin.weights()), 3.0f);
}

TEST(a_model_that_is_forgotten_leaves_nothing) {
  Emulation emulation("");
  {
    DeviceMemory memory(emulation.driver);
    Lane lane(emulation.driver);
    const auto a = make_model(1);
    ResidentModels models(memory, 0);
    models.pin(*a, lane);
    CHECK(models.resident_bytes() > 0);
    models.forget(*a);
    CHECK_EQ(models.resident_bytes(), 0u);
    CHECK_EQ(models.evictions(), 0u);
  }
  CHECK_EQ(Emulation::allocations(), 0u);
}
