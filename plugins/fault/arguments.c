/* SPDX-License-Identifier: Apache-2.0
 * Arguments of fault.axle/copy: it has some for faults that are about them, and else none. */
#include <stdlib.h>
#include <string.h>

#include "fault.h"

void arguments_describe(const axle_instance *instance, axle_op_info *info) {
  static const axle_arg_spec mode = {
      .name = "mode", .doc = "how it copies", .type = AXLE_ARG_STRING, .required = 1};
  static const axle_arg_spec gain = {
      .name = "gain", .doc = "what nothing is divided by", .type = AXLE_ARG_INT};
  switch (instance->fault) {
    case FAULT_NEEDS_ARGUMENT:
    case FAULT_WRITE_ARGUMENTS:
    case FAULT_WRITE_ASKED_ARGUMENTS:
    case FAULT_STREAM_WRITE_ARGUMENTS:
      info->args = &mode;
      info->arg_count = 1;
      return;
    case FAULT_CRASH_ON_ARGUMENT:
    case FAULT_CRASH_ON_ZERO:
    case FAULT_SILENT_ARGUMENT:
    case FAULT_STICKY_ARGUMENT:
      info->args = &gain;
      info->arg_count = 1;
      return;
    default:
      return;
  }
}

static int is_keep(const axle_task *task) {
  for (uint64_t i = 0; i < task->arg_count; i++) {
    const axle_arg *arg = &task->args[i];
    if (strcmp(arg->name, "mode") != 0) continue;
    return arg->bytes == 4 && memcmp(arg->value.data, "keep", 4) == 0;
  }
  return 0;
}

int32_t arguments_check(axle_instance *instance, const axle_task *task, const char **why) {
  if (instance->fault == FAULT_NEEDS_ARGUMENT && !is_keep(task)) {
    *why = "mode must be keep";
    return AXLE_STATUS_INVALID_ARGUMENT;
  }
  if (task->arg_count == 0) return AXLE_STATUS_OK;
  if (instance->fault == FAULT_CRASH_ON_ARGUMENT) abort();
  instance->gain = task->args[0].value.i;
  if (instance->fault == FAULT_CRASH_ON_ZERO && task->args[0].value.i == 0) abort();
  return instance->fault == FAULT_SILENT_ARGUMENT ? AXLE_STATUS_INVALID_ARGUMENT : AXLE_STATUS_OK;
}
