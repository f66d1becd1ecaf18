/* SPDX-License-Identifier: Apache-2.0
 * The names of the faults, and the options that choose them. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fault.h"

static const char *const faults[] = {
    [FAULT_NONE] = "none",
    [FAULT_COMPLETE_TWICE] = "complete-twice",
    [FAULT_COMPLETE_IN_SUBMIT] = "complete-in-submit",
    [FAULT_COMPLETE_ON_CANCEL] = "complete-on-cancel",
    [FAULT_NEVER_COMPLETE] = "never-complete",
    [FAULT_LOSE_TASKS] = "lose-tasks",
    [FAULT_LOSE_LAST] = "lose-last",
    [FAULT_REFUSE_ALL] = "refuse-all",
    [FAULT_WRONG_SIZE] = "wrong-size",
    [FAULT_WRONG_TYPE] = "wrong-type",
    [FAULT_WRONG_OUTPUT] = "wrong-output",
    [FAULT_EMIT_AFTER_COMPLETE] = "emit-after-complete",
    [FAULT_WRITE_PAST_END] = "write-past-end",
    [FAULT_WRITE_FAR_PAST_END] = "write-far-past-end",
    [FAULT_WRITE_PAST_FENCE] = "write-past-fence",
    [FAULT_WRITE_PAST_BLOCK] = "write-past-block",
    [FAULT_WRITE_BEFORE_START] = "write-before-start",
    [FAULT_WRITE_INPUT] = "write-input",
    [FAULT_WRITE_DIMS] = "write-dims",
    [FAULT_WRITE_TENSOR] = "write-tensor",
    [FAULT_WRITE_SEGMENT] = "write-segment",
    [FAULT_WRITE_TASK] = "write-task",
    [FAULT_WRITE_LIST] = "write-list",
    [FAULT_WRITE_ARGUMENTS] = "write-arguments",
    [FAULT_WRITE_ASKED_ARGUMENTS] = "write-asked-arguments",
    [FAULT_FIRST_SEGMENT_ONLY] = "first-segment-only",
    [FAULT_READ_TWICE] = "read-twice",
    [FAULT_READ_LATE] = "read-late",
    [FAULT_CHANGING_OUTPUT] = "changing-output",
    [FAULT_PREVIOUS_OUTPUT] = "previous-output",
    [FAULT_BATCH_SIZE] = "batch-size",
    [FAULT_FAIL_TOGETHER] = "fail-together",
    [FAULT_IGNORE_CAP] = "ignore-cap",
    [FAULT_LATE_STATUS] = "late-status",
    [FAULT_CANCEL_STATUS] = "cancel-status",
    [FAULT_LOSE_CANCELLED] = "lose-cancelled",
    [FAULT_NO_MESSAGE] = "no-message",
    [FAULT_LEAK] = "leak",
    [FAULT_LEAK_LITTLE] = "leak-little",
    [FAULT_LEAK_MUCH] = "leak-much",
    [FAULT_LEAK_DESCRIPTORS] = "leak-descriptors",
    [FAULT_LEAK_ON_ERROR] = "leak-on-error",
    [FAULT_LEAK_DESCRIPTORS_ON_ERROR] = "leak-descriptors-on-error",
    [FAULT_LEAVE_UNWRITTEN] = "leave-unwritten",
    [FAULT_READ_PAST_END] = "read-past-end",
    [FAULT_CROSS_QUEUES] = "cross-queues",
    [FAULT_WRONG_CLOCK] = "wrong-clock",
    [FAULT_CANCEL_ANOTHER] = "cancel-another",
    [FAULT_ONE_THREAD] = "one-thread",
    [FAULT_STICKY_ARGUMENT] = "sticky-argument",
    [FAULT_LONG_TIMES] = "long-times",
    [FAULT_CRASH_ON_ODD_VALUE] = "crash-on-odd-value",
    [FAULT_CRASH] = "crash",
    [FAULT_CRASH_WHEN_LARGE] = "crash-when-large",
    [FAULT_CRASH_WHEN_EMPTY] = "crash-when-empty",
    [FAULT_CRASH_WHEN_ONE] = "crash-when-one",
    [FAULT_NEEDS_ARGUMENT] = "needs-argument",
    [FAULT_CRASH_ON_ARGUMENT] = "crash-on-argument",
    [FAULT_CRASH_ON_ZERO] = "crash-on-zero",
    [FAULT_SILENT_ARGUMENT] = "silent-argument",
    [FAULT_EXIT] = "exit",
    [FAULT_MORE_AND_MORE] = "more-and-more",
    [FAULT_CRASH_ON_CLOSE] = "crash-on-close",
    [FAULT_HANG_ON_CLOSE] = "hang-on-close",
    [FAULT_LEFT_THREAD] = "left-thread",
    [FAULT_FORK_ON_OPEN] = "fork-on-open",
    [FAULT_LEAK_ON_CLOSE] = "leak-on-close",
    [FAULT_LEAK_DESCRIPTORS_ON_CLOSE] = "leak-descriptors-on-close",
    [FAULT_LEAK_ON_REFUSAL] = "leak-on-refusal",
    [FAULT_LOST] = "lost",
    [FAULT_ANY_OPTION] = "any-option",
    [FAULT_SLOW_SUPPORTS] = "slow-supports",
    [FAULT_SILENT_REFUSAL] = "silent-refusal",
    [FAULT_SLOW_HEALTH] = "slow-health",
    [FAULT_SILENT_HEALTH] = "silent-health",
    [FAULT_COUNT_TWICE] = "count-twice",
    [FAULT_COUNT_BACK] = "count-back",
    [FAULT_COUNT_ON] = "count-on",
    [FAULT_CHANGE_NAME] = "change-name",
    [FAULT_CHANGE_DIRECTORY] = "change-directory",
    [FAULT_CHANGE_UMASK] = "change-umask",
    [FAULT_CHANGE_VARIABLE] = "change-variable",
    [FAULT_IGNORE_SIGNAL] = "ignore-signal",
    [FAULT_BLOCK_SIGNALS] = "block-signals",
    [FAULT_CLOSE_INPUT] = "close-input",
    [FAULT_FLUSH_DENORMALS] = "flush-denormals",
    [FAULT_ROUND_UP] = "round-up",
    [FAULT_FEW_QUEUES] = "few-queues",
    [FAULT_LEAK_QUEUE] = "leak-queue",
    [FAULT_LEAK_DESCRIPTORS_QUEUE] = "leak-descriptors-queue",
    [FAULT_SLOW_QUEUE_OPEN] = "slow-queue-open",
    [FAULT_SLOW_FIRST_QUEUE] = "slow-first-queue",
    [FAULT_SLOW_SUBMIT] = "slow-submit",
    [FAULT_SLOW_FIRST_SUBMIT] = "slow-first-submit",
    [FAULT_SLOW_CANCEL] = "slow-cancel",
    [FAULT_SUBMIT_WHEN_IDLE] = "submit-when-idle",
    [FAULT_STREAM_DROP] = "stream-drop",
    [FAULT_STREAM_STUCK] = "stream-stuck",
    [FAULT_STREAM_OVER_CAP] = "stream-over-cap",
    [FAULT_STREAM_NO_MORE] = "stream-no-more",
    [FAULT_STREAM_EMPTY] = "stream-empty",
    [FAULT_STREAM_CANCEL_STATUS] = "stream-cancel-status",
    [FAULT_STREAM_CRASH_ON_CLOSE] = "stream-crash-on-close",
    [FAULT_STREAM_SHARED] = "stream-shared",
    [FAULT_STREAM_LEAK] = "stream-leak",
    [FAULT_STREAM_LEAK_ON_ERROR] = "stream-leak-on-error",
    [FAULT_STREAM_WRITE_ARGUMENTS] = "stream-write-arguments",
    [FAULT_SLOW_STREAM_OPEN] = "slow-stream-open",
    [FAULT_SLOW_STREAM_WRITE] = "slow-stream-write",
    [FAULT_WRONG_NUMBERS] = "wrong-numbers",
    [FAULT_WRONG_RANGE] = "wrong-range",
    [FAULT_FLIP_BYTE] = "flip-byte",
    [FAULT_BLOAT] = "bloat",
    [FAULT_SWALLOW_ERRORS] = "swallow-errors",
    [FAULT_MODEL_INFO] = "model-info",
    [FAULT_MODEL_SHARED] = "model-shared",
    [FAULT_MODEL_BUSY] = "model-busy",
    [FAULT_MODEL_ONCE] = "model-once",
    [FAULT_MODEL_ANY] = "model-any",
    [FAULT_MODEL_STATUS] = "model-status",
    [FAULT_MODEL_ANY_FORMAT] = "model-any-format",
    [FAULT_MODEL_FIRST_FILE] = "model-first-file",
    [FAULT_MODEL_ASSUMED] = "model-assumed",
    [FAULT_MODEL_LEAK] = "model-leak",
    [FAULT_MODEL_LEAK_ON_ERROR] = "model-leak-on-error",
    [FAULT_MODEL_WRITE_FILE] = "model-write-file",
};
#define FAULT_COUNT (sizeof faults / sizeof faults[0])

void pause_ms(long ms) {
  const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
  nanosleep(&time, NULL);
}

/* Written to through a volatile pointer, or the compiler leaves it all out. */
void lose_memory(uint64_t bytes) {
  volatile uint8_t *lost = malloc(bytes);
  for (uint64_t i = 0; lost != NULL && i < bytes; i += 512) lost[i] = 1;
}

void lose_descriptor(void) {
  const int lost = open("/dev/null", O_RDONLY | O_CLOEXEC);
  (void)lost;
}

static int32_t refuse(axle_error *error, const char *pattern, const char *text) {
  snprintf(error->message, sizeof error->message, pattern, text);
  return AXLE_STATUS_INVALID_ARGUMENT;
}

static int32_t read_fault(axle_instance *instance, const char *name, axle_error *error) {
  for (size_t i = 0; i < FAULT_COUNT; i++) {
    if (strcmp(name, faults[i]) != 0) continue;
    instance->fault = (fault)i;
    return AXLE_STATUS_OK;
  }
  return refuse(error, "there is no fault '%s'; plugins/fault/faults.c lists them", name);
}

static int32_t read_number(const axle_option *option, long most, long *number, axle_error *error) {
  char *end = NULL;
  *number = strtol(option->value, &end, 10);
  if (end != option->value && *end == '\0' && *number >= 0 && *number <= most) {
    return AXLE_STATUS_OK;
  }
  return refuse(error, "'%s' is no number, or one that is too large", option->value);
}

static int32_t read_option(axle_instance *instance, const axle_option *option, axle_error *error) {
  if (strcmp(option->key, "delay_ms") == 0) {
    return read_number(option, 60000, &instance->delay_ms, error);
  }
  if (strcmp(option->key, "status") == 0) {
    long status = 0;
    const int32_t read = read_number(option, AXLE_STATUS_UNAUTHENTICATED, &status, error);
    instance->status = (int32_t)status;
    return read;
  }
  const int is_wrap = strcmp(option->key, "wrap") == 0 || strncmp(option->key, "wrap.", 5) == 0;
  if (is_wrap || instance->fault == FAULT_ANY_OPTION) return AXLE_STATUS_OK;
  return refuse(error,
                "there is no option '%s'; there are fault, delay_ms, status, wrap and wrap.*",
                option->key);
}

/* The fault first: it says how the other options are taken. */
int32_t read_options(axle_instance *instance, const axle_option *options, uint64_t option_count,
                     axle_error *error) {
  int32_t status = AXLE_STATUS_OK;
  for (uint64_t i = 0; i < option_count && status == AXLE_STATUS_OK; i++) {
    if (strcmp(options[i].key, "fault") == 0) {
      status = read_fault(instance, options[i].value, error);
    }
  }
  for (uint64_t i = 0; i < option_count && status == AXLE_STATUS_OK; i++) {
    if (strcmp(options[i].key, "fault") != 0) status = read_option(instance, &options[i], error);
  }
  return status;
}
