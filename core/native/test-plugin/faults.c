/* SPDX-License-Identifier: Apache-2.0
 * The op that breaks rules. Argument `fault` says which. */
#include <string.h>

#include "internal.h"

#define BYTES 32u

static void *alloc(axle_instance *instance, axle_task *task) {
  unsigned char *data = instance->host->alloc(task, BYTES, AXLE_MEMORY_HOST);
  if (data != NULL) memset(data, 7, BYTES);
  return data;
}

typedef struct overlap {
  axle_instance *instance;
  axle_task *task;
} overlap;

static void *alloc_often(void *context) {
  const overlap *both = context;
  for (int i = 0; i < 1000; ++i) {
    void *data = both->instance->host->alloc(both->task, 8, AXLE_MEMORY_HOST);
    if (data != NULL) both->instance->host->release(both->task, data);
  }
  return NULL;
}

static void overlap_calls(axle_instance *instance, axle_task *task) {
  overlap both = {instance, task};
  pthread_t other;
  if (pthread_create(&other, NULL, alloc_often, &both) != 0) return;
  alloc_often(&both);
  pthread_join(other, NULL);
}

void misbehave(axle_instance *instance, axle_task *task) {
  const axle_host *host = instance->host;
  const int64_t right = BYTES;
  const int64_t wrong = BYTES + 1;
  const int64_t negative = -1;
  const int64_t huge[2] = {INT64_C(1) << 40, INT64_C(1) << 40};
  const int64_t square[2] = {4, 8};

  if (arg_is(task, "fault", "complete_twice")) {
    complete(instance, task, AXLE_STATUS_OK, NULL, 1);
    complete(instance, task, AXLE_STATUS_OK, NULL, 1);
    return;
  }
  if (arg_is(task, "fault", "complete_twice_later")) {
    jobs_add_second(instance, task, host->now_ns() + 20000000u);
    complete(instance, task, AXLE_STATUS_OK, NULL, 1);
    return;
  }
  if (arg_is(task, "fault", "emit_after_complete")) {
    void *data = alloc(instance, task);
    complete(instance, task, AXLE_STATUS_OK, NULL, 1);
    emit(instance, task, 0, NULL, AXLE_DTYPE_UINT8, 1, &right, data, BYTES);
    return;
  }
  if (arg_is(task, "fault", "alloc_after_complete")) {
    complete(instance, task, AXLE_STATUS_OK, NULL, 1);
    host->alloc(task, 8, AXLE_MEMORY_HOST);
    return;
  }
  if (arg_is(task, "fault", "foreign_pointer")) {
    char data[BYTES] = {0};
    emit(instance, task, 0, NULL, AXLE_DTYPE_UINT8, 1, &right, data, BYTES);
  } else if (arg_is(task, "fault", "emit_twice")) {
    void *data = alloc(instance, task);
    emit(instance, task, 0, NULL, AXLE_DTYPE_UINT8, 1, &right, data, BYTES);
    emit(instance, task, 1, NULL, AXLE_DTYPE_UINT8, 1, &right, data, BYTES);
  } else if (arg_is(task, "fault", "gap")) {
    emit(instance, task, 1, NULL, AXLE_DTYPE_UINT8, 1, &right, alloc(instance, task), BYTES);
  } else if (arg_is(task, "fault", "too_large")) {
    emit(instance, task, 0, NULL, AXLE_DTYPE_UINT8, 1, &wrong, alloc(instance, task), BYTES + 1);
  } else if (arg_is(task, "fault", "wrong_dims")) {
    emit(instance, task, 0, NULL, AXLE_DTYPE_UINT8, 1, &wrong, alloc(instance, task), BYTES);
  } else if (arg_is(task, "fault", "negative_dims")) {
    emit(instance, task, 0, NULL, AXLE_DTYPE_UINT8, 1, &negative, alloc(instance, task), BYTES);
  } else if (arg_is(task, "fault", "huge_dims")) {
    emit(instance, task, 0, NULL, AXLE_DTYPE_UINT8, 2, huge, alloc(instance, task), BYTES);
  } else if (arg_is(task, "fault", "null_dims")) {
    emit(instance, task, 0, NULL, AXLE_DTYPE_UINT8, 1, NULL, alloc(instance, task), BYTES);
  } else if (arg_is(task, "fault", "rank")) {
    emit(instance, task, 0, NULL, AXLE_DTYPE_UINT8, 17, &right, alloc(instance, task), BYTES);
  } else if (arg_is(task, "fault", "dtype")) {
    emit(instance, task, 0, NULL, 99, 1, &right, alloc(instance, task), BYTES);
  } else if (arg_is(task, "fault", "output")) {
    emit(instance, task, 256, NULL, AXLE_DTYPE_UINT8, 1, &right, alloc(instance, task), BYTES);
  } else if (arg_is(task, "fault", "name")) {
    emit(instance, task, 0, "\xff", AXLE_DTYPE_UINT8, 1, &right, alloc(instance, task), BYTES);
  } else if (arg_is(task, "fault", "bytes_elements")) {
    const int64_t one = 1;
    emit(instance, task, 0, NULL, AXLE_DTYPE_BYTES, 1, &one, alloc(instance, task), BYTES);
  } else if (arg_is(task, "fault", "tensor_in_pieces")) {
    emit(instance, task, 0, NULL, AXLE_DTYPE_UINT8, 2, square, alloc(instance, task), BYTES);
    emit(instance, task, 0, NULL, AXLE_DTYPE_UINT8, 2, square, alloc(instance, task), BYTES);
  } else if (arg_is(task, "fault", "overrun")) {
    unsigned char *data = alloc(instance, task);
    data[BYTES] ^= 0xff;
    emit(instance, task, 0, NULL, AXLE_DTYPE_UINT8, 1, &right, data, BYTES);
  } else if (arg_is(task, "fault", "overrun_not_emitted")) {
    unsigned char *data = alloc(instance, task);
    data[BYTES] ^= 0xff;
  } else if (arg_is(task, "fault", "null_chunk")) {
    host->emit(task, NULL);
  } else if (arg_is(task, "fault", "small_chunk")) {
    axle_chunk chunk = {.struct_size = 8};
    host->emit(task, &chunk);
  } else if (arg_is(task, "fault", "release_foreign")) {
    char data[BYTES];
    host->release(task, data);
  } else if (arg_is(task, "fault", "resize_foreign")) {
    char data[BYTES];
    host->resize(task, data, 8);
  } else if (arg_is(task, "fault", "no_task")) {
    axle_task copy[8] = {*task};
    complete(instance, copy, AXLE_STATUS_OK, NULL, 1);
    complete(instance, NULL, AXLE_STATUS_OK, NULL, 1);
  } else if (arg_is(task, "fault", "bad_status")) {
    complete(instance, task, 99, "no such status", 1);
    return;
  } else if (arg_is(task, "fault", "batch_size")) {
    complete(instance, task, AXLE_STATUS_OK, NULL, 4000000000u);
    return;
  } else if (arg_is(task, "fault", "null_completion")) {
    host->complete(task, NULL);
    return;
  } else if (arg_is(task, "fault", "overlap")) {
    overlap_calls(instance, task);
  } else if (arg_is(task, "fault", "no_message")) {
    complete(instance, task, AXLE_STATUS_DATA_LOSS, NULL, 1);
    return;
  } else if (arg_is(task, "fault", "bad_message")) {
    complete(instance, task, AXLE_STATUS_DATA_LOSS, "a\n\xff\xc3\xa9z", 1);
    return;
  }
  complete(instance, task, AXLE_STATUS_OK, NULL, 1);
}

int32_t misbehave_in_submit(axle_instance *instance, axle_task *const *tasks, uint64_t n,
                            axle_error *error) {
  const axle_task *first = tasks[0];
  if (arg_is(first, "fault", "complete_inside_submit")) {
    const int64_t right = BYTES;
    for (uint64_t i = 0; i < n; ++i) {
      emit(instance, tasks[i], 0, NULL, AXLE_DTYPE_UINT8, 1, &right, alloc(instance, tasks[i]),
           BYTES);
      complete(instance, tasks[i], AXLE_STATUS_OK, NULL, 1);
    }
    return AXLE_STATUS_OK;
  }
  if (arg_is(first, "fault", "submit_fails")) {
    strcpy(error->message, "this submit fails");
    return AXLE_STATUS_RESOURCE_EXHAUSTED;
  }
  if (arg_is(first, "fault", "submit_fails_silently")) return AXLE_STATUS_UNAVAILABLE;
  if (arg_is(first, "fault", "submit_fails_oddly")) return 1234;
  if (arg_is(first, "fault", "complete_and_fail")) {
    alloc(instance, tasks[0]);
    complete(instance, tasks[0], AXLE_STATUS_OK, NULL, 1);
    return AXLE_STATUS_RESOURCE_EXHAUSTED;
  }
  jobs_add(instance, tasks, n);
  return AXLE_STATUS_OK;
}
