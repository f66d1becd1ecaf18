/* SPDX-License-Identifier: Apache-2.0
 * Streams of echo: what goes in comes out, but at most `window` bytes (argument) are consumed at once,
 * and each byte comes out `times` times (argument), at most output_bytes_max of them at once. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

struct axle_stream {
  uint64_t window;
  uint64_t times;
  uint64_t owed; /* of the last byte, still to be put out */
  unsigned char last;
  int fails;
  int overconsumes;
};

int32_t stream_open(axle_instance *instance, const axle_stream_config *config, axle_stream **stream,
                    axle_error *error) {
  (void)instance;
  axle_task arguments = {.args = config->args, .arg_count = config->arg_count};
  if (int_arg(&arguments, "refuse", 0) != 0) {
    strcpy(error->message, "no stream today");
    return AXLE_STATUS_RESOURCE_EXHAUSTED;
  }
  axle_stream *opened = calloc(1, sizeof *opened);
  if (opened == NULL) return AXLE_STATUS_RESOURCE_EXHAUSTED;
  opened->window = (uint64_t)int_arg(&arguments, "window", INT64_MAX);
  opened->times = (uint64_t)int_arg(&arguments, "times", 1);
  opened->fails = int_arg(&arguments, "fail", 0) != 0;
  opened->overconsumes = int_arg(&arguments, "overconsume", 0) != 0;
  *stream = opened;
  return AXLE_STATUS_OK;
}

int32_t stream_write(axle_instance *instance, axle_stream *stream, axle_task *task,
                     axle_error *error) {
  (void)error;
  task->plugin_data = stream;
  jobs_add(instance, &task, 1);
  return AXLE_STATUS_OK;
}

void stream_close(axle_instance *instance, axle_stream *stream) {
  (void)instance;
  free(stream);
}

void run_stream_task(axle_instance *instance, axle_task *task) {
  axle_stream *stream = task->plugin_data;
  if (stream->fails) {
    complete(instance, task, AXLE_STATUS_DATA_LOSS, "this stream fails", 1);
    return;
  }
  const axle_tensor *in = &task->inputs[0];
  unsigned char *bytes = malloc(in->bytes + 1);
  unsigned char *out = instance->host->alloc(task, task->output_bytes_max, AXLE_MEMORY_HOST);
  if (bytes == NULL || out == NULL) abort();
  gather(in, bytes);
  uint64_t consumed = 0;
  uint64_t made = 0;
  while (made < task->output_bytes_max) {
    if (stream->owed == 0) {
      if (consumed == in->bytes || consumed == stream->window) break;
      stream->last = bytes[consumed++];
      stream->owed = stream->times;
    }
    out[made++] = stream->last;
    --stream->owed;
  }
  free(bytes);
  int64_t dims = (int64_t)made;
  emit(instance, task, 0, NULL, AXLE_DTYPE_UINT8, 1, &dims, out, made);
  axle_completion completion = {.struct_size = sizeof completion,
                                .batch_size = 1,
                                .consumed_bytes = consumed + (uint64_t)stream->overconsumes,
                                .stream_more = stream->owed > 0};
  instance->host->complete(task, &completion);
}
