// SPDX-License-Identifier: Apache-2.0
#include "device_memory.h"

#include <cstring>

#include "common/test/harness.h"
#include "emulation.h"

using axle::Failure;
using axle::cuda::DeviceBlock;
using axle::cuda::DeviceMemory;
using axle::cuda::Quota;
using axle::test::Emulation;

namespace {

constexpr uint64_t kBytes = 100'000;
constexpr unsigned char kSecret = 0x5A;
constexpr unsigned char kOwn = 0x77;

int32_t status_of_take(DeviceMemory &memory, uint64_t bytes, Quota &quota,
                       axle::cuda::cu::Stream stream) {
  try {
    memory.take(bytes, quota, stream);
    return AXLE_STATUS_OK;
  } catch (const Failure &failure) {
    return failure.status();
  }
}

}  // namespace

TEST(memory_is_wiped_before_the_next_tenant_has_it) {
  Emulation emulation("copy-us=50000");
  const auto first = emulation.stream();
  const auto second = emulation.stream();
  {
    DeviceMemory memory(emulation.driver);
    Quota one(0);
    Quota other(0);
    void *pinned = nullptr;
    emulation.driver.check(emulation.driver->host_alloc(&pinned, kBytes, 0), "pinned");
    std::memset(pinned, kSecret, kBytes);
    DeviceBlock block = memory.take(kBytes, one, first);
    const auto at = block.at();
    // Still on its way when the block goes back.
    emulation.driver.check(emulation.driver->copy_in(at, pinned, kBytes, first), "copy");
    block.reset();
    DeviceBlock next = memory.take(kBytes - 1, other, second);
    CHECK_EQ(next.at(), at);
    emulation.driver.check(emulation.driver->stream_synchronize(second), "wait");
    CHECK(!Emulation::holds(at, kBytes, kSecret));
    // Nothing of the tenant before comes after what the next one writes.
    emulation.driver.check(emulation.driver->fill(at, kOwn, kBytes - 1, second), "fill");
    emulation.driver.check(emulation.driver->stream_synchronize(second), "wait");
    emulation.driver.check(emulation.driver->stream_synchronize(first), "wait");
    CHECK(!Emulation::holds(at, kBytes - 1, kSecret) && !Emulation::holds(at, kBytes - 1, 0));
    next.reset();
    emulation.driver->host_free(pinned);
  }
  emulation.driver->stream_destroy(first);
  emulation.driver->stream_destroy(second);
  CHECK_EQ(Emulation::allocations(), 0u);
}

TEST(a_queue_has_no_more_than_its_quota) {
  Emulation emulation("");
  const auto stream = emulation.stream();
  {
    DeviceMemory memory(emulation.driver);
    Quota quota(300'000);
    Quota other(0);
    DeviceBlock block = memory.take(150'000, quota, stream);
    CHECK(quota.used_bytes() >= 150'000);
    CHECK_EQ(status_of_take(memory, 200'000, quota, stream), AXLE_STATUS_RESOURCE_EXHAUSTED);
    CHECK_EQ(status_of_take(memory, 200'000, other, stream), AXLE_STATUS_OK);
    block.reset();
    CHECK_EQ(quota.used_bytes(), 0u);
    CHECK_EQ(status_of_take(memory, 200'000, quota, stream), AXLE_STATUS_OK);
  }
  emulation.driver->stream_destroy(stream);
}

TEST(what_is_kept_is_given_back_before_memory_is_short) {
  Emulation emulation("memory=1000000");
  const auto stream = emulation.stream();
  {
    DeviceMemory memory(emulation.driver);
    Quota quota(0);
    CHECK_EQ(status_of_take(memory, 500'000, quota, stream), AXLE_STATUS_OK);
    CHECK_EQ(status_of_take(memory, 700'000, quota, stream), AXLE_STATUS_OK);
    CHECK_EQ(status_of_take(memory, 2'000'000, quota, stream), AXLE_STATUS_RESOURCE_EXHAUSTED);
    CHECK_EQ(quota.used_bytes(), 0u);
  }
  emulation.driver->stream_destroy(stream);
}
