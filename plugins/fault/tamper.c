/* SPDX-License-Identifier: Apache-2.0
 * Writes to what a plugin may only read. */
#include "fault.h"

static void tamper_input(const axle_instance *instance, const axle_tensor *input) {
  axle_tensor *tensor = (axle_tensor *)input;
  switch (instance->fault) {
    case FAULT_WRITE_DIMS:
      ((int64_t *)input->dims)[0]++;
      return;
    case FAULT_WRITE_TENSOR:
      tensor->bytes++;
      return;
    case FAULT_WRITE_SEGMENT:
      if (input->segment_count > 0) ((axle_segment *)input->segments)[0].bytes = 0;
      return;
    default:
      return;
  }
}

void tamper_with_arguments(const axle_arg *args, uint64_t count) {
  if (count > 0 && args[0].bytes > 0) *(uint8_t *)args[0].value.data ^= 0x20;
}

void tamper_with(const axle_instance *instance, axle_task *task) {
  if (task->input_count > 0) tamper_input(instance, &task->inputs[0]);
  if (instance->fault == FAULT_WRITE_TASK) task->output_bytes_max = 0;
  if (instance->fault == FAULT_WRITE_ARGUMENTS) tamper_with_arguments(task->args, task->arg_count);
}
