/* SPDX-License-Identifier: Apache-2.0
 *
 * A plugin that misbehaves as it is told: what tests and `axle plugin check` are tried on. Its op
 * fault.axle/copy gives its input back. Options:
 *   fault=NAME    how it misbehaves; see `faults` below
 *   delay_ms=N    how long each task takes
 *   status=N      each task ends with this status */
#include <axle/plugin.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define OP_COPY AXLE_CUSTOM_OP_ID_FIRST
#define LEAKED_BYTES 16384u

typedef enum fault {
  FAULT_NONE,
  FAULT_COMPLETE_TWICE,
  FAULT_COMPLETE_IN_SUBMIT,
  FAULT_NEVER_COMPLETE,
  FAULT_WRONG_SIZE,
  FAULT_EMIT_AFTER_COMPLETE,
  FAULT_WRITE_PAST_END,
  FAULT_WRITE_INPUT,
  FAULT_FIRST_SEGMENT_ONLY,
  FAULT_CHANGING_OUTPUT,
  FAULT_NO_MESSAGE,
  FAULT_LEAK,
  FAULT_CRASH,
  FAULT_CRASH_ON_CLOSE,
  FAULT_HANG_ON_CLOSE,
  FAULT_LEFT_THREAD,
  FAULT_LOST,
  FAULT_ANY_OPTION,
} fault;

static const char *const faults[] = {
    [FAULT_NONE] = "none",
    [FAULT_COMPLETE_TWICE] = "complete-twice",
    [FAULT_COMPLETE_IN_SUBMIT] = "complete-in-submit",
    [FAULT_NEVER_COMPLETE] = "never-complete",
    [FAULT_WRONG_SIZE] = "wrong-size",
    [FAULT_EMIT_AFTER_COMPLETE] = "emit-after-complete",
    [FAULT_WRITE_PAST_END] = "write-past-end",
    [FAULT_WRITE_INPUT] = "write-input",
    [FAULT_FIRST_SEGMENT_ONLY] = "first-segment-only",
    [FAULT_CHANGING_OUTPUT] = "changing-output",
    [FAULT_NO_MESSAGE] = "no-message",
    [FAULT_LEAK] = "leak",
    [FAULT_CRASH] = "crash",
    [FAULT_CRASH_ON_CLOSE] = "crash-on-close",
    [FAULT_HANG_ON_CLOSE] = "hang-on-close",
    [FAULT_LEFT_THREAD] = "left-thread",
    [FAULT_LOST] = "lost",
    [FAULT_ANY_OPTION] = "any-option",
};
#define FAULT_COUNT (sizeof faults / sizeof faults[0])

/* As in the template: a line of tasks, linked by their plugin_data, and the thread that works it off. */
struct axle_instance {
  const axle_host *host;
  fault fault;
  long delay_ms;
  int32_t status;
  uint8_t runs; /* of the thread alone */
  pthread_t thread;
  pthread_mutex_t mutex; /* guards what follows */
  pthread_cond_t changed;
  axle_task *first;
  axle_task *last;
  int closing;
};

static void pause_ms(long ms) {
  const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
  nanosleep(&time, NULL);
}

/* ---- the op ---------------------------------------------------------------------------------- */

static int32_t refuse(const axle_instance *instance, axle_completion *end, const char *message) {
  if (instance->fault != FAULT_NO_MESSAGE) end->message = message;
  return AXLE_STATUS_INVALID_ARGUMENT;
}

static void gather(const axle_instance *instance, const axle_tensor *input, uint8_t *to) {
  for (uint64_t i = 0; i < input->segment_count; i++) {
    const axle_segment *segment = &input->segments[i];
    if (segment->bytes > 0) memcpy(to, segment->data, segment->bytes);
    to += segment->bytes;
    if (instance->fault == FAULT_FIRST_SEGMENT_ONLY) return;
  }
}

static void spoil(axle_instance *instance, const axle_tensor *input, uint8_t *output) {
  if (instance->fault == FAULT_WRITE_PAST_END) output[input->bytes] ^= 0x5a;
  if (instance->fault == FAULT_CHANGING_OUTPUT && input->bytes > 0) output[0] ^= ++instance->runs;
  if (instance->fault == FAULT_WRITE_INPUT) {
    for (uint64_t i = 0; i < input->segment_count; i++) {
      if (input->segments[i].bytes > 0) *(uint8_t *)input->segments[i].data ^= 0xff;
    }
  }
  if (instance->fault == FAULT_LEAK) {
    /* Written to through a volatile pointer, or the compiler leaves it all out. */
    volatile uint8_t *lost = malloc(LEAKED_BYTES);
    for (uint32_t i = 0; lost != NULL && i < LEAKED_BYTES; i += 512) lost[i] = 1;
  }
}

static int32_t copy(axle_instance *instance, axle_task *task, axle_completion *end) {
  const axle_host *host = instance->host;
  if (instance->status != AXLE_STATUS_OK) {
    end->message = "it fails as it was told to";
    return instance->status;
  }
  if (task->input_count != 1 || task->inputs[0].dtype != AXLE_DTYPE_UINT8 ||
      task->inputs[0].rank != 1) {
    return refuse(instance, end, "copy takes one input, UINT8 [n]");
  }
  if (instance->fault == FAULT_CRASH) abort();
  const axle_tensor *input = &task->inputs[0];
  uint8_t *output = host->alloc(task, input->bytes, AXLE_MEMORY_HOST);
  if (output == NULL) {
    end->message = "the output is larger than the call allows";
    return AXLE_STATUS_RESOURCE_EXHAUSTED;
  }
  gather(instance, input, output);
  spoil(instance, input, output);
  const int64_t wrong_dim = input->dims[0] + 1;
  const axle_chunk chunk = {
      .struct_size = sizeof chunk,
      .dtype = AXLE_DTYPE_UINT8,
      .dims = instance->fault == FAULT_WRONG_SIZE ? &wrong_dim : input->dims,
      .rank = 1,
      .data = output,
      .bytes = input->bytes,
  };
  return host->emit(task, &chunk);
}

static void emit_late(const axle_host *host, axle_task *task) {
  const int64_t none = 0;
  const axle_chunk chunk = {
      .struct_size = sizeof chunk, .dtype = AXLE_DTYPE_UINT8, .dims = &none, .rank = 1};
  host->emit(task, &chunk);
}

static void run(axle_instance *instance, axle_task *task) {
  const axle_host *host = instance->host;
  axle_completion end = {.struct_size = sizeof end};
  if (instance->delay_ms > 0) pause_ms(instance->delay_ms);
  if (instance->fault == FAULT_NEVER_COMPLETE) return;
  end.status = copy(instance, task, &end);
  host->complete(task, &end);
  if (instance->fault == FAULT_COMPLETE_TWICE) host->complete(task, &end);
  if (instance->fault == FAULT_EMIT_AFTER_COMPLETE) emit_late(host, task);
}

/* ---- the thread ------------------------------------------------------------------------------ */

static axle_task *next_task(axle_instance *instance) {
  pthread_mutex_lock(&instance->mutex);
  while (instance->first == NULL && !instance->closing) {
    pthread_cond_wait(&instance->changed, &instance->mutex);
  }
  axle_task *task = instance->first;
  if (task != NULL) instance->first = task->plugin_data;
  pthread_mutex_unlock(&instance->mutex);
  return task;
}

static void *work(void *data) {
  axle_instance *instance = data;
  for (;;) {
    axle_task *task = next_task(instance);
    if (task == NULL) return NULL;
    run(instance, task);
  }
}

static void *linger(void *data) {
  for (;;) pause_ms(1000);
  return data;
}

/* ---- the table ------------------------------------------------------------------------------- */

static int32_t read_option(axle_instance *instance, const axle_option *option, axle_error *error) {
  if (strcmp(option->key, "delay_ms") == 0) {
    instance->delay_ms = strtol(option->value, NULL, 10);
    return AXLE_STATUS_OK;
  }
  if (strcmp(option->key, "status") == 0) {
    instance->status = (int32_t)strtol(option->value, NULL, 10);
    return AXLE_STATUS_OK;
  }
  if (strcmp(option->key, "fault") == 0) {
    for (size_t i = 0; i < FAULT_COUNT; i++) {
      if (strcmp(option->value, faults[i]) != 0) continue;
      instance->fault = (fault)i;
      return AXLE_STATUS_OK;
    }
    snprintf(error->message, sizeof error->message, "there is no fault '%s'", option->value);
    return AXLE_STATUS_INVALID_ARGUMENT;
  }
  if (instance->fault == FAULT_ANY_OPTION) return AXLE_STATUS_OK;
  snprintf(error->message, sizeof error->message,
           "there is no option '%s'; there are fault, delay_ms and status", option->key);
  return AXLE_STATUS_INVALID_ARGUMENT;
}

static int32_t open_instance(const axle_host *host, const axle_option *options,
                             uint64_t option_count, axle_instance **opened, axle_error *error) {
  axle_instance *instance = calloc(1, sizeof *instance);
  if (instance == NULL) return AXLE_STATUS_RESOURCE_EXHAUSTED;
  instance->host = host;
  /* The fault first: it says how the other options are taken. */
  for (int pass = 0; pass < 2; pass++) {
    for (uint64_t i = 0; i < option_count; i++) {
      if ((strcmp(options[i].key, "fault") == 0) != (pass == 0)) continue;
      const int32_t status = read_option(instance, &options[i], error);
      if (status == AXLE_STATUS_OK) continue;
      free(instance);
      return status;
    }
  }
  pthread_mutex_init(&instance->mutex, NULL);
  pthread_cond_init(&instance->changed, NULL);
  pthread_t lingering;
  if (instance->fault == FAULT_LEFT_THREAD) pthread_create(&lingering, NULL, linger, NULL);
  if (pthread_create(&instance->thread, NULL, work, instance) != 0) {
    snprintf(error->message, sizeof error->message, "no thread could be started");
    free(instance);
    return AXLE_STATUS_RESOURCE_EXHAUSTED;
  }
  *opened = instance;
  return AXLE_STATUS_OK;
}

static void close_instance(axle_instance *instance) {
  if (instance->fault == FAULT_CRASH_ON_CLOSE) abort();
  if (instance->fault == FAULT_HANG_ON_CLOSE) linger(NULL);
  pthread_mutex_lock(&instance->mutex);
  instance->closing = 1;
  pthread_mutex_unlock(&instance->mutex);
  pthread_cond_signal(&instance->changed);
  pthread_join(instance->thread, NULL);
  pthread_cond_destroy(&instance->changed);
  pthread_mutex_destroy(&instance->mutex);
  free(instance);
}

static uint32_t device_count(axle_instance *instance) {
  (void)instance;
  return 1;
}

static void device_info(axle_instance *instance, uint32_t device, axle_device_info *info) {
  (void)instance, (void)device;
  info->id = "0";
  info->name = "A device that fails as it is told";
  info->kind = AXLE_DEVICE_KIND_OTHER;
  info->flags = AXLE_DEVICE_FLAG_EMULATED;
  info->parallel = 1;
}

static uint32_t op_count(axle_instance *instance) {
  (void)instance;
  return 1;
}

static void op_info(axle_instance *instance, uint32_t index, axle_op_info *info) {
  (void)instance, (void)index;
  static const int64_t any = -1;
  static const axle_tensor_spec bytes = {
      .name = "bytes", .dtype = AXLE_DTYPE_UINT8, .rank = 1, .dims = &any};
  info->op = OP_COPY;
  info->version = 1;
  info->name = "fault.axle/copy";
  info->doc = "Gives its input back, unless it was told to misbehave.";
  info->flags = AXLE_OP_FLAG_PURE | AXLE_OP_FLAG_IDEMPOTENT;
  info->inputs = &bytes;
  info->input_count = 1;
  info->outputs = &bytes;
  info->output_count = 1;
}

static uint32_t supports(axle_instance *instance, uint32_t device, const axle_op_query *query,
                         axle_error *why) {
  (void)instance, (void)device;
  if (query->op == OP_COPY) return 1;
  snprintf(why->message, sizeof why->message, "this plugin runs fault.axle/copy only");
  return 0;
}

static void health(axle_instance *instance, uint32_t device, axle_health *health) {
  (void)device;
  if (instance->fault == FAULT_LOST) {
    health->state = AXLE_HEALTH_LOST;
    snprintf(health->message, sizeof health->message, "it was told to be lost");
    return;
  }
  health->state = AXLE_HEALTH_OK;
}

static int32_t queue_open(axle_instance *instance, uint32_t device, axle_queue **queue,
                          axle_error *error) {
  (void)device, (void)error;
  *queue = (axle_queue *)instance;
  return AXLE_STATUS_OK;
}

static void queue_close(axle_instance *instance, axle_queue *queue) { (void)instance, (void)queue; }

static void append(axle_instance *instance, axle_task *task) {
  task->plugin_data = NULL;
  if (instance->first == NULL) {
    instance->first = task;
  } else {
    instance->last->plugin_data = task;
  }
  instance->last = task;
}

static int32_t submit(axle_instance *instance, axle_queue *queue, axle_task *const *tasks,
                      uint64_t n, axle_error *error) {
  (void)queue;
  if (instance->fault == FAULT_LOST) {
    snprintf(error->message, sizeof error->message, "the device is lost");
    return AXLE_STATUS_UNAVAILABLE;
  }
  if (instance->fault == FAULT_COMPLETE_IN_SUBMIT) {
    for (uint64_t i = 0; i < n; i++) run(instance, tasks[i]);
    return AXLE_STATUS_OK;
  }
  pthread_mutex_lock(&instance->mutex);
  for (uint64_t i = 0; i < n; i++) append(instance, tasks[i]);
  pthread_mutex_unlock(&instance->mutex);
  pthread_cond_signal(&instance->changed);
  return AXLE_STATUS_OK;
}

AXLE_EXPORT const axle_plugin *axle_plugin_query(uint32_t abi_major, uint32_t abi_minor) {
  static const axle_plugin table = {
      .struct_size = sizeof table,
      .abi_major = AXLE_ABI_MAJOR,
      .abi_minor = AXLE_ABI_MINOR,
      .name = "fault",
      .version = "0.1.0",
      .open = open_instance,
      .close = close_instance,
      .device_count = device_count,
      .device_info = device_info,
      .op_count = op_count,
      .op_info = op_info,
      .supports = supports,
      .health = health,
      .queue_open = queue_open,
      .queue_close = queue_close,
      .submit = submit,
  };
  return abi_major == AXLE_ABI_MAJOR && abi_minor == AXLE_ABI_MINOR ? &table : NULL;
}
