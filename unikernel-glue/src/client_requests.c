// SPDX-License-Identifier: Apache-2.0
#include "client_parts.h"

#define CONTENT_PART 1u

// ---- the list of requests ----------------------------------------------------------------------

static void clear_from(void *at, size_t start, size_t end) {
  clear_bytes((uint8_t *)at + start, end - start);
}

void axle_client_add(axle_client *c, axle_request *r, uint8_t kind, uint64_t handle) {
  // All but what is the caller's, and the text of the message.
  clear_from(r, offsetof(axle_request, handle), offsetof(axle_request, message) + 1);
  r->handle = handle;
  r->kind = kind;
  r->state = AXLE_REQUEST_PENDING;
  r->device = AXLE_WIRE_DEVICE_NONE;
  r->send_window = c->server_stream_window;
  for (uint32_t i = 0; i < r->output_count; i++) {
    clear_from(&r->outputs[i], offsetof(axle_output, bytes), sizeof(axle_output));
  }
  if (c->first == NULL) {
    c->first = r;
  } else {
    c->last->next = r;
  }
  c->last = r;
}

static void unlink_request(axle_client *c, axle_request *r) {
  axle_request *before = NULL;
  for (axle_request *each = c->first; each != NULL; before = each, each = each->next) {
    if (each != r) continue;
    if (before == NULL) {
      c->first = r->next;
    } else {
      before->next = r->next;
    }
    if (c->last == r) c->last = before;
    break;
  }
  if (c->bulk_last == r) c->bulk_last = NULL;
  if (c->body_request == r) c->body_request = NULL;
  r->next = NULL;
}

axle_request *axle_client_find(const axle_client *c, uint64_t handle) {
  for (axle_request *r = c->first; r != NULL; r = r->next) {
    if (r->handle == handle && r->kind != AXLE_FRAME_PING) return r;
  }
  return NULL;
}

void axle_request_end(axle_client *c, axle_request *r, uint16_t status) {
  r->status = status;
  r->is_sending = 0;
  // The rest of the frame must still go, from the request's memory.
  if (c->bulk == r) {
    r->has_ended = 1;
    return;
  }
  r->has_ended = 0;
  r->state = AXLE_REQUEST_DONE;
  // What it watches still comes.
  const int stays = r->kind == AXLE_FRAME_DESCRIBE &&
                    (r->call_flags & AXLE_FLAG_DESCRIBE_WATCH) != 0 && status == AXLE_STATUS_OK;
  if (!stays) unlink_request(c, r);
  if (r->on_done != NULL) r->on_done(r);
}

void axle_request_fail(axle_client *c, axle_request *r, uint16_t status,
                       const axle_wire_bytes *message) {
  axle_client_set_message(r->message, message);
  axle_request_end(c, r, status);
}

void axle_request_complete(axle_client *c, axle_request *r) {
  axle_request_end(c, r, r->local_failure);
}

// ---- starting ----------------------------------------------------------------------------------

static int is_listed(const axle_client *c, const axle_request *r) {
  for (const axle_request *each = c->first; each != NULL; each = each->next) {
    if (each == r) return 1;
  }
  return 0;
}

static int32_t may_start(const axle_client *c, const axle_request *r) {
  if (c->state == AXLE_CLIENT_CLOSED || c->state == AXLE_CLIENT_DRAINING) {
    return AXLE_STATUS_UNAVAILABLE;
  }
  // Under way, or done and watching.
  if (is_listed(c, r)) return AXLE_STATUS_FAILED_PRECONDITION;
  if (c->last_handle >= AXLE_WIRE_HANDLE_MAX) return AXLE_STATUS_RESOURCE_EXHAUSTED;
  return 0;
}

// Whether the request may start, and an empty frame for it.
static int32_t begin_request(const axle_client *c, const axle_request *r, axle_wire_frame *frame,
                             uint8_t type) {
  axle_frame_of(frame, type, c->last_handle + 1);
  return may_start(c, r);
}

// The frame was put, or not, into the buffer: then the request is under way.
static int32_t started(axle_client *c, axle_request *r, const axle_wire_frame *frame,
                       axle_input *inputs, uint32_t count, int32_t error) {
  if (error != 0) return error;
  c->last_handle++;
  axle_client_add(c, r, frame->type, c->last_handle);
  r->inputs = inputs;
  r->input_count = count;
  r->call_flags = frame->flags;
  r->part = UINT32_MAX;
  r->is_sending = 1;
  axle_request_next_part(r);
  return 0;
}

// Of a frame that has no records, and nothing to send after it.
int32_t axle_client_ask(axle_client *c, axle_request *r, axle_wire_frame *frame) {
  const int32_t refused = may_start(c, r);
  if (refused != 0) return refused;
  frame->id = c->last_handle + 1;
  return started(c, r, frame, NULL, 0, axle_client_write(c, frame));
}

int32_t axle_client_bind(axle_client *c, axle_request *r, const axle_bind *bind) {
  axle_wire_frame frame;
  const int32_t refused = begin_request(c, r, &frame, AXLE_FRAME_BIND);
  if (refused != 0) return refused;
  frame.flags = bind->flags;
  axle_wire_bind *body = &frame.body.bind;
  body->model = bind->model;
  body->output_bytes_max = bind->output_bytes_max;
  body->op = bind->op;
  body->op_version = bind->op_version == 0 ? 1 : bind->op_version;
  body->first = bind->first;
  body->last = bind->last;
  body->op_name = bind->op_name;
  body->device = bind->device;
  body->args.count = bind->arg_count;
  body->input_names.count = bind->input_count;
  axle_wire_writer writer;
  axle_client_begin(c, &writer, &frame);
  for (uint32_t i = 0; i < bind->arg_count; i++) axle_wire_put_arg(&writer, &bind->args[i]);
  for (uint32_t i = 0; i < bind->input_count; i++) {
    axle_wire_put_name(&writer, &bind->input_names[i]);
  }
  return started(c, r, &frame, NULL, 0, axle_client_end(c, &writer, 0));
}

// ---- tensors -----------------------------------------------------------------------------------

// The address of memory that the server reads or writes where it lies; else one that is not aligned.
static uint64_t shared_address(const axle_client *c, const void *data, uint64_t bytes) {
  if (!c->shares_memory || data == NULL || bytes <= AXLE_CLIENT_INLINE_BYTES_MAX) {
    return AXLE_NO_ADDRESS;
  }
  return c->guest_address(data, bytes);
}

static int is_shared(uint64_t address) { return address % AXLE_CLIENT_SHARED_ALIGNMENT == 0; }

static void set_dims(axle_wire_tensor *tensor, const axle_input *input) {
  tensor->rank = input->rank;
  if (input->dims == NULL) {
    if (input->rank > 0) return;
    tensor->rank = 1;
    tensor->dims[0] = input->bytes;
  } else if (input->rank <= AXLE_WIRE_RANK_MAX) {
    copy_bytes(tensor->dims, input->dims, input->rank * sizeof(input->dims[0]));
  }
}

// Says where the bytes of an input are. Small ones go in the frame, as long as they leave room for those of others in it.
static void place_input(const axle_client *c, axle_wire_tensor *tensor, const axle_input *input,
                        uint32_t *left) {
  static const uint8_t nothing[8];
  tensor->bytes = input->bytes;
  tensor->data = input->bytes > 0 ? (const uint8_t *)input->data : nothing;
  const int fits = input->bytes <= AXLE_CLIENT_INLINE_BYTES_MAX && input->bytes <= *left;
  if (fits && tensor->data != NULL) {
    tensor->source = AXLE_SOURCE_INLINE;
    *left -= (uint32_t)input->bytes;
    return;
  }
  tensor->offset = shared_address(c, input->data, input->bytes);
  tensor->source = is_shared(tensor->offset) ? AXLE_SOURCE_SHARED : AXLE_SOURCE_FOLLOWS;
}

static int32_t send_tensors(axle_client *c, axle_request *r, const axle_wire_frame *frame,
                            axle_input *inputs, uint16_t count) {
  axle_wire_writer writer;
  axle_wire_tensor tensor;
  axle_client_begin(c, &writer, frame);
  uint32_t left = c->send_capacity / 2;
  if (left > AXLE_WIRE_PAYLOAD_BYTES_MAX / 2) left = AXLE_WIRE_PAYLOAD_BYTES_MAX / 2;
  for (uint16_t i = 0; i < count; i++) {
    axle_input *input = &inputs[i];
    clear_bytes(&tensor, sizeof(tensor));
    tensor.slot = i;
    tensor.source = AXLE_SOURCE_HANDLE;
    tensor.handle = input->handle;
    if (input->handle != 0) {
      tensor.output = input->output;
    } else {
      tensor.dtype = input->dtype == 0 ? AXLE_DTYPE_UINT8 : input->dtype;
      set_dims(&tensor, input);
      place_input(c, &tensor, input, &left);
    }
    input->source = tensor.source;
    if (tensor.source == AXLE_SOURCE_FOLLOWS && input->data == NULL && r->source == NULL) {
      return AXLE_STATUS_INVALID_ARGUMENT;
    }
    axle_wire_put_tensor(&writer, &tensor);
  }
  return started(c, r, frame, inputs, count, axle_client_end(c, &writer, 0));
}

// What CALL and STREAM have in common.
static void fill_call(axle_wire_frame *frame, const axle_request *binding, const axle_call *call) {
  frame->body.call.binding = binding->handle;
  frame->body.call.deadline_us = call->deadline_us;
  frame->body.call.priority = call->priority;
  if (call->trace != NULL) {
    frame->flags |= AXLE_FLAG_CALL_TRACE;
    copy_bytes(&frame->body.call.trace, call->trace, sizeof(*call->trace));
  }
}

int32_t axle_client_call(axle_client *c, axle_request *r, const axle_request *binding,
                         const axle_call *call) {
  axle_wire_frame frame;
  const int32_t refused = begin_request(c, r, &frame, AXLE_FRAME_CALL);
  if (refused != 0) return refused;
  frame.flags = call->flags & (AXLE_FLAG_CALL_KEEP | AXLE_FLAG_CALL_OMIT);
  fill_call(&frame, binding, call);
  frame.body.call.inputs.count = call->input_count;
  axle_wire_place *place = &frame.body.call.place;
  place->offset = AXLE_NO_ADDRESS;
  if (r->output_count == 1) {
    place->bytes = r->outputs[0].capacity;
    place->offset = shared_address(c, r->outputs[0].data, place->bytes);
  }
  if (is_shared(place->offset)) frame.flags |= AXLE_FLAG_CALL_PLACE;
  const int32_t error = send_tensors(c, r, &frame, call->inputs, call->input_count);
  if (error != 0) return error;
  r->binding = binding;
  r->place = place->offset;
  if (is_shared(place->offset)) r->has_place = 1;
  return 0;
}

int32_t axle_client_stream(axle_client *c, axle_request *r, const axle_request *binding,
                           const axle_call *call) {
  axle_wire_frame frame;
  const int32_t refused = begin_request(c, r, &frame, AXLE_FRAME_STREAM);
  if (refused != 0) return refused;
  if (r->source == NULL) return AXLE_STATUS_INVALID_ARGUMENT;
  fill_call(&frame, binding, call);
  const int32_t error = axle_client_ask(c, r, &frame);
  if (error == 0) r->binding = binding;
  return error;
}

int32_t axle_client_put(axle_client *c, axle_request *r, axle_input *input) {
  axle_wire_frame frame;
  const int32_t refused = begin_request(c, r, &frame, AXLE_FRAME_PUT);
  if (refused != 0) return refused;
  frame.body.put.tensor.count = 1;
  return send_tensors(c, r, &frame, input, 1);
}

// ---- models ------------------------------------------------------------------------------------

static const uint8_t no_content_id[32];

int32_t axle_client_named_model(axle_client *c, axle_request *r, axle_wire_bytes name) {
  axle_wire_frame frame;
  axle_frame_of(&frame, AXLE_FRAME_MODEL, 0);
  frame.flags = AXLE_FLAG_MODEL_NAMED;
  frame.body.model.content_id = no_content_id;
  frame.body.model.name = name;
  return axle_client_ask(c, r, &frame);
}

int32_t axle_client_model(axle_client *c, axle_request *r, const uint8_t *content_id,
                          axle_wire_bytes name, axle_wire_bytes format, axle_wire_bytes entry,
                          axle_input *inputs) {
  axle_wire_frame frame;
  const int32_t refused = begin_request(c, r, &frame, AXLE_FRAME_MODEL);
  if (refused != 0) return refused;
  for (uint32_t i = 0; i < 2; i++) {
    if (inputs[i].data == NULL && r->source == NULL) return AXLE_STATUS_INVALID_ARGUMENT;
  }
  if (inputs[0].bytes > AXLE_WIRE_MANIFEST_BYTES_MAX) return AXLE_STATUS_INVALID_ARGUMENT;
  const int is_small = inputs[1].bytes <= AXLE_WIRE_INLINE_MODEL_BYTES_MAX &&
                       inputs[0].bytes + inputs[1].bytes <= AXLE_WIRE_INLINE_MODEL_BYTES_MAX;
  frame.flags = AXLE_FLAG_MODEL_MANIFEST;
  if (is_small) frame.flags |= AXLE_FLAG_MODEL_CONTENT;
  axle_wire_model *model = &frame.body.model;
  model->content_id = content_id;
  model->bytes = inputs[1].bytes;
  model->manifest_bytes = (uint32_t)inputs[0].bytes;
  model->name = name;
  model->format = format;
  model->entry = entry;
  const int32_t error = axle_client_write(c, &frame);
  if (error != 0) return error;
  inputs[0].source = AXLE_SOURCE_FOLLOWS;
  inputs[CONTENT_PART].source = is_small ? AXLE_SOURCE_FOLLOWS : 0;
  return started(c, r, &frame, inputs, 2, 0);
}

// ---- the rest ----------------------------------------------------------------------------------

int32_t axle_client_ping(axle_client *c, axle_request *r) {
  const int32_t refused = may_start(c, r);
  if (refused != 0) return refused;
  axle_wire_frame frame;
  // 0 is the client's own.
  axle_frame_of(&frame, AXLE_FRAME_PING, c->last_ping + 1);
  const int32_t error = axle_client_write(c, &frame);
  if (error != 0) return error;
  c->last_ping++;
  axle_client_add(c, r, AXLE_FRAME_PING, c->last_ping);
  return 0;
}

void axle_client_cancel(axle_client *c, axle_request *r) {
  (void)c;
  if (r->state != AXLE_REQUEST_PENDING || r->was_cancelled || r->kind == AXLE_FRAME_PING) return;
  r->is_cancelled = 1;
  r->is_sending = 0;
}

int32_t axle_client_release(axle_client *c, axle_request *r) {
  if (c->state == AXLE_CLIENT_CLOSED) return AXLE_STATUS_UNAVAILABLE;
  if (r->state == AXLE_REQUEST_IDLE || r->kind == AXLE_FRAME_PING) {
    return AXLE_STATUS_FAILED_PRECONDITION;
  }
  axle_wire_frame frame;
  axle_frame_of(&frame, AXLE_FRAME_RELEASE, r->handle);
  const int32_t error = axle_client_write(c, &frame);
  if (error != 0) return error;
  // It watches nothing any more.
  r->call_flags = 0;
  if (r->state == AXLE_REQUEST_DONE) unlink_request(c, r);
  return 0;
}

void axle_client_used(axle_client *c, axle_request *r, uint64_t bytes) {
  // More than the window was not received.
  const uint32_t most = c->stream_window - r->used_bytes;
  r->used_bytes += bytes < most ? (uint32_t)bytes : most;
}
