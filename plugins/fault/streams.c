/* SPDX-License-Identifier: Apache-2.0
 * Streams of copy, which keep what they could not put out yet, and those of the wrapped plugin. */
#include <stdlib.h>
#include <string.h>

#include "fault.h"

#define LEAKED_BYTES 65536u
#define BLOCKED_MS 20

/* What FAULT_STREAM_SHARED puts all streams into. Its thread alone uses it. */
static stream_buffer shared_buffer;

static stream_buffer *buffer_of(const axle_instance *instance, axle_stream *stream) {
  return instance->fault == FAULT_STREAM_SHARED ? &shared_buffer : &stream->buffer;
}

/* Takes as much of the input as there is room for; says how much. */
static uint64_t take_in(const axle_instance *instance, axle_stream *stream,
                        const axle_tensor *input) {
  stream_buffer *buffer = buffer_of(instance, stream);
  uint64_t taken = 0;
  for (uint64_t i = 0; i < input->segment_count; i++) {
    const axle_segment *segment = &input->segments[i];
    const uint64_t room = STREAM_BYTES - buffer->bytes;
    const uint64_t bytes = segment->bytes < room ? segment->bytes : room;
    if (bytes > 0) memcpy(buffer->data + buffer->bytes, segment->data, bytes);
    buffer->bytes += bytes;
    taken += bytes;
  }
  if (instance->fault == FAULT_STREAM_DROP && stream->has_begun && taken > 0) buffer->bytes--;
  stream->has_begun = 1;
  return taken;
}

static int32_t put_out(const axle_instance *instance, axle_stream *stream, axle_task *task) {
  const axle_host *host = instance->host;
  stream_buffer *buffer = buffer_of(instance, stream);
  const int keeps_cap = instance->fault != FAULT_STREAM_OVER_CAP;
  const uint64_t cap = task->output_bytes_max;
  const uint64_t bytes = keeps_cap && cap < buffer->bytes ? cap : buffer->bytes;
  uint8_t *output = host->alloc(task, bytes, AXLE_MEMORY_HOST);
  if (output == NULL) return AXLE_STATUS_RESOURCE_EXHAUSTED;
  memcpy(output, buffer->data, bytes);
  buffer->bytes -= bytes;
  memmove(buffer->data, buffer->data + bytes, buffer->bytes);
  const int64_t dims = (int64_t)bytes;
  const axle_chunk chunk = {
      .struct_size = sizeof chunk,
      .dtype = AXLE_DTYPE_UINT8,
      .dims = &dims,
      .rank = 1,
      .data = output,
      .bytes = bytes,
  };
  return host->emit(task, &chunk);
}

static int32_t write(const axle_instance *instance, axle_stream *stream, axle_completion *end) {
  axle_task *task = stream->task;
  if (instance->host->cancelled(task)) {
    if (instance->fault == FAULT_STREAM_LEAK_ON_ERROR) lose_memory(LEAKED_BYTES);
    end->message = "nobody waits for it";
    return instance->fault == FAULT_STREAM_CANCEL_STATUS ? AXLE_STATUS_UNKNOWN
                                                         : AXLE_STATUS_CANCELLED;
  }
  if (instance->fault == FAULT_STREAM_STUCK) {
    end->stream_more = 1;
    return AXLE_STATUS_OK;
  }
  const int ends = (task->stream_flags & AXLE_STREAM_END) != 0;
  if (instance->fault == FAULT_STREAM_EMPTY && ends && !stream->has_begun &&
      task->inputs[0].bytes == 0) {
    end->message = "there is nothing to copy";
    return AXLE_STATUS_INTERNAL;
  }
  end->consumed_bytes = take_in(instance, stream, &task->inputs[0]);
  const int32_t status = put_out(instance, stream, task);
  const int says_more = instance->fault != FAULT_STREAM_NO_MORE;
  end->stream_more = says_more && buffer_of(instance, stream)->bytes > 0;
  return status;
}

void stream_run(axle_instance *instance, axle_stream *stream) {
  axle_completion end = {.struct_size = sizeof end};
  if (instance->delay_ms > 0) pause_ms(instance->delay_ms);
  end.status = write(instance, stream, &end);
  instance->host->complete(stream->task, &end);
}

int32_t stream_open(axle_instance *instance, const axle_stream_config *config, axle_stream **stream,
                    axle_error *error) {
  if (instance->fault == FAULT_SLOW_STREAM_OPEN) pause_ms(BLOCKED_MS);
  axle_stream *opened = calloc(1, sizeof *opened);
  if (opened == NULL) return AXLE_STATUS_RESOURCE_EXHAUSTED;
  if (instance->fault == FAULT_STREAM_WRITE_ARGUMENTS) {
    tamper_with_arguments(config->args, config->arg_count);
  }
  if (instance->fault == FAULT_STREAM_LEAK) lose_memory(LEAKED_BYTES);
  if (config->op != OP_COPY) {
    const wrapped *wrapped = instance->wrapped;
    const int32_t status =
        wrapped->table->stream_open(wrapped->instance, config, &opened->inner, error);
    if (status != AXLE_STATUS_OK) {
      free(opened);
      return status;
    }
  }
  *stream = opened;
  return AXLE_STATUS_OK;
}

int32_t stream_write(axle_instance *instance, axle_stream *stream, axle_task *task,
                     axle_error *error) {
  const wrapped *wrapped = instance->wrapped;
  if (stream->inner != NULL) {
    return wrapped->table->stream_write(wrapped->instance, stream->inner, task, error);
  }
  if (instance->fault == FAULT_SLOW_STREAM_WRITE) pause_ms(BLOCKED_MS);
  stream->task = task;
  line_add_stream(instance, stream);
  return AXLE_STATUS_OK;
}

void stream_close(axle_instance *instance, axle_stream *stream) {
  if (stream->inner != NULL) {
    instance->wrapped->table->stream_close(instance->wrapped->instance, stream->inner);
  }
  if (instance->fault == FAULT_STREAM_CRASH_ON_CLOSE && stream->buffer.bytes > 0) abort();
  free(stream);
}
