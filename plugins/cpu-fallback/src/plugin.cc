// SPDX-License-Identifier: Apache-2.0
//
// The plugin's table: each slot translates between the C ABI and Instance, and lets no exception out.
#include <axle/plugin.h>

#include <cstring>
#include <memory>

#include "common/abi_struct.h"
#include "common/failure.h"
#include "instance.h"

using axle::Failure;
using axle::cpu::Instance;
using axle::cpu::Model;
using axle::cpu::Stream;

// A queue has no state: the tasks of all go to one pool, first in, first out.
struct axle_queue {};

struct axle_instance final : Instance {
  using Instance::Instance;
};

namespace {

// The host holds these under names of its own.
axle_model *handle(Model *model) { return reinterpret_cast<axle_model *>(model); }
Model *object(axle_model *model) { return reinterpret_cast<Model *>(model); }
axle_stream *handle(Stream *stream) { return reinterpret_cast<axle_stream *>(stream); }
Stream *object(axle_stream *stream) { return reinterpret_cast<Stream *>(stream); }

constexpr uint32_t kSoftwareScore = 1;

void check_device(uint32_t device) {
  if (device == 0) return;
  throw Failure(AXLE_STATUS_NOT_FOUND,
                "cpu-fallback has device 0 only, not " + std::to_string(device));
}

int32_t open(const axle_host *host, const axle_option *options, uint64_t option_count,
             axle_instance **instance, axle_error *error) {
  return axle::guarded(error, [&] {
    if (host->abi_major != AXLE_ABI_MAJOR || host->abi_minor != AXLE_ABI_MINOR ||
        host->struct_size < sizeof(axle_host)) {
      throw Failure(AXLE_STATUS_FAILED_PRECONDITION,
                    "cpu-fallback was built for ABI " + std::to_string(AXLE_ABI_MAJOR) + "." +
                        std::to_string(AXLE_ABI_MINOR) + "; the host has " +
                        std::to_string(host->abi_major) + "." + std::to_string(host->abi_minor));
    }
    *instance = new axle_instance(*host, axle::cpu::parse_options(options, option_count));
  });
}

void close(axle_instance *instance) {
  delete instance;
  axle::guarded(nullptr, [] { axle::cpu::release_codec_memory(); });
}

uint32_t device_count(axle_instance *) { return 1; }

void device_info(axle_instance *instance, uint32_t, axle_device_info *info) {
  instance->fill(info);
}

uint32_t op_count(axle_instance *) { return axle::cpu::op_count(); }

void op_info(axle_instance *, uint32_t index, axle_op_info *info) {
  const axle::cpu::OpEntry &op = axle::cpu::op_at(index);
  axle_op_info filled = {};
  filled.op = op.op;
  filled.version = op.version;
  filled.doc = op.doc;
  filled.flags = op.flags;
  filled.chain_first = op.chain_first;
  filled.chain_last = op.chain_last;
  axle::fill_struct(info, filled);
}

uint32_t supports(axle_instance *instance, uint32_t device, const axle_op_query *query,
                  axle_error *why) {
  const int32_t status = axle::guarded(why, [&] {
    check_device(device);
    instance->check_support(*query);
  });
  return status == AXLE_STATUS_OK ? kSoftwareScore : 0;
}

void health(axle_instance *instance, uint32_t, axle_health *health) {
  axle::guarded(nullptr, [&] { instance->fill(health); });
}

void statistics(axle_instance *instance, uint32_t, axle_statistics *statistics) {
  instance->fill(statistics);
}

int32_t model_load(axle_instance *instance, uint32_t device, const axle_model_source *source,
                   axle_model **model, axle_error *error) {
  return axle::guarded(error, [&] {
    check_device(device);
    *model = handle(instance->load_model(*source).release());
  });
}

void model_unload(axle_instance *instance, axle_model *model) {
  instance->forget_model(*object(model));
  delete object(model);
}

void model_info(axle_instance *, axle_model *model, axle_model_info *info) {
  object(model)->fill(info);
}

int32_t queue_open(axle_instance *, uint32_t device, axle_queue **queue, axle_error *error) {
  return axle::guarded(error, [&] {
    check_device(device);
    *queue = new axle_queue;
  });
}

void queue_close(axle_instance *, axle_queue *queue) { delete queue; }

int32_t submit(axle_instance *instance, axle_queue *, axle_task *const *tasks, uint64_t n,
               axle_error *error) {
  return axle::guarded(error, [&] { instance->submit(tasks, n); });
}

int32_t stream_open(axle_instance *instance, const axle_stream_config *config, axle_stream **stream,
                    axle_error *error) {
  return axle::guarded(error, [&] {
    check_device(config->device);
    *stream = handle(instance->open_stream(*config).release());
  });
}

int32_t stream_write(axle_instance *instance, axle_stream *stream, axle_task *task,
                     axle_error *error) {
  return axle::guarded(error, [&] { instance->submit_write(*object(stream), task); });
}

void stream_close(axle_instance *, axle_stream *stream) { delete object(stream); }

constexpr axle_plugin make_plugin() {
  axle_plugin plugin = {};
  plugin.struct_size = sizeof(axle_plugin);
  plugin.abi_major = AXLE_ABI_MAJOR;
  plugin.abi_minor = AXLE_ABI_MINOR;
  plugin.name = "cpu-fallback";
  plugin.version = AXLE_CPU_VERSION;
  plugin.open = open;
  plugin.close = close;
  plugin.device_count = device_count;
  plugin.device_info = device_info;
  plugin.op_count = op_count;
  plugin.op_info = op_info;
  plugin.supports = supports;
  plugin.health = health;
  plugin.statistics = statistics;
  plugin.model_load = model_load;
  plugin.model_unload = model_unload;
  plugin.model_info = model_info;
  plugin.queue_open = queue_open;
  plugin.queue_close = queue_close;
  plugin.submit = submit;
  plugin.stream_open = stream_open;
  plugin.stream_write = stream_write;
  plugin.stream_close = stream_close;
  return plugin;
}

constexpr axle_plugin kPlugin = make_plugin();

}  // namespace

extern "C" const axle_plugin *axle_plugin_query(uint32_t abi_major, uint32_t abi_minor) {
  const bool spoken = abi_major == AXLE_ABI_MAJOR && abi_minor == AXLE_ABI_MINOR;
  return spoken ? &kPlugin : nullptr;
}
