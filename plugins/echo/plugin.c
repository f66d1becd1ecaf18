/* SPDX-License-Identifier: Apache-2.0
 *
 * A plugin that gives its input back: echo.axle/echo. It does as little as a plugin can, so what a call of it
 * costs is the cost of the way there and back. Options:
 *   spin_us=N   how long its thread looks for more tasks before it sleeps; 0 (the default) .. 10000. A thread
 *               that is awake needs no wake-up, and takes a core for as long as it looks */
#include <axle/plugin.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OP_ECHO AXLE_CUSTOM_OP_ID_FIRST
#define SPIN_US_MAX 10000

/* The opened plugin: the tasks that wait, and the thread that takes all of them at once. They are a list
 * linked by plugin_data, the one submitted last being first: any thread can put a batch before it with one
 * exchange of a pointer, and nothing is allocated. */
struct axle_instance {
  const axle_host *host;
  uint64_t spin_ns;
  pthread_t thread;
  _Atomic(axle_task *) newest;
  atomic_bool closing;
  atomic_bool asleep; /* whoever clears it wakes the thread */
  pthread_mutex_t mutex;
  pthread_cond_t wake;
};

/* ---- the op ---------------------------------------------------------------------------------- */

static int32_t fail(axle_completion *end, int32_t status, const char *message) {
  end->message = message;
  return status;
}

static int32_t echo(const axle_host *host, axle_task *task, axle_completion *end) {
  if (task->input_count != 1 || task->inputs[0].dtype != AXLE_DTYPE_UINT8 ||
      task->inputs[0].rank != 1) {
    return fail(end, AXLE_STATUS_INVALID_ARGUMENT, "echo takes one input, UINT8 [n]");
  }
  if (host->cancelled(task)) return AXLE_STATUS_CANCELLED;
  const axle_tensor *input = &task->inputs[0];
  uint8_t *output = host->alloc(task, input->bytes, AXLE_MEMORY_SHARED);
  if (output == NULL) {
    return fail(end, AXLE_STATUS_RESOURCE_EXHAUSTED, "the output is larger than the call allows");
  }
  uint8_t *to = output;
  for (uint64_t i = 0; i < input->segment_count; i++) {
    const axle_segment *segment = &input->segments[i];
    if (segment->bytes > 0) memcpy(to, segment->data, segment->bytes);
    to += segment->bytes;
  }
  const axle_chunk chunk = {
      .struct_size = sizeof chunk,
      .dtype = AXLE_DTYPE_UINT8,
      .dims = input->dims,
      .rank = 1,
      .data = output,
      .bytes = input->bytes,
  };
  return host->emit(task, &chunk);
}

static void run(const axle_host *host, axle_task *task) {
  const uint64_t started_ns = host->now_ns();
  axle_completion end = {.struct_size = sizeof end};
  if (task->deadline_ns != 0 && started_ns > task->deadline_ns) {
    end.status = fail(&end, AXLE_STATUS_DEADLINE_EXCEEDED, "the deadline passed in the queue");
  } else {
    end.status = echo(host, task, &end);
  }
  end.compute_ns = host->now_ns() - started_ns;
  host->complete(task, &end);
}

/* ---- the tasks that wait --------------------------------------------------------------------- */

static void add(axle_instance *instance, axle_task *const *tasks, uint64_t n) {
  for (uint64_t i = 1; i < n; i++) tasks[i]->plugin_data = tasks[i - 1];
  axle_task *next = atomic_load_explicit(&instance->newest, memory_order_relaxed);
  do {
    tasks[0]->plugin_data = next;
  } while (!atomic_compare_exchange_weak(&instance->newest, &next, tasks[n - 1]));
}

/* All tasks that wait, in the order of their submission; NULL when there is none. */
static axle_task *take(axle_instance *instance) {
  axle_task *newest = atomic_exchange(&instance->newest, NULL);
  axle_task *oldest = NULL;
  while (newest != NULL) {
    axle_task *before = newest->plugin_data;
    newest->plugin_data = oldest;
    oldest = newest;
    newest = before;
  }
  return oldest;
}

/* ---- the thread ------------------------------------------------------------------------------ */

/* The lock is taken so that the thread is not between its last look and its wait; signalled under it, the
 * thread would wake only to wait for the lock, which is a second wake-up. */
static void wake(axle_instance *instance) {
  if (!atomic_load(&instance->asleep) || !atomic_exchange(&instance->asleep, false)) return;
  pthread_mutex_lock(&instance->mutex);
  pthread_mutex_unlock(&instance->mutex);
  pthread_cond_signal(&instance->wake);
}

static int has_work(axle_instance *instance) {
  return atomic_load(&instance->newest) != NULL || atomic_load(&instance->closing);
}

static void spin(axle_instance *instance) {
  const axle_host *host = instance->host;
  const uint64_t until_ns = host->now_ns() + instance->spin_ns;
  while (!has_work(instance) && host->now_ns() < until_ns) continue;
}

/* `asleep` is set before the last look: a submit that comes after that look sees it, and wakes. */
static void sleep_until_work(axle_instance *instance) {
  pthread_mutex_lock(&instance->mutex);
  for (;;) {
    atomic_store(&instance->asleep, true);
    if (has_work(instance)) break;
    pthread_cond_wait(&instance->wake, &instance->mutex);
  }
  atomic_store(&instance->asleep, false);
  pthread_mutex_unlock(&instance->mutex);
}

static void *work(void *data) {
  axle_instance *instance = data;
  for (;;) {
    axle_task *task = take(instance);
    if (task == NULL) {
      if (atomic_load(&instance->closing)) return NULL;
      if (instance->spin_ns > 0) spin(instance);
      if (!has_work(instance)) sleep_until_work(instance);
    }
    while (task != NULL) {
      axle_task *next = task->plugin_data; /* after its completion the task is the host's */
      run(instance->host, task);
      task = next;
    }
  }
}

/* ---- the table ------------------------------------------------------------------------------- */

static int32_t read_option(axle_instance *instance, const axle_option *option, axle_error *error) {
  if (strcmp(option->key, "spin_us") != 0) {
    snprintf(error->message, sizeof error->message, "there is no option '%s'; there is spin_us",
             option->key);
    return AXLE_STATUS_INVALID_ARGUMENT;
  }
  char *end = NULL;
  const long us = strtol(option->value, &end, 10);
  if (end == option->value || *end != '\0' || us < 0 || us > SPIN_US_MAX) {
    snprintf(error->message, sizeof error->message, "spin_us is '%s'; give a whole number, 0 to %d",
             option->value, SPIN_US_MAX);
    return AXLE_STATUS_INVALID_ARGUMENT;
  }
  instance->spin_ns = (uint64_t)us * 1000;
  return AXLE_STATUS_OK;
}

static int32_t open_instance(const axle_host *host, const axle_option *options,
                             uint64_t option_count, axle_instance **opened, axle_error *error) {
  axle_instance *instance = calloc(1, sizeof *instance);
  if (instance == NULL) return AXLE_STATUS_RESOURCE_EXHAUSTED;
  instance->host = host;
  for (uint64_t i = 0; i < option_count; i++) {
    const int32_t status = read_option(instance, &options[i], error);
    if (status == AXLE_STATUS_OK) continue;
    free(instance);
    return status;
  }
  pthread_mutex_init(&instance->mutex, NULL);
  pthread_cond_init(&instance->wake, NULL);
  if (pthread_create(&instance->thread, NULL, work, instance) != 0) {
    snprintf(error->message, sizeof error->message, "no thread could be started");
    pthread_cond_destroy(&instance->wake);
    pthread_mutex_destroy(&instance->mutex);
    free(instance);
    return AXLE_STATUS_RESOURCE_EXHAUSTED;
  }
  *opened = instance;
  return AXLE_STATUS_OK;
}

/* No task is outstanding: the host sees to that. */
static void close_instance(axle_instance *instance) {
  atomic_store(&instance->closing, true);
  wake(instance);
  pthread_join(instance->thread, NULL);
  pthread_cond_destroy(&instance->wake);
  pthread_mutex_destroy(&instance->mutex);
  free(instance);
}

static uint32_t device_count(axle_instance *instance) {
  (void)instance;
  return 1;
}

/* It stands for no hardware, so it is not an emulation of any. */
static void device_info(axle_instance *instance, uint32_t device, axle_device_info *info) {
  (void)instance, (void)device;
  info->id = "0";
  info->name = "Echo";
  info->kind = AXLE_DEVICE_KIND_OTHER;
  info->flags = AXLE_DEVICE_FLAG_SHARED_MEMORY;
  info->parallel = 1;
}

static uint32_t op_count(axle_instance *instance) {
  (void)instance;
  return 1;
}

/* Tasks of one submit are worked off without a wake-up in between: that is what they gain by coming together. */
static void op_info(axle_instance *instance, uint32_t index, axle_op_info *info) {
  (void)instance, (void)index;
  static const int64_t any = -1;
  static const axle_tensor_spec bytes = {
      .name = "bytes", .dtype = AXLE_DTYPE_UINT8, .rank = 1, .dims = &any};
  info->op = OP_ECHO;
  info->version = 1;
  info->name = "echo.axle/echo";
  info->doc = "Gives its input back.";
  info->flags = AXLE_OP_FLAG_PURE | AXLE_OP_FLAG_IDEMPOTENT | AXLE_OP_FLAG_BATCHABLE |
                AXLE_OP_FLAG_INPUTS_MAY_CHANGE;
  info->inputs = &bytes;
  info->input_count = 1;
  info->outputs = &bytes;
  info->output_count = 1;
}

static uint32_t supports(axle_instance *instance, uint32_t device, const axle_op_query *query,
                         axle_error *why) {
  (void)instance, (void)device;
  if (query->op == OP_ECHO) return 1;
  snprintf(why->message, sizeof why->message, "this plugin runs echo.axle/echo only");
  return 0;
}

/* All users of the device share one list of tasks, so a queue has nothing of its own. */
static int32_t queue_open(axle_instance *instance, uint32_t device, axle_queue **queue,
                          axle_error *error) {
  (void)device, (void)error;
  *queue = (axle_queue *)instance;
  return AXLE_STATUS_OK;
}

static void queue_close(axle_instance *instance, axle_queue *queue) { (void)instance, (void)queue; }

static int32_t submit(axle_instance *instance, axle_queue *queue, axle_task *const *tasks,
                      uint64_t n, axle_error *error) {
  (void)queue, (void)error;
  add(instance, tasks, n);
  wake(instance);
  return AXLE_STATUS_OK;
}

/* No model, stream, health or statistics: those slots stay NULL. Nor cancel: host->cancelled() is enough. */
AXLE_EXPORT const axle_plugin *axle_plugin_query(uint32_t abi_major, uint32_t abi_minor) {
  static const axle_plugin table = {
      .struct_size = sizeof table,
      .abi_major = AXLE_ABI_MAJOR,
      .abi_minor = AXLE_ABI_MINOR,
      .name = "echo",
      .version = "0.1.0",
      .open = open_instance,
      .close = close_instance,
      .device_count = device_count,
      .device_info = device_info,
      .op_count = op_count,
      .op_info = op_info,
      .supports = supports,
      .queue_open = queue_open,
      .queue_close = queue_close,
      .submit = submit,
  };
  return abi_major == AXLE_ABI_MAJOR && abi_minor == AXLE_ABI_MINOR ? &table : NULL;
}
