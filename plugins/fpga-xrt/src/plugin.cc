// SPDX-License-Identifier: Apache-2.0
//
// The plugin's table: each slot translates between the C ABI and Instance, and lets no exception out.
#include <axle/plugin.h>

#include "common/abi_struct.h"
#include "common/failure.h"
#include "instance.h"
#include "ops.h"

using axle::Failure;
using axle::fpga::Instance;
using axle::fpga::Queue;

struct axle_queue final : Queue {};

struct axle_instance final : Instance {
  using Instance::Instance;
};

namespace {

constexpr uint32_t kHardwareScore = 100;

int32_t open(const axle_host *host, const axle_option *options, uint64_t option_count,
             axle_instance **instance, axle_error *error) {
  return axle::guarded(error, [&] {
    if (host->abi_major != AXLE_ABI_MAJOR || host->abi_minor != AXLE_ABI_MINOR ||
        host->struct_size < sizeof(axle_host)) {
      throw Failure(AXLE_STATUS_FAILED_PRECONDITION,
                    "fpga-xrt was built for ABI " + std::to_string(AXLE_ABI_MAJOR) + "." +
                        std::to_string(AXLE_ABI_MINOR) + "; the host has " +
                        std::to_string(host->abi_major) + "." + std::to_string(host->abi_minor));
    }
    *instance = new axle_instance(*host, axle::fpga::parse_options(options, option_count));
  });
}

void close(axle_instance *instance) { delete instance; }

uint32_t device_count(axle_instance *instance) { return instance->device_count(); }

void device_info(axle_instance *instance, uint32_t device, axle_device_info *info) {
  axle::guarded(nullptr, [&] { instance->fill(device, info); });
}

uint32_t op_count(axle_instance *) { return axle::fpga::op_count(); }

void op_info(axle_instance *, uint32_t index, axle_op_info *info) {
  const axle::fpga::OpEntry &op = axle::fpga::op_at(index);
  axle_op_info filled = {};
  filled.op = op.op;
  filled.version = op.version;
  filled.doc = op.doc;
  filled.flags = op.flags;
  axle::fill_struct(info, filled);
}

uint32_t supports(axle_instance *instance, uint32_t device, const axle_op_query *query,
                  axle_error *why) {
  const int32_t status = axle::guarded(why, [&] { instance->check_support(device, *query); });
  return status == AXLE_STATUS_OK ? kHardwareScore : 0;
}

void health(axle_instance *instance, uint32_t device, axle_health *health) {
  axle::guarded(nullptr, [&] { instance->fill(device, health); });
}

void statistics(axle_instance *instance, uint32_t device, axle_statistics *statistics) {
  axle::guarded(nullptr, [&] { instance->fill(device, statistics); });
}

int32_t queue_open(axle_instance *instance, uint32_t device, axle_queue **queue,
                   axle_error *error) {
  return axle::guarded(error, [&] {
    instance->check_device(device);
    *queue = new axle_queue{{device}};
  });
}

void queue_close(axle_instance *, axle_queue *queue) { delete queue; }

int32_t submit(axle_instance *instance, axle_queue *queue, axle_task *const *tasks, uint64_t n,
               axle_error *error) {
  return axle::guarded(error, [&] { instance->submit(*queue, tasks, n); });
}

constexpr axle_plugin make_plugin() {
  axle_plugin plugin = {};
  plugin.struct_size = sizeof(axle_plugin);
  plugin.abi_major = AXLE_ABI_MAJOR;
  plugin.abi_minor = AXLE_ABI_MINOR;
  plugin.name = "fpga-xrt";
  plugin.version = AXLE_FPGA_VERSION;
  plugin.open = open;
  plugin.close = close;
  plugin.device_count = device_count;
  plugin.device_info = device_info;
  plugin.op_count = op_count;
  plugin.op_info = op_info;
  plugin.supports = supports;
  plugin.health = health;
  plugin.statistics = statistics;
  plugin.queue_open = queue_open;
  plugin.queue_close = queue_close;
  plugin.submit = submit;
  return plugin;
}

constexpr axle_plugin kPlugin = make_plugin();

}  // namespace

extern "C" const axle_plugin *axle_plugin_query(uint32_t abi_major, uint32_t abi_minor) {
  const bool spoken = abi_major == AXLE_ABI_MAJOR && abi_minor == AXLE_ABI_MINOR;
  return spoken ? &kPlugin : nullptr;
}
