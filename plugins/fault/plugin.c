/* SPDX-License-Identifier: Apache-2.0
 *
 * A plugin that misbehaves as it is told: what tests and `axle plugin check` are tried on. Its op
 * fault.axle/copy gives its input back; with the option wrap it also offers all that another plugin does,
 * and spoils it. Options:
 *   fault=NAME      how it misbehaves; the names are in faults.c
 *   delay_ms=N      how long each task of copy takes
 *   status=N        each task of copy ends with this status
 *   wrap=FILE       another plugin; its first device is used
 *   wrap.KEY=VALUE  an option of that plugin */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"

#define SLOW_SUPPORTS_MS 3
#define SLOW_HEALTH_MS 400
#define FEW_QUEUES 8
#define FEW_TASKS 512
#define BLOCKED_MS 20
#define FIRST_BLOCKED_MS 100
#define LEAKED_BYTES 65536u

/* Of the process, for faults of plugins that keep what is an instance's there. */
static atomic_uint openings;
static atomic_ullong tasks_ever;

/* ---- open and close -------------------------------------------------------------------------- */

static void *linger(void *data) {
  for (;;) pause_ms(1000);
  return data;
}

static const char *option_value(const axle_option *options, uint64_t option_count,
                                const char *key) {
  for (uint64_t i = 0; i < option_count; i++) {
    if (strcmp(options[i].key, key) == 0) return options[i].value;
  }
  return NULL;
}

static int32_t set_up(axle_instance *instance, const axle_option *options, uint64_t option_count,
                      axle_error *error) {
  int32_t status = read_options(instance, options, option_count, error);
  const char *path = option_value(options, option_count, "wrap");
  if (status == AXLE_STATUS_OK && path != NULL) {
    status = wrap_open(instance, path, options, option_count, error);
  }
  if (status != AXLE_STATUS_OK) return status;
  if (line_start(instance) == 0) return AXLE_STATUS_OK;
  wrap_close(instance);
  snprintf(error->message, sizeof error->message, "no thread could be started");
  return AXLE_STATUS_RESOURCE_EXHAUSTED;
}

static int32_t open_instance(const axle_host *host, const axle_option *options,
                             uint64_t option_count, axle_instance **opened, axle_error *error) {
  axle_instance *instance = calloc(1, sizeof *instance);
  if (instance == NULL) return AXLE_STATUS_RESOURCE_EXHAUSTED;
  instance->host = host;
  const int32_t status = set_up(instance, options, option_count, error);
  if (status != AXLE_STATUS_OK) {
    if (instance->fault == FAULT_LEAK_ON_REFUSAL) lose_memory(LEAKED_BYTES);
    free(instance);
    return status;
  }
  pthread_t lingering;
  if (instance->fault == FAULT_LEFT_THREAD) pthread_create(&lingering, NULL, linger, NULL);
  if (instance->fault == FAULT_FORK_ON_OPEN && fork() == 0) linger(NULL);
  spoil_process(instance);
  openings++;
  *opened = instance;
  return AXLE_STATUS_OK;
}

static void close_instance(axle_instance *instance) {
  tasks_ever += instance->tasks_ended;
  if (instance->fault == FAULT_CRASH_ON_CLOSE) abort();
  if (instance->fault == FAULT_HANG_ON_CLOSE) linger(NULL);
  if (instance->fault == FAULT_LEAK_ON_CLOSE) lose_memory(LEAKED_BYTES);
  if (instance->fault == FAULT_LEAK_DESCRIPTORS_ON_CLOSE) lose_descriptor();
  line_stop(instance);
  wrap_close(instance);
  free(instance->previous);
  free(instance);
}

/* ---- what it says of itself ------------------------------------------------------------------ */

static uint32_t device_count(axle_instance *instance) {
  (void)instance;
  return 1;
}

static void device_info(axle_instance *instance, uint32_t device, axle_device_info *info) {
  (void)device;
  info->id = instance->fault == FAULT_CHANGE_NAME && openings % 2 == 0 ? "1" : "0";
  info->name = "A device that fails as it is told";
  info->kind = AXLE_DEVICE_KIND_OTHER;
  info->flags = AXLE_DEVICE_FLAG_EMULATED;
  info->parallel = 1;
}

static uint32_t op_count(axle_instance *instance) {
  const wrapped *wrapped = instance->wrapped;
  return 1 + (wrapped == NULL ? 0 : wrapped->table->op_count(wrapped->instance));
}

static void op_info(axle_instance *instance, uint32_t index, axle_op_info *info) {
  const wrapped *wrapped = instance->wrapped;
  if (index == 0) {
    copy_describe(instance, info);
  } else {
    wrapped->table->op_info(wrapped->instance, index - 1, info);
  }
}

static uint32_t supports(axle_instance *instance, uint32_t device, const axle_op_query *query,
                         axle_error *why) {
  (void)device;
  const wrapped *wrapped = instance->wrapped;
  if (instance->fault == FAULT_SLOW_SUPPORTS) pause_ms(SLOW_SUPPORTS_MS);
  if (instance->fault == FAULT_SILENT_REFUSAL) return 0;
  if (instance->fault == FAULT_WRITE_ASKED_ARGUMENTS) {
    tamper_with_arguments(query->args, query->arg_count);
  }
  if (query->op == OP_COPY) return 1;
  if (wrapped == NULL) {
    snprintf(why->message, sizeof why->message, "this plugin runs fault.axle/copy only");
    return 0;
  }
  axle_model_source source = {0};
  axle_op_query changed = *query;
  if (instance->fault == FAULT_MODEL_ANY_FORMAT && query->source != NULL) {
    source = *query->source;
    source.format = "onnx";
    changed.source = &source;
  }
  return wrapped->table->supports(wrapped->instance, 0, &changed, why);
}

static void health(axle_instance *instance, uint32_t device, axle_health *health) {
  (void)device;
  health->state = AXLE_HEALTH_OK;
  if (instance->fault == FAULT_SLOW_HEALTH) pause_ms(SLOW_HEALTH_MS);
  if (instance->fault == FAULT_SILENT_HEALTH) health->state = AXLE_HEALTH_DEGRADED;
  if (instance->fault != FAULT_LOST) return;
  health->state = AXLE_HEALTH_LOST;
  snprintf(health->message, sizeof health->message, "it was told to be lost");
}

static void statistics(axle_instance *instance, uint32_t device, axle_statistics *statistics) {
  (void)device;
  const wrapped *wrapped = instance->wrapped;
  if (wrapped != NULL) wrapped->table->statistics(wrapped->instance, 0, statistics);
  pthread_mutex_lock(&instance->mutex);
  statistics->tasks_completed +=
      instance->tasks_ended * (instance->fault == FAULT_COUNT_TWICE ? 2 : 1);
  if (instance->fault == FAULT_COUNT_ON) statistics->tasks_completed += tasks_ever;
  if (instance->fault == FAULT_COUNT_BACK) statistics->compute_ns = UINT32_MAX - ++instance->asked;
  pthread_mutex_unlock(&instance->mutex);
}

/* ---- tasks ----------------------------------------------------------------------------------- */

/* Of the wrapped plugin; all users of copy share one line. */
struct axle_queue {
  axle_queue *inner;
};

/* As one does that sets up its driver when it first needs it. */
static void pause_at_first(void) {
  static atomic_flag is_set_up = ATOMIC_FLAG_INIT;
  if (!atomic_flag_test_and_set(&is_set_up)) pause_ms(FIRST_BLOCKED_MS);
}

static uint32_t count_queues(axle_instance *instance, int change) {
  pthread_mutex_lock(&instance->mutex);
  instance->queues += (uint32_t)change;
  const uint32_t count = instance->queues;
  pthread_mutex_unlock(&instance->mutex);
  return count;
}

static int32_t queue_open(axle_instance *instance, uint32_t device, axle_queue **queue,
                          axle_error *error) {
  (void)device;
  if (count_queues(instance, 1) > FEW_QUEUES && instance->fault == FAULT_FEW_QUEUES) {
    snprintf(error->message, sizeof error->message, "there are %d queues", FEW_QUEUES);
    return AXLE_STATUS_RESOURCE_EXHAUSTED;
  }
  if (instance->fault == FAULT_SLOW_QUEUE_OPEN) pause_ms(BLOCKED_MS);
  if (instance->fault == FAULT_SLOW_FIRST_QUEUE) pause_at_first();
  const wrapped *wrapped = instance->wrapped;
  axle_queue *opened = calloc(1, sizeof *opened);
  if (opened == NULL) return AXLE_STATUS_RESOURCE_EXHAUSTED;
  if (wrapped != NULL) {
    const int32_t status = wrapped->table->queue_open(wrapped->instance, 0, &opened->inner, error);
    if (status != AXLE_STATUS_OK) {
      free(opened);
      return status;
    }
  }
  *queue = opened;
  return AXLE_STATUS_OK;
}

static void queue_close(axle_instance *instance, axle_queue *queue) {
  count_queues(instance, -1);
  if (instance->fault == FAULT_LEAK_QUEUE) lose_memory(LEAKED_BYTES);
  if (instance->fault == FAULT_LEAK_DESCRIPTORS_QUEUE) lose_descriptor();
  const wrapped *wrapped = instance->wrapped;
  if (wrapped != NULL) wrapped->table->queue_close(wrapped->instance, queue->inner);
  free(queue);
}

/* As of a driver whose context belongs to the thread that used it first. */
static int is_first_thread(void) {
  static atomic_flag is_taken = ATOMIC_FLAG_INIT;
  static _Thread_local int is_first;
  if (!atomic_flag_test_and_set(&is_taken)) is_first = 1;
  return is_first;
}

/* How many of n tasks are not lost. */
static uint64_t kept_of(const axle_instance *instance, uint64_t n) {
  if (instance->fault == FAULT_LOSE_TASKS && n > FEW_TASKS) return FEW_TASKS;
  return instance->fault == FAULT_LOSE_LAST && n > 1 ? n - 1 : n;
}

static int32_t submit(axle_instance *instance, axle_queue *queue, axle_task *const *tasks,
                      uint64_t n, axle_error *error) {
  const wrapped *wrapped = instance->wrapped;
  spoil_thread(instance);
  if (instance->fault == FAULT_ONE_THREAD && !is_first_thread()) {
    snprintf(error->message, sizeof error->message, "this thread has no context of the device");
    return AXLE_STATUS_UNAVAILABLE;
  }
  if (instance->fault == FAULT_LOST) {
    snprintf(error->message, sizeof error->message, "the device is lost");
    return AXLE_STATUS_UNAVAILABLE;
  }
  if (tasks[0]->op != OP_COPY) {
    const int32_t status = check_models(instance, tasks, n, error);
    if (status != AXLE_STATUS_OK) return status;
    return wrapped->table->submit(wrapped->instance, queue->inner, tasks, n, error);
  }
  if (instance->fault == FAULT_COMPLETE_IN_SUBMIT) {
    for (uint64_t i = 0; i < n; i++) copy_run(instance, tasks[i]);
    return AXLE_STATUS_OK;
  }
  if (instance->fault == FAULT_SLOW_SUBMIT) pause_ms(BLOCKED_MS);
  if (instance->fault == FAULT_SLOW_FIRST_SUBMIT) pause_at_first();
  if (instance->fault == FAULT_SUBMIT_WHEN_IDLE) line_wait(instance);
  line_add(instance, tasks, kept_of(instance, n));
  if (instance->fault == FAULT_WRITE_LIST) ((axle_task **)tasks)[0] = NULL;
  return AXLE_STATUS_OK;
}

/* host->cancelled() is enough, but for a fault. */
static void cancel(axle_instance *instance, axle_queue *queue, axle_task *task) {
  (void)queue;
  if (instance->fault == FAULT_SLOW_CANCEL) pause_ms(BLOCKED_MS);
  if (instance->fault == FAULT_CANCEL_ANOTHER) {
    axle_task *first = line_take(instance);
    const axle_completion end = {
        .struct_size = sizeof end, .status = AXLE_STATUS_CANCELLED, .message = "cancelled"};
    if (first != NULL) end_task(instance, first, &end);
    return;
  }
  if (instance->fault != FAULT_COMPLETE_ON_CANCEL || !line_remove(instance, task)) return;
  const axle_completion end = {
      .struct_size = sizeof end, .status = AXLE_STATUS_CANCELLED, .message = "cancelled"};
  instance->host->complete(task, &end);
  instance->host->complete(task, &end);
}

AXLE_EXPORT const axle_plugin *axle_plugin_query(uint32_t abi_major, uint32_t abi_minor) {
  static const axle_plugin table = {
      .struct_size = sizeof table,
      .abi_major = AXLE_ABI_MAJOR,
      .abi_minor = AXLE_ABI_MINOR,
      .name = "fault",
      .version = "0.2.0",
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
