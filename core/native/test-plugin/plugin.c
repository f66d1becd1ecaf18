/* SPDX-License-Identifier: Apache-2.0
 * The plugin that the tests of the plugin host load: its table and what it says of itself. Options:
 *   unavailable=REASON  open answers UNAVAILABLE
 *   break=RULE          its description breaks a rule
 *   anything else       only makes another instance */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static int breaks(const axle_instance *instance, const char *rule) {
  return instance->broken != NULL && strcmp(instance->broken, rule) == 0;
}

static int32_t open_instance(const axle_host *host, const axle_option *options, uint64_t count,
                             axle_instance **instance, axle_error *error) {
  axle_instance *opened = calloc(1, sizeof *opened);
  if (opened == NULL) return AXLE_STATUS_RESOURCE_EXHAUSTED;
  opened->host = host;
  for (uint64_t i = 0; i < count; ++i) {
    if (strcmp(options[i].key, "unavailable") == 0) {
      strncpy(error->message, options[i].value, sizeof error->message - 1);
      free(opened);
      return AXLE_STATUS_UNAVAILABLE;
    }
    if (strcmp(options[i].key, "break") == 0) opened->broken = strdup(options[i].value);
  }
  jobs_start(opened);
  host->log(AXLE_LOG_INFO, "opened");
  *instance = opened;
  return AXLE_STATUS_OK;
}

static void close_instance(axle_instance *instance) {
  /* The host promises that nothing is open; a leak would be found by the sanitizer. */
  if (instance->queues_open != 0 || instance->models_loaded != 0) abort();
  instance->host->log(AXLE_LOG_INFO, "closed");
  jobs_stop(instance);
  free((void *)instance->broken);
  free(instance);
}

static uint32_t device_count(axle_instance *instance) {
  if (breaks(instance, "no_device")) return 0;
  return breaks(instance, "many_devices") ? 257 : 2;
}

static void device_info(axle_instance *instance, uint32_t device, axle_device_info *info) {
  static char long_id[200];
  info->id = device == 0 || breaks(instance, "twin_devices") ? "test:0" : "test:1";
  if (breaks(instance, "device_id_null")) info->id = NULL;
  if (breaks(instance, "device_id_utf8")) info->id = "\xc0\x80";
  if (breaks(instance, "device_id_long")) {
    memset(long_id, 'x', sizeof long_id - 1);
    info->id = long_id;
  }
  info->name = "Test device";
  info->kind = breaks(instance, "device_kind") ? 77 : AXLE_DEVICE_KIND_CPU;
  info->flags = AXLE_DEVICE_FLAG_EMULATED;
  info->memory_bytes = 1u << 20;
  info->parallel = breaks(instance, "parallel") ? 0 : 4;
}

#define BASIC (AXLE_OP_FLAG_PURE | AXLE_OP_FLAG_IDEMPOTENT)

static const axle_arg_spec echo_args[] = {
    {.name = "delay_ms", .doc = "How long it takes.", .type = AXLE_ARG_INT},
    {.name = "label", .doc = "Not used.", .type = AXLE_ARG_STRING, .required = 1},
};
static const int64_t any_dim = -1;
static const axle_tensor_spec echo_tensors[] = {
    {.name = "any", .dtype = AXLE_DTYPE_UINT8, .rank = 1, .dims = &any_dim},
};

static const axle_op_info ops[] = {
    {.op = OP_ECHO,
     .version = 1,
     .name = "test.axle/echo",
     .doc = "Gives its inputs back.",
     .flags = BASIC | AXLE_OP_FLAG_STREAMABLE,
     .args = echo_args,
     .arg_count = 2,
     .inputs = echo_tensors,
     .input_count = 1,
     .outputs = echo_tensors,
     .output_count = 1},
    {.op = OP_MISBEHAVE, .version = 1, .name = "test.axle/misbehave"},
    {.op = OP_SLEEP, .version = 1, .name = "test.axle/sleep", .flags = BASIC},
    {.op = OP_ARGS, .version = 1, .name = "test.axle/args", .flags = BASIC},
    {.op = OP_DESCRIBE, .version = 1, .name = "test.axle/describe", .flags = BASIC},
    {.op = OP_BATCHED,
     .version = 1,
     .name = "test.axle/batched",
     .flags = BASIC | AXLE_OP_FLAG_BATCHABLE,
     .batch_max = 32},
    {.op = OP_FILL, .version = 1, .name = "test.axle/fill", .flags = BASIC},
    {.op = OP_PAUSE, .version = 1, .name = "test.axle/pause", .flags = BASIC},
    {.op = AXLE_OP_INFER, .version = AXLE_OP_INFER_VERSION, .flags = BASIC},
    {.op = AXLE_OP_CLASSIFY,
     .version = AXLE_OP_CLASSIFY_VERSION,
     .flags = BASIC,
     .chain_first = 1,
     .chain_last = 2},
};

static uint32_t op_count(axle_instance *instance) {
  if (breaks(instance, "many_ops")) return 1025;
  return sizeof ops / sizeof ops[0];
}

static void op_info(axle_instance *instance, uint32_t index, axle_op_info *info) {
  const uint64_t size = info->struct_size;
  *info = ops[index];
  info->struct_size = size;
  if (index == 1 && breaks(instance, "twin_ops")) *info = ops[0];
  if (index != 0) return;
  if (breaks(instance, "op_name")) info->name = "no-slash";
  if (breaks(instance, "op_unknown")) info->op = 999;
  if (breaks(instance, "op_version")) info->version = 0;
  if (breaks(instance, "op_chain")) info->chain_first = 2;
  if (breaks(instance, "op_spec")) info->inputs = NULL;
  if (breaks(instance, "op_spec_count")) info->input_count = 257;
}

static uint32_t supports(axle_instance *instance, uint32_t device, const axle_op_query *query,
                         axle_error *why) {
  (void)instance;
  axle_task arguments = {.args = query->args, .arg_count = query->arg_count};
  if (int_arg(&arguments, "refuse", 0) != 0) {
    strcpy(why->message, "refused as asked");
    return 0;
  }
  if (query->source != NULL) return (uint32_t)query->source->files[0].bytes;
  return device + 1;
}

static void health(axle_instance *instance, uint32_t device, axle_health *out) {
  out->state = breaks(instance, "health") ? 9 : device == 0 ? AXLE_HEALTH_OK : AXLE_HEALTH_DEGRADED;
  if (device != 0) strcpy(out->message, "only a test");
}

static void statistics(axle_instance *instance, uint32_t device, axle_statistics *out) {
  pthread_mutex_lock(&instance->mutex);
  out->tasks_completed = instance->tasks_completed;
  pthread_mutex_unlock(&instance->mutex);
  out->temperature_celsius = 40 + device;
}

static int32_t queue_open(axle_instance *instance, uint32_t device, axle_queue **queue,
                          axle_error *error) {
  (void)device, (void)queue, (void)error;
  pthread_mutex_lock(&instance->mutex);
  ++instance->queues_open;
  pthread_mutex_unlock(&instance->mutex);
  return AXLE_STATUS_OK;
}

static void queue_close(axle_instance *instance, axle_queue *queue) {
  (void)queue;
  pthread_mutex_lock(&instance->mutex);
  --instance->queues_open;
  pthread_mutex_unlock(&instance->mutex);
}

static int32_t submit(axle_instance *instance, axle_queue *queue, axle_task *const *tasks,
                      uint64_t n, axle_error *error) {
  (void)queue;
  if (tasks[0]->op == OP_MISBEHAVE) return misbehave_in_submit(instance, tasks, n, error);
  jobs_add(instance, tasks, n);
  return AXLE_STATUS_OK;
}

static void cancel(axle_instance *instance, axle_queue *queue, axle_task *task) {
  (void)queue;
  jobs_cancel(instance, task);
}

const axle_plugin *axle_plugin_query(uint32_t abi_major, uint32_t abi_minor) {
  static const axle_plugin table = {
      .struct_size = sizeof table,
      .abi_major = AXLE_ABI_MAJOR,
      .abi_minor = AXLE_ABI_MINOR,
      .name = "test",
      .version = "1.2.3",
      .open = open_instance,
      .close = close_instance,
      .device_count = device_count,
      .device_info = device_info,
      .op_count = op_count,
      .op_info = op_info,
      .supports = supports,
      .health = health,
      .statistics = statistics,
      .model_load = model_load,
      .model_unload = model_unload,
      .model_info = model_info,
      .queue_open = queue_open,
      .queue_close = queue_close,
      .submit = submit,
      .cancel = cancel,
      .stream_open = stream_open,
      .stream_write = stream_write,
      .stream_close = stream_close,
  };
  return abi_major == AXLE_ABI_MAJOR && abi_minor == AXLE_ABI_MINOR ? &table : NULL;
}
