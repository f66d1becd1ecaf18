/* SPDX-License-Identifier: Apache-2.0
 * fault.axle/copy: gives its input back, unless it was told to misbehave. */
#include <stdlib.h>
#include <string.h>

#include "fault.h"

#define LEAKED_BYTES 16384u
#define LEAKED_LITTLE_BYTES 2048u
#define LEAKED_MUCH_BYTES (1024u * 1024u)
/* Further than the host looks where the kit does not ask for more, and within its block of memory. */
#define FAR_BYTES 40
/* Further than the fence that the kit asks for, and than any block of memory for its inputs. */
#define PAST_FENCE_BYTES 5000
#define PAST_BLOCK_BYTES 200000
/* For the host to take the result, and for whoever gave the input to change it. */
#define LATE_MS 50
#define LARGE_BYTES 1000000u
#define LARGE_BATCH 1000000u
#define OFTEN 500

void copy_describe(const axle_instance *instance, axle_op_info *info) {
  static const int64_t any = -1;
  static const axle_tensor_spec bytes = {
      .name = "bytes", .dtype = AXLE_DTYPE_UINT8, .rank = 1, .dims = &any};
  info->op = OP_COPY;
  info->version = 1;
  info->name = "fault.axle/copy";
  info->doc = "Gives its input back, unless it was told to misbehave.";
  info->flags = AXLE_OP_FLAG_PURE | AXLE_OP_FLAG_IDEMPOTENT | AXLE_OP_FLAG_BATCHABLE |
                AXLE_OP_FLAG_STREAMABLE;
  /* Which is true of it but for these two, and would have other tests go other ways. */
  if (instance->fault == FAULT_READ_TWICE || instance->fault == FAULT_READ_LATE) {
    info->flags |= AXLE_OP_FLAG_INPUTS_MAY_CHANGE;
  }
  info->inputs = &bytes;
  info->input_count = 1;
  info->outputs = &bytes;
  info->output_count = 1;
  arguments_describe(instance, info);
}

static int32_t fail(const axle_instance *instance, axle_completion *end, int32_t status,
                    const char *message) {
  if (instance->fault != FAULT_NO_MESSAGE) end->message = message;
  if (instance->fault == FAULT_LEAK_ON_ERROR) lose_memory(LEAKED_LITTLE_BYTES);
  if (instance->fault == FAULT_LEAK_DESCRIPTORS_ON_ERROR) lose_descriptor();
  return status;
}

static void gather(const axle_instance *instance, const axle_tensor *input, uint8_t *to) {
  const int all = instance->fault != FAULT_LEAVE_UNWRITTEN;
  for (uint64_t i = 0; i < input->segment_count; i++) {
    const axle_segment *segment = &input->segments[i];
    if (segment->bytes > 0) memcpy(to, segment->data, segment->bytes - (all ? 0 : 1));
    to += segment->bytes;
    if (instance->fault == FAULT_FIRST_SEGMENT_ONLY) return;
  }
}

static uint64_t sum_of(const uint8_t *data, uint64_t bytes) {
  uint64_t sum = 0;
  for (uint64_t i = 0; i < bytes; i++) sum = sum * 31 + data[i];
  return sum;
}

/* Takes the input for what it was at the first look, as one does that reads a length and then uses it. */
static void gather_twice(const axle_instance *instance, const axle_tensor *input, uint8_t *to) {
  gather(instance, input, to);
  const uint64_t looked_at = sum_of(to, input->bytes);
  gather(instance, input, to);
  if (sum_of(to, input->bytes) != looked_at) memset(to, 0xff, input->bytes);
}

/* Gives what went in before, if it was as long, and keeps this. */
static void exchange(axle_instance *instance, uint8_t *output, uint64_t bytes) {
  uint8_t *kept = malloc(bytes + 1);
  if (kept == NULL) abort();
  memcpy(kept, output, bytes);
  if (instance->previous_bytes == bytes && bytes > 0) memcpy(output, instance->previous, bytes);
  free(instance->previous);
  instance->previous = kept;
  instance->previous_bytes = bytes;
}

/* And so large that the host has not copied it. */
static int is_whole_in_one(const axle_tensor *input) {
  return input->segment_count == 1 && input->bytes > 4096;
}

static uint32_t queues_open(axle_instance *instance) {
  pthread_mutex_lock(&instance->mutex);
  const uint32_t queues = instance->queues;
  pthread_mutex_unlock(&instance->mutex);
  return queues;
}

static void spoil(axle_instance *instance, const axle_tensor *input, uint8_t *output) {
  switch (instance->fault) {
    case FAULT_WRITE_PAST_END:
      output[input->bytes] ^= 0x5a;
      return;
    case FAULT_WRITE_FAR_PAST_END:
      output[input->bytes + FAR_BYTES] ^= 0x5a;
      return;
    case FAULT_WRITE_PAST_FENCE:
      output[input->bytes + PAST_FENCE_BYTES] ^= 0x5a;
      return;
    case FAULT_WRITE_PAST_BLOCK:
      output[input->bytes + PAST_BLOCK_BYTES] ^= 0x5a;
      return;
    case FAULT_WRITE_BEFORE_START:
      output[-1] ^= 0x5a;
      return;
    case FAULT_READ_PAST_END:
      if (is_whole_in_one(input)) {
        output[0] ^= ((const uint8_t *)input->segments[0].data)[input->bytes];
      }
      return;
    case FAULT_CROSS_QUEUES:
      if (queues_open(instance) > 1) exchange(instance, output, input->bytes);
      return;
    case FAULT_STICKY_ARGUMENT:
      if (input->bytes > 0) output[0] ^= (uint8_t)instance->gain;
      return;
    case FAULT_CHANGING_OUTPUT:
      if (input->bytes > 0) output[0] ^= ++instance->runs;
      return;
    case FAULT_PREVIOUS_OUTPUT:
      exchange(instance, output, input->bytes);
      return;
    case FAULT_WRITE_INPUT:
      for (uint64_t i = 0; i < input->segment_count; i++) {
        if (input->segments[i].bytes > 0) *(uint8_t *)input->segments[i].data ^= 0xff;
      }
      return;
    case FAULT_LEAK:
      lose_memory(LEAKED_BYTES);
      return;
    case FAULT_LEAK_LITTLE:
      lose_memory(LEAKED_LITTLE_BYTES);
      return;
    case FAULT_LEAK_MUCH:
      lose_memory(LEAKED_MUCH_BYTES);
      return;
    case FAULT_LEAK_DESCRIPTORS:
      lose_descriptor();
      return;
    default:
      return;
  }
}

static int begins_with(const axle_tensor *input, uint8_t byte) {
  if (input->segment_count == 0 || input->segments[0].bytes == 0) return 0;
  return *(const uint8_t *)input->segments[0].data == byte;
}

static int32_t copy(axle_instance *instance, axle_task *task, axle_completion *end,
                    uint8_t **emitted) {
  const axle_host *host = instance->host;
  if (instance->status != AXLE_STATUS_OK) {
    return fail(instance, end, instance->status, "it fails as it was told to");
  }
  if (task->input_count != 1 || task->inputs[0].dtype != AXLE_DTYPE_UINT8 ||
      task->inputs[0].rank != 1) {
    return fail(instance, end, AXLE_STATUS_INVALID_ARGUMENT, "copy takes one input, UINT8 [n]");
  }
  const char *why = NULL;
  const int32_t argument_status = arguments_check(instance, task, &why);
  if (argument_status != AXLE_STATUS_OK) return fail(instance, end, argument_status, why);
  if (instance->fault == FAULT_REFUSE_ALL) {
    return fail(instance, end, AXLE_STATUS_INVALID_ARGUMENT, "it refuses whatever it is given");
  }
  const uint64_t now_ns = instance->fault == FAULT_WRONG_CLOCK ? UINT64_MAX : host->now_ns();
  if (task->deadline_ns != 0 && now_ns > task->deadline_ns) {
    const int32_t status =
        instance->fault == FAULT_LATE_STATUS ? AXLE_STATUS_UNKNOWN : AXLE_STATUS_DEADLINE_EXCEEDED;
    return fail(instance, end, status, "the deadline passed in the queue");
  }
  if (host->cancelled(task)) {
    return fail(
        instance, end,
        instance->fault == FAULT_CANCEL_STATUS ? AXLE_STATUS_UNKNOWN : AXLE_STATUS_CANCELLED,
        "nobody waits for it");
  }
  if (instance->fault == FAULT_CRASH) abort();
  if (instance->fault == FAULT_EXIT) exit(0);
  const axle_tensor *input = &task->inputs[0];
  if (instance->fault == FAULT_CRASH_WHEN_LARGE && input->bytes > LARGE_BYTES) abort();
  if (instance->fault == FAULT_CRASH_WHEN_EMPTY && input->bytes == 0) abort();
  if (instance->fault == FAULT_CRASH_WHEN_ONE && input->bytes == 1) abort();
  if (instance->fault == FAULT_CRASH_ON_ODD_VALUE && begins_with(input, 0xff)) abort();
  uint8_t *output = host->alloc(task, input->bytes, AXLE_MEMORY_HOST);
  if (output == NULL) {
    if (instance->fault == FAULT_IGNORE_CAP) return AXLE_STATUS_OK;
    return fail(instance, end, AXLE_STATUS_RESOURCE_EXHAUSTED,
                "the output is larger than the call allows");
  }
  if (instance->fault == FAULT_READ_TWICE) {
    gather_twice(instance, input, output);
  } else if (instance->fault != FAULT_READ_LATE) {
    gather(instance, input, output);
  }
  spoil(instance, input, output);
  const int64_t wrong_dim = input->dims[0] + 1;
  const axle_chunk chunk = {
      .struct_size = sizeof chunk,
      .output = instance->fault == FAULT_WRONG_OUTPUT,
      .dtype = instance->fault == FAULT_WRONG_TYPE ? AXLE_DTYPE_INT8 : AXLE_DTYPE_UINT8,
      .dims = instance->fault == FAULT_WRONG_SIZE ? &wrong_dim : input->dims,
      .rank = 1,
      .data = output,
      .bytes = input->bytes,
  };
  *emitted = output;
  const int32_t status = host->emit(task, &chunk);
  tamper_with(instance, task);
  return status;
}

static void emit_late(const axle_host *host, axle_task *task) {
  const int64_t none = 0;
  const axle_chunk chunk = {
      .struct_size = sizeof chunk, .dtype = AXLE_DTYPE_UINT8, .dims = &none, .rank = 1};
  host->emit(task, &chunk);
}

/* A task that fails takes those with it that wait behind it. */
static void spread(axle_instance *instance, axle_completion *end) {
  if (instance->spreading != AXLE_STATUS_OK) {
    end->status = instance->spreading;
    end->message = "one before it failed";
  }
  instance->spreading = line_is_empty(instance) ? AXLE_STATUS_OK : end->status;
}

void end_task(axle_instance *instance, axle_task *task, const axle_completion *end) {
  pthread_mutex_lock(&instance->mutex);
  instance->tasks_ended++;
  if (instance->line.outstanding > 0) instance->line.outstanding--;
  pthread_cond_broadcast(&instance->changed);
  pthread_mutex_unlock(&instance->mutex);
  instance->host->complete(task, end);
}

/* Its own copy of where the input lies: the task is gone when it has ended. */
static void run_late(axle_instance *instance, axle_task *task, const axle_completion *end,
                     uint8_t *output) {
  const axle_tensor input = task->inputs[0];
  axle_segment segment = {0};
  if (input.segment_count > 0) segment = input.segments[0];
  end_task(instance, task, end);
  pause_ms(LATE_MS);
  if (segment.bytes > 0) memcpy(output, segment.data, segment.bytes);
}

/* One rule after the other, the second only when the first was broken often. */
static void break_more(axle_instance *instance, axle_task *task, const axle_completion *end) {
  instance->host->complete(task, end);
  if (++instance->broken > OFTEN) emit_late(instance->host, task);
}

void copy_run(axle_instance *instance, axle_task *task) {
  axle_completion end = {.struct_size = sizeof end};
  if (instance->delay_ms > 0) pause_ms(instance->delay_ms);
  if (instance->fault == FAULT_NEVER_COMPLETE) return;
  if (instance->fault == FAULT_LOSE_CANCELLED && instance->host->cancelled(task)) return;
  uint8_t *emitted = NULL;
  end.status = copy(instance, task, &end, &emitted);
  if (instance->fault == FAULT_BATCH_SIZE) end.batch_size = LARGE_BATCH;
  if (instance->fault == FAULT_LONG_TIMES) end.compute_ns = instance->host->now_ns();
  if (instance->fault == FAULT_FAIL_TOGETHER) spread(instance, &end);
  if (instance->fault == FAULT_READ_LATE && end.status == AXLE_STATUS_OK) {
    run_late(instance, task, &end, emitted);
    return;
  }
  end_task(instance, task, &end);
  if (instance->fault == FAULT_COMPLETE_TWICE) instance->host->complete(task, &end);
  if (instance->fault == FAULT_EMIT_AFTER_COMPLETE) emit_late(instance->host, task);
  if (instance->fault == FAULT_MORE_AND_MORE) break_more(instance, task, &end);
}
