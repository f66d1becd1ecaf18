/* SPDX-License-Identifier: Apache-2.0
 * The host as the wrapped plugin sees it: what it hands over is spoilt on its way. */
#include <string.h>

#include "fault.h"

#define SKIPPABLE_MAGIC 0x184d2a50u /* of zstd and lz4: a frame that decoders pass over */
#define SKIPPABLE_BYTES 1000000u
#define NUMBER_ERROR 0.05f

/* A host's table is valid for the life of the process, and there is one for each plugin. */
static const axle_host *real_host;

static int32_t emit_wrong_numbers(axle_task *task, const axle_chunk *chunk) {
  if (chunk->dtype == AXLE_DTYPE_FP32 && chunk->bytes >= sizeof(float)) {
    float value = 0;
    memcpy(&value, chunk->data, sizeof value);
    value += NUMBER_ERROR;
    memcpy(chunk->data, &value, sizeof value);
  }
  return real_host->emit(task, chunk);
}

static int32_t emit_wrong_range(axle_task *task, const axle_chunk *chunk) {
  return task->chain_last > 0 ? emit_wrong_numbers(task, chunk) : real_host->emit(task, chunk);
}

static int32_t emit_flipped(axle_task *task, const axle_chunk *chunk) {
  if (chunk->dtype == AXLE_DTYPE_UINT8 && chunk->bytes > 0) {
    ((uint8_t *)chunk->data)[chunk->bytes - 1] ^= 1;
  }
  return real_host->emit(task, chunk);
}

static void emit_skippable_frame(axle_task *task) {
  const int64_t bytes = SKIPPABLE_BYTES;
  uint8_t *frame = real_host->alloc(task, SKIPPABLE_BYTES, AXLE_MEMORY_HOST);
  if (frame == NULL) return;
  memset(frame, 0, SKIPPABLE_BYTES);
  const uint32_t header[2] = {SKIPPABLE_MAGIC, SKIPPABLE_BYTES - sizeof header};
  memcpy(frame, header, sizeof header);
  const axle_chunk chunk = {
      .struct_size = sizeof chunk,
      .dtype = AXLE_DTYPE_UINT8,
      .dims = &bytes,
      .rank = 1,
      .data = frame,
      .bytes = SKIPPABLE_BYTES,
  };
  real_host->emit(task, &chunk);
}

static void complete_bloated(axle_task *task, const axle_completion *completion) {
  if (task->op == AXLE_OP_COMPRESS && completion->status == AXLE_STATUS_OK) {
    emit_skippable_frame(task);
  }
  real_host->complete(task, completion);
}

static void complete_well(axle_task *task, const axle_completion *completion) {
  axle_completion well = *completion;
  well.status = AXLE_STATUS_OK;
  well.message = NULL;
  real_host->complete(task, &well);
}

void wrap_spoil_host(const axle_host *host, fault fault, axle_host *spoilt) {
  real_host = host;
  *spoilt = *host;
  if (fault == FAULT_WRONG_NUMBERS) spoilt->emit = emit_wrong_numbers;
  if (fault == FAULT_WRONG_RANGE) spoilt->emit = emit_wrong_range;
  if (fault == FAULT_FLIP_BYTE) spoilt->emit = emit_flipped;
  if (fault == FAULT_BLOAT) spoilt->complete = complete_bloated;
  if (fault == FAULT_SWALLOW_ERRORS) spoilt->complete = complete_well;
}
