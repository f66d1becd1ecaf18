// SPDX-License-Identifier: Apache-2.0
#include "rewrite.h"

static void put_tensors(axle_wire_records records, axle_wire_writer *w) {
  axle_wire_tensor tensor;
  while (axle_wire_next_tensor(&records, &tensor)) axle_wire_put_tensor(w, &tensor);
}

static void put_bind(const axle_wire_bind *bind, axle_wire_writer *w) {
  axle_wire_records args = bind->args;
  axle_wire_records names = bind->input_names;
  axle_wire_arg arg;
  axle_wire_bytes name;
  while (axle_wire_next_arg(&args, &arg)) axle_wire_put_arg(w, &arg);
  while (axle_wire_next_name(&names, &name)) axle_wire_put_name(w, &name);
}

static void put_result(const axle_wire_result *result, axle_wire_writer *w) {
  axle_wire_records steps = result->steps;
  axle_wire_records fallbacks = result->fallbacks;
  axle_wire_step step;
  axle_wire_fallback fallback;
  put_tensors(result->outputs, w);
  while (axle_wire_next_step(&steps, &step)) axle_wire_put_step(w, &step);
  while (axle_wire_next_fallback(&fallbacks, &fallback)) axle_wire_put_fallback(w, &fallback);
}

static void put_ranges(axle_wire_records records, axle_wire_writer *w) {
  axle_wire_range range;
  while (axle_wire_next_range(&records, &range)) axle_wire_put_range(w, &range);
}

static void put_dims(axle_wire_records records, axle_wire_writer *w) {
  int64_t dim = 0;
  while (axle_wire_next_dim(&records, &dim)) axle_wire_put_dim(w, dim);
}

int32_t axle_wire_rewrite(const axle_wire_frame *frame, axle_wire_writer *w) {
  axle_wire_begin(w, frame);
  if (frame->type == AXLE_FRAME_BIND) put_bind(&frame->body.bind, w);
  if (frame->type == AXLE_FRAME_CALL) put_tensors(frame->body.call.inputs, w);
  if (frame->type == AXLE_FRAME_PUT) put_tensors(frame->body.put.tensor, w);
  if (frame->type == AXLE_FRAME_RESULT) put_result(&frame->body.result, w);
  if (frame->type == AXLE_FRAME_NEED) put_ranges(frame->body.need.ranges, w);
  if (frame->type == AXLE_FRAME_TENSOR_SPEC) put_dims(frame->body.tensor_spec.dims, w);
  return axle_wire_end(w);
}
