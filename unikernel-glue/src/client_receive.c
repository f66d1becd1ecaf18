// SPDX-License-Identifier: Apache-2.0
//
// The client's reader. Frames are decoded in the receive buffer; DATA, which may be longer, goes from
// there, or straight from the transport, to where its request wants it.
#include "client_parts.h"

#define HEADER_BYTES AXLE_WIRE_HEADER_BYTES

// ---- results -----------------------------------------------------------------------------------

static int has_room(const axle_request *r, const axle_output *output) {
  if (output->data != NULL) return output->bytes <= output->capacity;
  return output->bytes == 0 || r->sink != NULL;
}

// Keeps the first failure of this side; what is still due is let go of.
static void fail_here(axle_request *r, uint16_t status, const axle_wire_bytes *message) {
  if (r->local_failure != 0) return;
  r->local_failure = status;
  axle_client_set_message(r->message, message);
}

static void deliver(axle_request *r, uint32_t slot, const uint8_t *data, size_t bytes) {
  axle_output *output = &r->outputs[slot];
  if (r->local_failure == 0 && bytes > 0) {
    if (output->data == NULL) {
      r->sink(r, slot, data, bytes);
    } else if ((const uint8_t *)output->data + output->taken != data) {
      copy_bytes((uint8_t *)output->data + (size_t)output->taken, data, bytes);
    }
  }
  output->taken += bytes;
}

static void take_output(axle_request *r, const axle_wire_tensor *tensor) {
  static const axle_wire_bytes no_place =
      AXLE_TEXT("the result has more outputs than the request has places for; see result_outputs");
  static const axle_wire_bytes no_room =
      AXLE_TEXT("an output is longer than its memory; see its `bytes`");
  if (tensor->slot >= r->output_count) {
    if (tensor->source != AXLE_SOURCE_OMITTED) {
      fail_here(r, AXLE_STATUS_RESOURCE_EXHAUSTED, &no_place);
    }
    if (tensor->source == AXLE_SOURCE_FOLLOWS) r->drop_left += tensor->bytes;
    return;
  }
  axle_output *output = &r->outputs[tensor->slot];
  output->bytes = tensor->bytes;
  output->dtype = tensor->dtype;
  output->rank = tensor->rank;
  output->source = tensor->source;
  copy_bytes(output->dims, tensor->dims, tensor->rank * sizeof(tensor->dims[0]));
  if (tensor->source == AXLE_SOURCE_OMITTED) return;
  if (!has_room(r, output)) fail_here(r, AXLE_STATUS_RESOURCE_EXHAUSTED, &no_room);
  if (tensor->source == AXLE_SOURCE_SHARED) output->taken = tensor->bytes;
  if (tensor->source == AXLE_SOURCE_INLINE) {
    deliver(r, tensor->slot, tensor->data, (size_t)tensor->bytes);
  }
}

// The output that the next DATA is of; output_count where there is none.
static uint32_t awaited_output(axle_request *r) {
  for (; r->output_at < r->output_count; r->output_at++) {
    const axle_output *output = &r->outputs[r->output_at];
    if (output->source == AXLE_SOURCE_FOLLOWS && output->taken < output->bytes) break;
  }
  return r->output_at;
}

static void end_if_complete(axle_client *c, axle_request *r) {
  if (awaited_output(r) == r->output_count && r->drop_left == 0) axle_request_complete(c, r);
}

static int has_result(const axle_request *r) {
  return r->kind == AXLE_FRAME_CALL || r->kind == AXLE_FRAME_READ || r->kind == AXLE_FRAME_STREAM;
}

// Whether it lies in the memory of the request's only output, which is where the server was to write it.
static int is_placed(const axle_request *r, const axle_wire_tensor *tensor) {
  return r->has_place && tensor->slot == 0 && tensor->arena == 0 && tensor->offset == r->place &&
         tensor->bytes <= r->outputs[0].capacity;
}

static int32_t on_result(axle_client *c, axle_request *r, const axle_wire_frame *frame) {
  const axle_wire_result *result = &frame->body.result;
  if (!has_result(r) || r->has_result) return AXLE_WIRE_ERROR_WRONG_STATE;
  if (r->kind == AXLE_FRAME_STREAM && result->outputs.count != 0)
    return AXLE_WIRE_ERROR_WRONG_STATE;
  axle_wire_records records = result->outputs;
  axle_wire_tensor tensor;
  while (axle_wire_next_tensor(&records, &tensor)) {
    if (tensor.source == AXLE_SOURCE_SHARED && !is_placed(r, &tensor)) {
      return AXLE_WIRE_ERROR_WRONG_STATE;
    }
  }
  r->has_result = 1;
  r->queue_us = result->queue_us;
  r->transfer_us = result->transfer_us;
  r->compute_us = result->compute_us;
  r->total_us = result->total_us;
  r->batch_size = result->batch_size;
  r->device = result->device;
  r->result_outputs = (uint16_t)result->outputs.count;
  records = result->outputs;
  while (axle_wire_next_tensor(&records, &tensor)) take_output(r, &tensor);
  if (r->kind == AXLE_FRAME_STREAM) {
    axle_request_complete(c, r);
  } else {
    end_if_complete(c, r);
  }
  return 0;
}

// Later versions may have more codes.
static uint16_t known_status(uint16_t code) {
  return code <= AXLE_STATUS_UNAUTHENTICATED ? code : AXLE_STATUS_UNKNOWN;
}

static void on_error(axle_client *c, axle_request *r, const axle_wire_frame *frame) {
  const axle_wire_failure *failure = &frame->body.error;
  if (r->local_failure != 0) {
    axle_request_end(c, r, r->local_failure);
    return;
  }
  r->retryable = (frame->flags & AXLE_FLAG_ERROR_RETRYABLE) != 0;
  r->outcome_unknown = (frame->flags & AXLE_FLAG_ERROR_OUTCOME_UNKNOWN) != 0;
  r->retry_after_us = failure->retry_after_us;
  r->cause = failure->cause;
  r->device = failure->device;
  axle_request_fail(c, r, known_status(failure->code), &failure->message);
}

// What of a model the server lacks.
static int32_t on_need(axle_client *c, axle_request *r, const axle_wire_frame *frame) {
  static const axle_wire_bytes too_many =
      AXLE_TEXT("the server asks for more parts of the model than `ranges` has room for");
  if (r->kind != AXLE_FRAME_MODEL || r->input_count != 2) return AXLE_WIRE_ERROR_WRONG_STATE;
  axle_wire_records records = frame->body.need.ranges;
  // Only what it has no part of yet; the manifest went with the request.
  if (records.count == 0 || r->is_sending) return AXLE_WIRE_ERROR_WRONG_STATE;
  if (records.count > r->range_capacity) {
    fail_here(r, AXLE_STATUS_RESOURCE_EXHAUSTED, &too_many);
    axle_client_cancel(c, r);
    return 0;
  }
  r->range_count = r->range_at = 0;
  axle_wire_range range;
  while (axle_wire_next_range(&records, &range)) {
    if (range.offset + range.bytes > r->inputs[1].bytes) return AXLE_WIRE_ERROR_BAD_VALUE;
    r->ranges[r->range_count++] = range;
  }
  r->is_sending = r->is_cancelled ? 0 : 1;
  axle_request_next_part(r);
  return 0;
}

// By what a request of that kind is answered in the end.
static uint8_t final_type(uint8_t kind) {
  switch (kind) {
    case AXLE_FRAME_BIND:
      return AXLE_FRAME_BOUND;
    case AXLE_FRAME_LOAD:
      return AXLE_FRAME_LOADED;
    case AXLE_FRAME_CALL:
    case AXLE_FRAME_READ:
    case AXLE_FRAME_STREAM:
      return AXLE_FRAME_RESULT;
    default:
      return AXLE_FRAME_DONE;
  }
}

// Types that tell of something before the final answer.
static int is_told(uint8_t type) {
  return (type >= AXLE_FRAME_DEVICE && type <= AXLE_FRAME_MODEL_ENTRY) || type == AXLE_FRAME_HEALTH;
}

static int32_t on_answer(axle_client *c, axle_request *r, const axle_wire_frame *frame) {
  const uint8_t type = frame->type;
  // What it watches comes after its answer, and only that.
  const int is_over = r->state == AXLE_REQUEST_DONE || r->has_ended;
  if (is_over && type != AXLE_FRAME_HEALTH) {
    return r->has_ended ? 0 : AXLE_WIRE_ERROR_WRONG_STATE;
  }
  if (r->on_frame != NULL) r->on_frame(r, frame);
  if (type == AXLE_FRAME_ERROR) {
    on_error(c, r, frame);
    return 0;
  }
  if (type == AXLE_FRAME_NEED) return on_need(c, r, frame);
  if (is_told(type)) return 0;
  if (type != final_type(r->kind)) return AXLE_WIRE_ERROR_WRONG_STATE;
  if (type == AXLE_FRAME_RESULT) return on_result(c, r, frame);
  if (type == AXLE_FRAME_BOUND) {
    r->op_flags = frame->body.bound.op_flags;
    r->device = frame->body.bound.device;
  }
  axle_request_complete(c, r);
  return 0;
}

// ---- the connection ----------------------------------------------------------------------------

static int32_t on_welcome(axle_client *c, const axle_wire_welcome *welcome) {
  if (c->state != AXLE_CLIENT_GREETING) return AXLE_WIRE_ERROR_WRONG_STATE;
  const axle_wire_greeting *greeting = &welcome->greeting;
  // No less than was counted on: the decoder has seen to that.
  const uint32_t more_stream = greeting->stream_window - c->server_stream_window;
  c->send_window += greeting->connection_window - c->server_connection_window;
  for (axle_request *r = c->first; r != NULL; r = r->next) r->send_window += more_stream;
  c->server_stream_window = greeting->stream_window;
  c->server_connection_window = greeting->connection_window;
  c->server_payload_max = greeting->payload_max;
  c->bulk_reserve = greeting->connection_window / 4;
  c->calls_max = welcome->calls_max;
  c->handles_max = welcome->handles_max;
  c->idle_ms = welcome->idle_ms;
  c->request_bytes_max = welcome->request_bytes_max;
  c->model_bytes_max = welcome->model_bytes_max;
  c->shares_memory =
      c->guest_address != NULL && (greeting->features & AXLE_FEATURE_GUEST_MEMORY) != 0;
  c->state = AXLE_CLIENT_OPEN;
  return 0;
}

// The first request that is under way with a handle past `last`.
static axle_request *first_past(const axle_client *c, uint64_t last) {
  for (axle_request *r = c->first; r != NULL; r = r->next) {
    const int is_under_way = r->state == AXLE_REQUEST_PENDING && !r->has_ended;
    if (is_under_way && r->kind != AXLE_FRAME_PING && r->handle > last) return r;
  }
  return NULL;
}

static void on_goaway(axle_client *c, const axle_wire_goaway *goaway) {
  if (c->state == AXLE_CLIENT_GREETING) c->is_refused = 1;
  if (goaway->code != AXLE_STATUS_OK || c->state == AXLE_CLIENT_GREETING) {
    uint16_t status = known_status(goaway->code);
    if (status == AXLE_STATUS_OK) status = AXLE_STATUS_UNAVAILABLE;
    axle_client_lose(c, status, goaway->wire_error, &goaway->message);
    return;
  }
  c->state = AXLE_CLIENT_DRAINING;
  c->status = AXLE_STATUS_UNAVAILABLE;
  axle_client_set_message(c->message, &goaway->message);
  // What the server did not accept never ran. Each that ends leaves the list, and its on_done may change it.
  for (axle_request *r = first_past(c, goaway->last); r != NULL; r = first_past(c, goaway->last)) {
    r->retryable = 1;
    axle_request_fail(c, r, AXLE_STATUS_UNAVAILABLE, &goaway->message);
  }
}

// Of a handle that nothing waits for: it may be over, and must have been made.
static int32_t check_handle(const axle_client *c, uint64_t id) {
  return id > c->last_handle ? AXLE_WIRE_ERROR_HANDLE_UNKNOWN : 0;
}

static int32_t on_credit(axle_client *c, uint64_t id, uint64_t bytes) {
  axle_request *r = NULL;
  uint32_t *window = &c->send_window;
  if (id != 0) {
    r = axle_client_find(c, id);
    if (r == NULL) return check_handle(c, id);
    window = &r->send_window;
  }
  // Neither is past AXLE_WIRE_WINDOW_MAX: the decoder has seen to that of `bytes`.
  *window += (uint32_t)bytes;
  return *window > AXLE_WIRE_WINDOW_MAX ? AXLE_WIRE_ERROR_CREDIT_OVERFLOW : 0;
}

static void on_pong(axle_client *c, uint64_t id) {
  if (id == 0) {
    c->ping_is_out = 0;
    return;
  }
  for (axle_request *r = c->first; r != NULL; r = r->next) {
    if (r->kind != AXLE_FRAME_PING || r->handle != id) continue;
    axle_request_end(c, r, AXLE_STATUS_OK);
    return;
  }
}

static int32_t on_frame(axle_client *c, const axle_wire_frame *frame) {
  switch (frame->type) {
    case AXLE_FRAME_WELCOME:
      return on_welcome(c, &frame->body.welcome);
    case AXLE_FRAME_GOAWAY:
      on_goaway(c, &frame->body.goaway);
      return 0;
    case AXLE_FRAME_PING:
      if (c->pong_count == AXLE_WIRE_PONGS_PENDING_MAX) return AXLE_WIRE_ERROR_PING_FLOOD;
      c->pongs[c->pong_count++] = frame->id;
      return 0;
    case AXLE_FRAME_PONG:
      on_pong(c, frame->id);
      return 0;
    case AXLE_FRAME_CREDIT:
      return on_credit(c, frame->id, frame->body.credit.bytes);
    case AXLE_FRAME_ARENA:
    case AXLE_FRAME_ATTACHED:
      return AXLE_WIRE_ERROR_WRONG_STATE;
    default:
      break;
  }
  axle_request *r = axle_client_find(c, frame->id);
  if (r != NULL) return on_answer(c, r, frame);
  // It was on its way when its handle was let go of.
  return check_handle(c, frame->id);
}

// ---- DATA --------------------------------------------------------------------------------------

// Checks that a frame of DATA may come now, and begins to read its bytes.
static int32_t begin_body(axle_client *c, const axle_wire_header *header) {
  c->body_left = header->payload_bytes;
  c->body_bytes = header->payload_bytes;
  c->body_padding = header->aux;
  c->body_is_data = header->type == AXLE_FRAME_DATA;
  c->body_request = NULL;
  if (!c->body_is_data) return 0;
  if (c->state == AXLE_CLIENT_GREETING) return AXLE_WIRE_ERROR_WRONG_STATE;
  const int32_t error = check_handle(c, header->id);
  if (error != 0) return error;
  const uint64_t bytes = header->payload_bytes - header->aux;
  // Only a client's stream has an end of its own.
  if ((header->flags & AXLE_FLAG_DATA_END) != 0) return AXLE_WIRE_ERROR_WRONG_STATE;
  if (bytes == 0) return AXLE_WIRE_ERROR_EMPTY_DATA;
  axle_request *r = axle_client_find(c, header->id);
  if (r == NULL || r->has_ended) return 0;
  c->body_request = r;
  if (r->kind == AXLE_FRAME_STREAM) return 0;
  if (!r->has_result) return AXLE_WIRE_ERROR_DATA_UNEXPECTED;
  const uint32_t slot = awaited_output(r);
  const uint64_t left =
      slot < r->output_count ? r->outputs[slot].bytes - r->outputs[slot].taken : r->drop_left;
  return bytes > left ? AXLE_WIRE_ERROR_DATA_UNEXPECTED : 0;
}

static void deliver_stream(axle_request *r, const uint8_t *data, size_t bytes) {
  static const axle_wire_bytes no_room =
      AXLE_TEXT("the stream's output is longer than its memory, and it has no sink");
  axle_output *output = r->output_count > 0 ? &r->outputs[0] : NULL;
  if (output == NULL || output->data == NULL) {
    if (r->sink != NULL) {
      r->sink(r, 0, data, bytes);
    } else {
      fail_here(r, AXLE_STATUS_RESOURCE_EXHAUSTED, &no_room);
    }
    return;
  }
  if (bytes > output->capacity - output->taken) {
    fail_here(r, AXLE_STATUS_RESOURCE_EXHAUSTED, &no_room);
    return;
  }
  copy_bytes((uint8_t *)output->data + (size_t)output->taken, data, bytes);
  output->taken += bytes;
  output->bytes = output->taken;
}

static void deliver_body(axle_client *c, axle_request *r, const uint8_t *data, uint32_t bytes) {
  if (r->kind == AXLE_FRAME_STREAM) {
    if (r->local_failure == 0) deliver_stream(r, data, bytes);
    if (r->local_failure != 0) axle_client_cancel(c, r);
    return;
  }
  const uint32_t slot = awaited_output(r);
  if (slot < r->output_count) {
    deliver(r, slot, data, bytes);
  } else {
    r->drop_left -= bytes;
  }
}

static void end_body(axle_client *c) {
  axle_request *r = c->body_request;
  c->body_request = NULL;
  c->has_heard = 1;
  if (!c->body_is_data) return;
  c->used_bytes += HEADER_BYTES + c->body_bytes;
  if (r == NULL) return;
  if (!r->holds_credit) r->used_bytes += c->body_bytes;
  if (r->kind != AXLE_FRAME_STREAM) end_if_complete(c, r);
}

// The next bytes of the frame that is read in pieces.
static int32_t take_body(axle_client *c, const uint8_t *data, uint32_t bytes) {
  const uint32_t data_left = c->body_left > c->body_padding ? c->body_left - c->body_padding : 0;
  const uint32_t of_data = bytes < data_left ? bytes : data_left;
  axle_request *r = c->body_request;
  if (of_data > 0 && r != NULL && !r->has_ended) deliver_body(c, r, data, of_data);
  if (c->body_is_data) {
    for (uint32_t i = of_data; i < bytes; i++) {
      if (data[i] != 0) return AXLE_WIRE_ERROR_RESERVED_NOT_ZERO;
    }
  }
  c->body_left -= bytes;
  if (c->body_left == 0) end_body(c);
  return 0;
}

// Where the rest of a DATA frame can be received to, if that is worth it; NULL: through the buffer.
static uint8_t *direct_place(const axle_client *c, uint32_t *bytes) {
  axle_request *r = c->body_request;
  if (c->receive_start != c->receive_end || r == NULL || r->has_ended || r->local_failure != 0) {
    return NULL;
  }
  if (r->kind == AXLE_FRAME_STREAM || c->body_left <= c->body_padding) return NULL;
  const uint32_t slot = awaited_output(r);
  if (slot == r->output_count || r->outputs[slot].data == NULL) return NULL;
  *bytes = c->body_left - c->body_padding;
  return (uint8_t *)r->outputs[slot].data + (size_t)r->outputs[slot].taken;
}

// ---- from the transport ------------------------------------------------------------------------

// Reads what the buffer holds whole. 0, or a wire error.
static int32_t take_frames(axle_client *c) {
  while (c->state != AXLE_CLIENT_CLOSED) {
    const uint8_t *at = c->receive_memory + c->receive_start;
    const uint32_t there = c->receive_end - c->receive_start;
    if (c->body_left > 0) {
      const uint32_t bytes = there < c->body_left ? there : c->body_left;
      if (bytes == 0) return 0;
      c->receive_start += bytes;
      const int32_t error = take_body(c, at, bytes);
      if (error != 0) return error;
      continue;
    }
    if (there < HEADER_BYTES) return 0;
    axle_wire_header header;
    int32_t error = axle_wire_read_header(at, AXLE_WIRE_SERVER, c->payload_max, &header);
    if (error != 0) return error;
    if (axle_wire_is_ignorable(&header) || header.type == AXLE_FRAME_DATA) {
      c->receive_start += HEADER_BYTES;
      error = begin_body(c, &header);
      if (error != 0) return error;
      continue;
    }
    const uint32_t frame_bytes = HEADER_BYTES + header.payload_bytes;
    if (there < frame_bytes) return 0;
    axle_wire_frame frame;
    error = axle_wire_decode(&header, at + HEADER_BYTES, &frame);
    if (error != 0) return error;
    if (c->state == AXLE_CLIENT_GREETING && header.type != AXLE_FRAME_WELCOME &&
        header.type != AXLE_FRAME_GOAWAY) {
      return AXLE_WIRE_ERROR_WRONG_STATE;
    }
    if (header.type > AXLE_FRAME_HEALTH && header.type < AXLE_FRAME_ARENA) {
      c->used_bytes += frame_bytes;
    }
    c->has_heard = 1;
    // The frame's bytes stay where they are until it has been seen to.
    error = on_frame(c, &frame);
    if (error != 0) return error;
    c->receive_start += frame_bytes;
  }
  return 0;
}

static void make_room(axle_client *c) {
  const uint32_t there = c->receive_end - c->receive_start;
  if (c->receive_start == 0) return;
  // Forwards, to a lower place: right where the two overlap.
  uint8_t *to = c->receive_memory;
  const uint8_t *from = c->receive_memory + c->receive_start;
  for (uint32_t i = 0; i < there; i++) ((volatile uint8_t *)to)[i] = from[i];
  c->receive_start = 0;
  c->receive_end = there;
}

int axle_client_receive(axle_client *c) {
  static const axle_wire_bytes ended = AXLE_TEXT("the server ended the connection");
  uint32_t room = 0;
  uint8_t *place = direct_place(c, &room);
  const int is_direct = place != NULL;
  if (!is_direct) {
    make_room(c);
    place = c->receive_memory + c->receive_end;
    room = c->receive_capacity - c->receive_end;
  }
  const int32_t got = c->transport.receive(c->transport.context, place, room);
  if (got == 0) return 0;
  if (got < 0 || (uint32_t)got > room) {
    axle_client_lose(c, AXLE_STATUS_UNAVAILABLE, 0, &ended);
    return 1;
  }
  int32_t error = 0;
  if (is_direct) {
    error = take_body(c, place, (uint32_t)got);
  } else {
    c->receive_end += (uint32_t)got;
    error = take_frames(c);
  }
  if (error != 0) axle_client_refuse(c, error);
  return 1;
}
