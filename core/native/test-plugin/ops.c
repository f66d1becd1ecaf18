/* SPDX-License-Identifier: Apache-2.0
 * What the test plugin's well-behaved ops do. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

const axle_arg *find_arg(const axle_task *task, const char *name) {
  for (uint64_t i = 0; i < task->arg_count; ++i) {
    if (strcmp(task->args[i].name, name) == 0) return &task->args[i];
  }
  return NULL;
}

int64_t int_arg(const axle_task *task, const char *name, int64_t otherwise) {
  const axle_arg *arg = find_arg(task, name);
  return arg == NULL ? otherwise : arg->value.i;
}

int arg_is(const axle_task *task, const char *name, const char *value) {
  const axle_arg *arg = find_arg(task, name);
  return arg != NULL && arg->bytes == strlen(value) &&
         memcmp(arg->value.data, value, arg->bytes) == 0;
}

void complete(axle_instance *instance, axle_task *task, int32_t status, const char *message,
              uint32_t batch_size) {
  axle_completion completion = {.struct_size = sizeof completion,
                                .status = status,
                                .batch_size = batch_size,
                                .message = message,
                                .queue_ns = 1,
                                .transfer_ns = 2,
                                .compute_ns = 3};
  instance->host->complete(task, &completion);
}

void gather(const axle_tensor *tensor, void *to) {
  char *at = to;
  for (uint64_t i = 0; i < tensor->segment_count; ++i) {
    if (tensor->segments[i].bytes == 0) continue;
    memcpy(at, tensor->segments[i].data, tensor->segments[i].bytes);
    at += tensor->segments[i].bytes;
  }
}

int32_t emit(axle_instance *instance, axle_task *task, uint32_t output, const char *name,
             uint32_t dtype, uint32_t rank, const int64_t *dims, void *data, uint64_t bytes) {
  axle_chunk chunk = {.struct_size = sizeof chunk,
                      .output = output,
                      .dtype = dtype,
                      .name = name,
                      .dims = dims,
                      .rank = rank,
                      .data = data,
                      .bytes = bytes};
  return instance->host->emit(task, &chunk);
}

static void fail_no_memory(axle_instance *instance, axle_task *task) {
  complete(instance, task, AXLE_STATUS_RESOURCE_EXHAUSTED, "the output is over its cap", 1);
}

static void echo(axle_instance *instance, axle_task *task, uint32_t batch_size) {
  for (uint64_t i = 0; i < task->input_count; ++i) {
    const axle_tensor *in = &task->inputs[i];
    void *out = instance->host->alloc(task, in->bytes, AXLE_MEMORY_HOST);
    if (out == NULL) {
      fail_no_memory(instance, task);
      return;
    }
    gather(in, out);
    emit(instance, task, (uint32_t)i, in->name, in->dtype, in->rank, in->dims, out, in->bytes);
  }
  complete(instance, task, AXLE_STATUS_OK, NULL, batch_size);
}

static void fill(axle_instance *instance, axle_task *task) {
  uint64_t left = (uint64_t)int_arg(task, "bytes", 0);
  uint64_t chunks = (uint64_t)int_arg(task, "chunks", 1);
  uint64_t waste = (uint64_t)int_arg(task, "waste", 0);
  uint32_t kind = int_arg(task, "shared", 0) != 0 ? AXLE_MEMORY_SHARED : AXLE_MEMORY_HOST;
  uint64_t position = 0;
  for (uint64_t i = 0; i < chunks; ++i) {
    uint64_t bytes = i + 1 == chunks ? left : left / (chunks - i);
    int resizes = int_arg(task, "resize", 0) != 0;
    unsigned char *data = instance->host->alloc(task, resizes ? bytes / 2 : bytes + waste, kind);
    if (data == NULL) {
      fail_no_memory(instance, task);
      return;
    }
    uint64_t first = resizes ? bytes / 2 : bytes;
    for (uint64_t k = 0; k < first; ++k) data[k] = (unsigned char)((position + k) % 251);
    if (resizes) {
      data = instance->host->resize(task, data, bytes + waste);
      if (data == NULL) {
        fail_no_memory(instance, task);
        return;
      }
      for (uint64_t k = first; k < bytes; ++k) data[k] = (unsigned char)((position + k) % 251);
    }
    int64_t dims = (int64_t)bytes;
    emit(instance, task, 0, NULL, AXLE_DTYPE_UINT8, 1, &dims, data, bytes);
    position += bytes;
    left -= bytes;
  }
  /* Given back, and left to the host. */
  void *released = instance->host->alloc(task, 1, AXLE_MEMORY_PINNED);
  if (released != NULL) instance->host->release(task, released);
  (void)instance->host->alloc(task, 1, AXLE_MEMORY_SHARED);
  complete(instance, task, AXLE_STATUS_OK, NULL, 1);
}

typedef struct text {
  char data[16384];
  size_t bytes;
} text;

static void add_text(text *to, const char *pattern, ...) {
  va_list arguments;
  va_start(arguments, pattern);
  int added = vsnprintf(to->data + to->bytes, sizeof to->data - to->bytes, pattern, arguments);
  va_end(arguments);
  to->bytes += (size_t)added;
  if (to->bytes >= sizeof to->data) to->bytes = sizeof to->data - 1;
}

static void emit_text(axle_instance *instance, axle_task *task, const text *from) {
  void *data = instance->host->alloc(task, from->bytes, AXLE_MEMORY_HOST);
  if (data == NULL) {
    fail_no_memory(instance, task);
    return;
  }
  memcpy(data, from->data, from->bytes);
  int64_t dims = (int64_t)from->bytes;
  emit(instance, task, 0, "text", AXLE_DTYPE_UINT8, 1, &dims, data, from->bytes);
  complete(instance, task, AXLE_STATUS_OK, NULL, 1);
}

static void reflect_args(axle_instance *instance, axle_task *task) {
  text out = {.bytes = 0};
  for (uint64_t i = 0; i < task->arg_count; ++i) {
    const axle_arg *arg = &task->args[i];
    add_text(&out, "%s:%u:", arg->name, arg->type);
    if (arg->type == AXLE_ARG_FLOAT) {
      add_text(&out, "%.17g\n", arg->value.f);
    } else if (arg->type == AXLE_ARG_STRING || arg->type == AXLE_ARG_BYTES) {
      add_text(&out, "%.*s\n", (int)arg->bytes, (const char *)arg->value.data);
    } else {
      add_text(&out, "%lld\n", (long long)arg->value.i);
    }
  }
  emit_text(instance, task, &out);
}

static void describe(axle_instance *instance, axle_task *task) {
  text out = {.bytes = 0};
  add_text(&out, "deadline %d cap %llu chain %u-%u\n", task->deadline_ns != 0,
           (unsigned long long)task->output_bytes_max, task->chain_first, task->chain_last);
  for (uint64_t i = 0; i < task->input_count; ++i) {
    const axle_tensor *in = &task->inputs[i];
    add_text(&out, "%s %u [", in->name == NULL ? "-" : in->name, in->dtype);
    for (uint32_t k = 0; k < in->rank; ++k) add_text(&out, " %lld", (long long)in->dims[k]);
    add_text(&out, " ] %llu bytes in %llu\n", (unsigned long long)in->bytes,
             (unsigned long long)in->segment_count);
  }
  emit_text(instance, task, &out);
}

static void infer(axle_instance *instance, axle_task *task) {
  uint64_t bytes = task->model->byte_count;
  void *data = instance->host->alloc(task, bytes, AXLE_MEMORY_HOST);
  if (data == NULL) {
    fail_no_memory(instance, task);
    return;
  }
  memcpy(data, task->model->bytes, bytes);
  int64_t dims = (int64_t)bytes;
  emit(instance, task, 0, "content", AXLE_DTYPE_UINT8, 1, &dims, data, bytes);
  complete(instance, task, AXLE_STATUS_OK, NULL, 1);
}

void run_task(axle_instance *instance, axle_task *task, uint32_t batch_size) {
  if (task->plugin_data != NULL) {
    run_stream_task(instance, task);
    return;
  }
  switch (task->op) {
    case AXLE_OP_INFER:
      infer(instance, task);
      return;
    case OP_ARGS:
      reflect_args(instance, task);
      return;
    case OP_DESCRIBE:
      describe(instance, task);
      return;
    case OP_FILL:
      fill(instance, task);
      return;
    case OP_MISBEHAVE:
      misbehave(instance, task);
      return;
    case OP_SLEEP:
      if (instance->host->cancelled(task)) {
        complete(instance, task, AXLE_STATUS_CANCELLED, "cancelled while asleep", 1);
        return;
      }
      break;
    default:
      break;
  }
  echo(instance, task, batch_size);
}
