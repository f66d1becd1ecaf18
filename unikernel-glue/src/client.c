// SPDX-License-Identifier: Apache-2.0
#include "client_parts.h"

#define POLL_ROUNDS_MAX 64
// Often enough for what check_time looks at.
#define LOOK_US 1000000u
#define PONG_US (AXLE_WIRE_PONG_MS * 1000u)
#define HANDSHAKE_US (AXLE_WIRE_HANDSHAKE_MS * 1000u)

static const uint8_t no_nonce[16];

void axle_client_set_message(char *message, const axle_wire_bytes *text) {
  uint32_t bytes = text->bytes;
  if (bytes > AXLE_CLIENT_MESSAGE_BYTES - 1) bytes = AXLE_CLIENT_MESSAGE_BYTES - 1;
  // Not within a character.
  while (bytes < text->bytes && bytes > 0 && (text->data[bytes] & 0xc0) == 0x80) bytes--;
  copy_bytes(message, text->data, bytes);
  message[bytes] = 0;
}

static int32_t refuse_options(axle_client *c, const axle_wire_bytes *message) {
  c->state = AXLE_CLIENT_CLOSED;
  c->status = AXLE_STATUS_INVALID_ARGUMENT;
  axle_client_set_message(c->message, message);
  return AXLE_STATUS_INVALID_ARGUMENT;
}

static int32_t write_hello(axle_client *c, const axle_client_options *options) {
  axle_wire_frame frame;
  axle_frame_of(&frame, AXLE_FRAME_HELLO, 0);
  axle_wire_hello *hello = &frame.body.hello;
  axle_wire_greeting *greeting = &hello->greeting;
  greeting->version = AXLE_WIRE_VERSION;
  greeting->version_min = AXLE_WIRE_VERSION;
  greeting->version_max = AXLE_WIRE_VERSION;
  if (c->guest_address != NULL) greeting->features = AXLE_FEATURE_GUEST_MEMORY;
  greeting->nonce = no_nonce;
  greeting->payload_max = c->payload_max;
  greeting->stream_window = c->stream_window;
  greeting->connection_window = c->connection_window;
  greeting->tenant = options->tenant;
  greeting->agent = options->agent;
  hello->token = options->token;
  hello->credential = options->token.bytes > 0 ? AXLE_CREDENTIAL_TOKEN : AXLE_CREDENTIAL_NONE;
  return axle_client_write(c, &frame);
}

static uint32_t cut(size_t bytes) { return bytes > INT32_MAX ? INT32_MAX : (uint32_t)bytes; }

int32_t axle_client_init(axle_client *c, const axle_client_options *options) {
  static const axle_wire_bytes small_send = AXLE_TEXT(
      "the send memory is too small; give AXLE_CLIENT_SEND_BYTES_MIN, and room for HELLO's token");
  static const axle_wire_bytes small_receive =
      AXLE_TEXT("the receive memory is too small; give AXLE_CLIENT_RECEIVE_BYTES_MIN");
  static const axle_wire_bytes bad_windows = AXLE_TEXT(
      "a window is too small; stream_window is at least twice the receive memory, "
      "connection_window twice that, and at most 1 GiB");
  clear_bytes(c, sizeof(*c));
  c->transport = options->transport;
  c->guest_address = options->guest_address;
  c->send_memory = (uint8_t *)options->send_memory;
  c->receive_memory = (uint8_t *)options->receive_memory;
  c->send_capacity = cut(options->send_bytes);
  c->receive_capacity = cut(options->receive_bytes);
  if (c->send_capacity < AXLE_CLIENT_SEND_BYTES_MIN) return refuse_options(c, &small_send);
  if (c->receive_capacity < AXLE_CLIENT_RECEIVE_BYTES_MIN) return refuse_options(c, &small_receive);
  c->payload_max = (c->receive_capacity - AXLE_WIRE_HEADER_BYTES) & ~7u;
  if (c->payload_max > AXLE_WIRE_PAYLOAD_BYTES_MAX) c->payload_max = AXLE_WIRE_PAYLOAD_BYTES_MAX;
  c->stream_window = options->stream_window;
  c->connection_window = options->connection_window;
  if (c->stream_window == 0) c->stream_window = AXLE_CLIENT_STREAM_WINDOW;
  if (c->connection_window == 0) c->connection_window = AXLE_CLIENT_CONNECTION_WINDOW;
  // Credit goes back in halves, and a server may wait for room for a whole frame.
  if (c->stream_window < 2 * c->payload_max || c->stream_window > AXLE_WIRE_WINDOW_MAX / 2 ||
      c->connection_window < 2 * c->stream_window || c->connection_window > AXLE_WIRE_WINDOW_MAX) {
    return refuse_options(c, &bad_windows);
  }
  c->state = AXLE_CLIENT_GREETING;
  c->server_stream_window = AXLE_WIRE_SERVER_STREAM_WINDOW_MIN;
  c->server_connection_window = AXLE_WIRE_SERVER_CONNECTION_WINDOW_MIN;
  c->server_payload_max = AXLE_WIRE_PAYLOAD_BYTES_MAX;
  c->send_window = c->server_connection_window;
  c->bulk_reserve = c->server_connection_window / 4;
  c->heard_us = c->transport.now_us(c->transport.context);
  return write_hello(c, options) == 0 ? 0 : refuse_options(c, &small_send);
}

// How a request ends whose answer was lost with the connection (PROTOCOL.md, section 12).
static void end_lost(axle_client *c, axle_request *r, const axle_wire_bytes *message) {
  const uint32_t repeatable = AXLE_OP_FLAG_PURE | AXLE_OP_FLAG_IDEMPOTENT;
  const int is_call = r->kind == AXLE_FRAME_CALL || r->kind == AXLE_FRAME_STREAM;
  const int was_sent = r->handle <= c->sent_handle || c->send_start > 0;
  const int may_have_run = is_call && was_sent && !c->is_refused && r->binding != NULL &&
                           (r->binding->op_flags & repeatable) == 0;
  uint16_t status = AXLE_STATUS_UNAVAILABLE;
  if (c->status == AXLE_STATUS_CANCELLED || c->is_refused) status = c->status;
  if (may_have_run && status == AXLE_STATUS_UNAVAILABLE) status = AXLE_STATUS_ABORTED;
  axle_request_fail(c, r, status, message);
  r->outcome_unknown = may_have_run ? 1 : 0;
  r->retryable = status == AXLE_STATUS_UNAVAILABLE && !may_have_run ? 1 : 0;
}

void axle_client_lose(axle_client *c, uint16_t status, uint16_t wire_error,
                      const axle_wire_bytes *message) {
  if (c->state == AXLE_CLIENT_CLOSED) return;
  c->state = AXLE_CLIENT_CLOSED;
  c->status = status;
  c->wire_error = wire_error;
  // One that drains has it there.
  if (message->data != (const uint8_t *)c->message) axle_client_set_message(c->message, message);
  c->transport.close(c->transport.context);
  c->bulk = NULL;
  c->body_request = NULL;
  // Each leaves the list as it ends; on_done can start none any more.
  while (c->first != NULL) {
    axle_request *r = c->first;
    if (r->state == AXLE_REQUEST_DONE) {
      c->first = r->next;
      continue;
    }
    r->has_ended = 0;
    r->local_failure = 0;
    end_lost(c, r, message);
  }
  c->last = NULL;
}

void axle_client_refuse(axle_client *c, int32_t wire_error) {
  static const axle_wire_bytes message =
      AXLE_TEXT("the server broke a rule of the protocol: see wire_error; is it of this version?");
  axle_client_lose(c, AXLE_STATUS_INTERNAL, (uint16_t)wire_error, &message);
}

// ---- time --------------------------------------------------------------------------------------

static uint64_t now(const axle_client *c) { return c->transport.now_us(c->transport.context); }

static void check_time(axle_client *c) {
  static const axle_wire_bytes silent = AXLE_TEXT("the server gave no sign of life");
  const uint64_t now_us = now(c);
  if (c->has_heard) {
    c->has_heard = 0;
    c->ping_is_out = 0;
    c->heard_us = now_us;
  }
  uint32_t bound_us = AXLE_CLIENT_QUIET_US;
  uint64_t since_us = c->heard_us;
  const int is_greeting = c->state == AXLE_CLIENT_GREETING;
  if (is_greeting) bound_us = HANDSHAKE_US;
  if (c->ping_is_out) {
    bound_us = PONG_US;
    since_us = c->ping_us;
  }
  if (now_us - since_us > bound_us) {
    if (is_greeting || c->ping_is_out) {
      axle_client_lose(c, AXLE_STATUS_UNAVAILABLE, 0, &silent);
    } else if (c->first != NULL) {
      c->ping_is_due = 1;
      c->ping_is_out = 1;
      c->ping_us = now_us;
    }
  }
  if (c->state != AXLE_CLIENT_CLOSED) axle_client_check_stalls(c, now_us);
}

uint32_t axle_client_events(const axle_client *c, uint64_t *until_us) {
  if (until_us != NULL) {
    const uint64_t next_us = now(c) + LOOK_US;
    if (*until_us > next_us) *until_us = next_us;
  }
  return axle_client_waits_to_send(c) ? AXLE_WAIT_RECEIVE | AXLE_WAIT_SEND : AXLE_WAIT_RECEIVE;
}

// ---- the loop ----------------------------------------------------------------------------------

static int32_t closed_status(const axle_client *c) {
  if (c->state != AXLE_CLIENT_CLOSED) return 0;
  return c->status != AXLE_STATUS_OK ? c->status : AXLE_STATUS_UNAVAILABLE;
}

// One that drains leaves when all is answered.
static void leave_if_drained(axle_client *c) {
  if (c->state != AXLE_CLIENT_DRAINING) return;
  for (const axle_request *r = c->first; r != NULL; r = r->next) {
    if (r->state != AXLE_REQUEST_DONE) return;
  }
  axle_wire_bytes message = {(const uint8_t *)c->message, 0};
  while (c->message[message.bytes] != 0) message.bytes++;
  axle_client_lose(c, AXLE_STATUS_UNAVAILABLE, 0, &message);
}

// Sends, and receives until the request is done or nothing moves.
static void move(axle_client *c, const axle_request *until, int receives) {
  c->is_entered = 1;
  for (int i = 0; i < POLL_ROUNDS_MAX && c->state != AXLE_CLIENT_CLOSED; i++) {
    int moved = axle_client_send(c);
    if (until != NULL && until->state == AXLE_REQUEST_DONE) break;
    if (!receives) break;
    if (c->state != AXLE_CLIENT_CLOSED && axle_client_receive(c)) moved = 1;
    if (!moved) break;
  }
  if (c->state != AXLE_CLIENT_CLOSED) leave_if_drained(c);
  c->is_entered = 0;
}

int32_t axle_client_poll(axle_client *c) {
  if (c->is_entered) return AXLE_STATUS_FAILED_PRECONDITION;
  if (c->state == AXLE_CLIENT_CLOSED) return closed_status(c);
  move(c, NULL, 1);
  if (c->state != AXLE_CLIENT_CLOSED) check_time(c);
  return closed_status(c);
}

int32_t axle_client_wait(axle_client *c, axle_request *request, uint64_t timeout_us) {
  if (c->is_entered || request->state == AXLE_REQUEST_IDLE) return AXLE_STATUS_FAILED_PRECONDITION;
  const uint64_t start_us = now(c);
  const uint64_t end_us =
      timeout_us > AXLE_FOREVER - start_us ? AXLE_FOREVER : start_us + timeout_us;
  // What was asked for is not there yet: waiting first spares a look.
  if (request->state != AXLE_REQUEST_DONE && c->state != AXLE_CLIENT_CLOSED) move(c, request, 0);
  uint64_t now_us = start_us;
  while (request->state != AXLE_REQUEST_DONE) {
    if (c->state == AXLE_CLIENT_CLOSED) return closed_status(c);
    const uint64_t until_us = end_us - now_us > LOOK_US ? now_us + LOOK_US : end_us;
    c->transport.wait(c->transport.context, axle_client_events(c, NULL), until_us);
    move(c, request, 1);
    if (request->state == AXLE_REQUEST_DONE) break;
    if (c->state != AXLE_CLIENT_CLOSED) check_time(c);
    now_us = now(c);
    if (request->state != AXLE_REQUEST_DONE && now_us >= end_us) return AXLE_CLIENT_AGAIN;
  }
  return 0;
}

void axle_client_close(axle_client *c) {
  static const axle_wire_bytes message = AXLE_TEXT("the client was closed");
  if (c->is_entered || c->state == AXLE_CLIENT_CLOSED) return;
  const uint64_t end_us = now(c) + AXLE_CLIENT_LEAVE_US;
  axle_wire_frame frame;
  axle_frame_of(&frame, AXLE_FRAME_GOAWAY, 0);
  int is_written = 0;
  while (c->state != AXLE_CLIENT_CLOSED && now(c) < end_us) {
    // Not within a DATA frame.
    if (!is_written && c->bulk == NULL) is_written = axle_client_write(c, &frame) == 0;
    move(c, NULL, 0);
    if (c->state == AXLE_CLIENT_CLOSED || (is_written && !axle_client_waits_to_send(c))) break;
    c->transport.wait(c->transport.context, AXLE_WAIT_SEND, end_us);
  }
  c->is_entered = 1;
  axle_client_lose(c, AXLE_STATUS_CANCELLED, 0, &message);
  c->is_entered = 0;
}
