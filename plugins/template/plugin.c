/* SPDX-License-Identifier: Apache-2.0
 *
 * A plugin to copy: one device and one op, example.axle/invert, on one thread of its own. Everything that
 * a plugin must have is here, and nothing else; core/include/axle/plugin.h says what more there is. */
#include <axle/plugin.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define OP_INVERT AXLE_CUSTOM_OP_ID_FIRST

/* The opened plugin: a line of tasks and the thread that works it off. A task that waits is linked to the
 * next one by its plugin_data, so that nothing is allocated for it. */
struct axle_instance {
  const axle_host *host;
  pthread_t thread;
  pthread_mutex_t mutex; /* guards what follows */
  pthread_cond_t changed;
  axle_task *first;
  axle_task *last;
  int closing;
};

/* ---- the op ---------------------------------------------------------------------------------- */

static int32_t fail(axle_completion *end, int32_t status, const char *message) {
  end->message = message;
  return status;
}

/* Gives 255 - x for each byte. The input is a list of segments, which are gathered here, on the plugin's own
 * thread; the output is the host's memory, filled and handed over. */
static int32_t invert(const axle_host *host, axle_task *task, axle_completion *end) {
  if (task->input_count != 1 || task->inputs[0].dtype != AXLE_DTYPE_UINT8 ||
      task->inputs[0].rank != 1) {
    return fail(end, AXLE_STATUS_INVALID_ARGUMENT, "invert takes one input, UINT8 [n]");
  }
  const axle_tensor *input = &task->inputs[0];
  uint8_t *output = host->alloc(task, input->bytes, AXLE_MEMORY_HOST);
  if (output == NULL) {
    return fail(end, AXLE_STATUS_RESOURCE_EXHAUSTED, "the output is larger than the call allows");
  }
  uint8_t *to = output;
  for (uint64_t i = 0; i < input->segment_count; i++) {
    /* Long work asks now and then whether anybody still waits for it. */
    if (host->cancelled(task)) return AXLE_STATUS_CANCELLED;
    const uint8_t *from = input->segments[i].data;
    for (uint64_t j = 0; j < input->segments[i].bytes; j++) *to++ = (uint8_t)(255 - from[j]);
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

/* Completes the task, exactly once, whatever happens to it; afterwards it is the host's again. */
static void run(const axle_host *host, axle_task *task) {
  const uint64_t started_ns = host->now_ns();
  axle_completion end = {.struct_size = sizeof end};
  if (task->deadline_ns != 0 && started_ns > task->deadline_ns) {
    end.status = fail(&end, AXLE_STATUS_DEADLINE_EXCEEDED, "the deadline passed in the queue");
  } else {
    end.status = invert(host, task, &end);
  }
  end.compute_ns = host->now_ns() - started_ns;
  host->complete(task, &end);
}

/* ---- the thread ------------------------------------------------------------------------------ */

/* The first task in line, or NULL when there is none any more and the plugin closes. */
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
    run(instance->host, task);
  }
}

/* ---- the table ------------------------------------------------------------------------------- */

static int32_t open_instance(const axle_host *host, const axle_option *options,
                             uint64_t option_count, axle_instance **opened, axle_error *error) {
  if (option_count > 0) {
    snprintf(error->message, sizeof error->message, "there is no option '%s'; this plugin has none",
             options[0].key);
    return AXLE_STATUS_INVALID_ARGUMENT;
  }
  /* Here a driver would be looked for: AXLE_STATUS_UNAVAILABLE with the reason where there is none. */
  axle_instance *instance = calloc(1, sizeof *instance);
  if (instance == NULL) return AXLE_STATUS_RESOURCE_EXHAUSTED;
  instance->host = host;
  pthread_mutex_init(&instance->mutex, NULL);
  pthread_cond_init(&instance->changed, NULL);
  if (pthread_create(&instance->thread, NULL, work, instance) != 0) {
    snprintf(error->message, sizeof error->message, "no thread could be started");
    free(instance);
    return AXLE_STATUS_RESOURCE_EXHAUSTED;
  }
  *opened = instance;
  return AXLE_STATUS_OK;
}

/* No task is outstanding: the host sees to that. */
static void close_instance(axle_instance *instance) {
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

/* `info` is zeroed but for struct_size; what is left alone keeps its default. */
static void device_info(axle_instance *instance, uint32_t device, axle_device_info *info) {
  (void)instance, (void)device;
  info->id = "0";
  info->name = "Template device";
  info->kind = AXLE_DEVICE_KIND_CPU;
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
  info->op = OP_INVERT;
  info->version = 1;
  info->name = "example.axle/invert";
  info->doc = "Gives 255 - x for each byte.";
  /* Same input, same output: it may run again anywhere. Its tasks gain nothing from running together. */
  info->flags = AXLE_OP_FLAG_PURE | AXLE_OP_FLAG_IDEMPOTENT;
  info->inputs = &bytes;
  info->input_count = 1;
  info->outputs = &bytes;
  info->output_count = 1;
}

static uint32_t supports(axle_instance *instance, uint32_t device, const axle_op_query *query,
                         axle_error *why) {
  (void)instance, (void)device;
  if (query->op == OP_INVERT) return 1;
  snprintf(why->message, sizeof why->message, "this plugin runs example.axle/invert only");
  return 0;
}

/* All users of the device share one line, so a queue has nothing of its own. */
static int32_t queue_open(axle_instance *instance, uint32_t device, axle_queue **queue,
                          axle_error *error) {
  (void)device, (void)error;
  *queue = (axle_queue *)instance;
  return AXLE_STATUS_OK;
}

static void queue_close(axle_instance *instance, axle_queue *queue) { (void)instance, (void)queue; }

/* Only puts the tasks in line. What is wrong with one of them is found out by the thread, and is an error
 * of that task. */
static int32_t submit(axle_instance *instance, axle_queue *queue, axle_task *const *tasks,
                      uint64_t n, axle_error *error) {
  (void)queue, (void)error;
  pthread_mutex_lock(&instance->mutex);
  for (uint64_t i = 0; i < n; i++) {
    tasks[i]->plugin_data = NULL;
    if (instance->first == NULL) {
      instance->first = tasks[i];
    } else {
      instance->last->plugin_data = tasks[i];
    }
    instance->last = tasks[i];
  }
  pthread_mutex_unlock(&instance->mutex);
  pthread_cond_signal(&instance->changed);
  return AXLE_STATUS_OK;
}

/* No model, stream, health or statistics: those slots stay NULL. Nor cancel: host->cancelled() is enough. */
AXLE_EXPORT const axle_plugin *axle_plugin_query(uint32_t abi_major, uint32_t abi_minor) {
  static const axle_plugin table = {
      .struct_size = sizeof table,
      .abi_major = AXLE_ABI_MAJOR,
      .abi_minor = AXLE_ABI_MINOR,
      .name = "template",
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
