// SPDX-License-Identifier: Apache-2.0
//
// The client's writer (PROTOCOL.md, section 5). Frames without data gather in the send buffer; when that
// is empty, control frames that are due go into it, and then DATA has a turn, from where its bytes lie.
#include "client_parts.h"
#include "wire_bytes.h"
#include "wire_layout.h"

#define HEADER_BYTES AXLE_WIRE_HEADER_BYTES
// Less credit than this is not worth a frame, unless it is the rest.
#define DATA_BYTES_MIN 4096u

#define STALL_US (AXLE_WIRE_STALL_MS * UINT64_C(1000))

static uint32_t least(uint64_t a, uint32_t b) { return a < b ? (uint32_t)a : b; }

// ---- frames without data -----------------------------------------------------------------------

void axle_frame_of(axle_wire_frame *frame, uint8_t type, uint64_t id) {
  clear_bytes(frame, sizeof(*frame));
  frame->type = type;
  frame->id = id;
}

void axle_client_begin(axle_client *c, axle_wire_writer *writer, const axle_wire_frame *frame) {
  if (c->send_start == c->send_end) c->send_start = c->send_end = 0;
  axle_wire_writer_init(writer, c->send_memory + c->send_end, c->send_capacity - c->send_end);
  axle_wire_begin(writer, frame);
}

int32_t axle_client_end(axle_client *c, axle_wire_writer *writer, int is_control) {
  const int32_t error = axle_wire_end(writer);
  if (error == AXLE_WIRE_FULL && c->send_end > 0) return AXLE_CLIENT_AGAIN;
  if (error != 0) {
    c->wire_error = error == AXLE_WIRE_FULL ? AXLE_WIRE_ERROR_PAYLOAD_TOO_LONG : (uint16_t)error;
    return AXLE_STATUS_INVALID_ARGUMENT;
  }
  if (!is_control) {
    if (c->send_window < writer->bytes) return AXLE_CLIENT_AGAIN;
    c->send_window -= (uint32_t)writer->bytes;
  }
  c->send_end += (uint32_t)writer->bytes;
  return 0;
}

static int is_control(uint8_t type) { return type <= AXLE_FRAME_HEALTH; }

int32_t axle_client_write(axle_client *c, const axle_wire_frame *frame) {
  axle_wire_writer writer;
  axle_client_begin(c, &writer, frame);
  return axle_client_end(c, &writer, is_control(frame->type));
}

// ---- control -----------------------------------------------------------------------------------

static int write_plain(axle_client *c, uint8_t type, uint64_t id) {
  axle_wire_frame frame;
  axle_frame_of(&frame, type, id);
  return axle_client_write(c, &frame) == 0;
}

// Back in halves of the window.
static int give_credit(axle_client *c, uint64_t id, uint32_t *used, uint32_t window) {
  if (*used < window / 2) return 0;
  axle_wire_frame frame;
  axle_frame_of(&frame, AXLE_FRAME_CREDIT, id);
  frame.body.credit.bytes = *used;
  if (axle_client_write(c, &frame) != 0) return 0;
  *used = 0;
  return 1;
}

// Whether a stream of bytes to this side goes on.
static int takes_data(const axle_request *r) {
  return r->state == AXLE_REQUEST_PENDING && !r->has_ended && !r->is_cancelled;
}

// What is due, as far as the buffer has room.
static void write_control(axle_client *c) {
  while (c->pong_count > 0 && write_plain(c, AXLE_FRAME_PONG, c->pongs[c->pong_count - 1])) {
    c->pong_count--;
  }
  if (c->ping_is_due && write_plain(c, AXLE_FRAME_PING, 0)) c->ping_is_due = 0;
  give_credit(c, 0, &c->used_bytes, c->connection_window);
  for (axle_request *r = c->first; r != NULL; r = r->next) {
    if (r->is_cancelled && !r->was_cancelled && write_plain(c, AXLE_FRAME_CANCEL, r->handle)) {
      r->was_cancelled = 1;
    }
    if (takes_data(r)) give_credit(c, r->handle, &r->used_bytes, c->stream_window);
  }
}

// ---- data --------------------------------------------------------------------------------------

void axle_request_next_part(axle_request *r) {
  if (!r->is_sending) return;
  if (r->kind == AXLE_FRAME_STREAM) {
    r->part = 0;
    r->part_left = UINT64_MAX;
    return;
  }
  while (r->range_count == 0 && ++r->part < r->input_count) {
    if (r->inputs[r->part].source != AXLE_SOURCE_FOLLOWS) continue;
    r->part_at = 0;
    r->part_left = r->inputs[r->part].bytes;
    if (r->part_left > 0) return;
  }
  if (r->range_at < r->range_count) {
    const axle_wire_range *range = &r->ranges[r->range_at++];
    r->part = 1;
    r->part_at = range->offset;
    r->part_left = range->bytes;
    return;
  }
  r->range_count = r->range_at = 0;
  r->part = r->input_count;
  r->part_left = 0;
  r->is_sending = 0;
}

// Where the next bytes of the request lie: at most `bytes`, and how many. NULL: there are none.
static const uint8_t *piece_of(axle_request *r, size_t *bytes) {
  const int is_stream = r->kind == AXLE_FRAME_STREAM;
  if (!is_stream && r->inputs[r->part].data != NULL) {
    return (const uint8_t *)r->inputs[r->part].data + (size_t)r->part_at;
  }
  const size_t wanted = *bytes;
  const uint8_t *piece = (const uint8_t *)r->source(r, r->part, r->part_at, bytes);
  if (*bytes > wanted) *bytes = wanted;
  return piece;
}

static void begin_data(axle_client *c, axle_request *r, const uint8_t *data, uint32_t bytes,
                       uint8_t flags) {
  axle_wire_header header = {r->handle, 0, 0, AXLE_FRAME_DATA, flags};
  header.aux = (uint16_t)padding_of(bytes);
  header.payload_bytes = bytes + header.aux;
  axle_wire_put_header(c->bulk_header, &header);
  c->bulk = r;
  c->bulk_last = r;
  c->bulk_data = data;
  c->bulk_left = bytes;
  c->bulk_header_at = 0;
  c->bulk_padding = (uint8_t)header.aux;
  c->send_window -= HEADER_BYTES + header.payload_bytes;
  r->send_window -= header.payload_bytes;
  r->waits_us = 0;
  c->waits_us = 0;
}

// A frame of the request's data, if it has any and credit for it.
static int try_data(axle_client *c, axle_request *r) {
  static const axle_wire_bytes no_source =
      AXLE_TEXT("the source of this request's input had no more before its end");
  if (!r->is_sending || r->state != AXLE_REQUEST_PENDING) return 0;
  const uint32_t own = r->send_window;
  const uint32_t kept = c->bulk_reserve + HEADER_BYTES;
  const uint32_t shared = c->send_window > kept ? c->send_window - kept : 0;
  // Whole words, so that the padding has credit too.
  const uint32_t credit = least(own, shared) & ~7u;
  if (credit == 0 || credit < least(r->part_left, DATA_BYTES_MIN)) {
    const uint64_t now_us = c->transport.now_us(c->transport.context);
    if (own < shared) {
      // A stream may be left unread for as long as its user likes.
      if (r->waits_us == 0 && r->kind != AXLE_FRAME_STREAM) r->waits_us = now_us;
    } else if (c->waits_us == 0) {
      c->waits_us = now_us;
    }
    return 0;
  }
  size_t bytes = least(r->part_left, least(credit, c->server_payload_max));
  const uint8_t *piece = piece_of(r, &bytes);
  if (piece == NULL && r->kind == AXLE_FRAME_STREAM) {
    r->is_sending = 0;
    begin_data(c, r, NULL, 0, AXLE_FLAG_DATA_END);
    return 1;
  }
  if (piece == NULL) {
    r->local_failure = AXLE_STATUS_DATA_LOSS;
    axle_client_set_message(r->message, &no_source);
    axle_client_cancel(c, r);
    return 0;
  }
  if (bytes == 0) return 0;
  begin_data(c, r, piece, (uint32_t)bytes, 0);
  r->part_at += bytes;
  if (r->kind == AXLE_FRAME_STREAM) return 1;
  r->part_left -= bytes;
  if (r->part_left == 0) axle_request_next_part(r);
  return 1;
}

// The requests take turns: those behind the last one first. `source` may change the list.
static int next_data(axle_client *c) {
  for (axle_request *r = c->bulk_last != NULL ? c->bulk_last->next : NULL; r != NULL; r = r->next) {
    if (try_data(c, r)) return 1;
  }
  for (axle_request *r = c->first; r != NULL; r = r->next) {
    if (try_data(c, r)) return 1;
  }
  return 0;
}

// ---- to the transport --------------------------------------------------------------------------

// How many went; -1 when none can now or any more.
static int64_t hand_over(axle_client *c, const uint8_t *data, uint32_t bytes) {
  static const axle_wire_bytes ended = AXLE_TEXT("the server ended the connection");
  const int32_t sent = c->transport.send(c->transport.context, data, bytes);
  if (sent > 0 && (uint32_t)sent <= bytes) return sent;
  if (sent != 0) axle_client_lose(c, AXLE_STATUS_UNAVAILABLE, 0, &ended);
  return -1;
}

static void end_data(axle_client *c) {
  axle_request *r = c->bulk;
  c->bulk = NULL;
  if (r->has_ended) axle_request_end(c, r, r->status);
}

// Goes on with the DATA frame that was begun.
static int send_data(axle_client *c) {
  static const uint8_t padding[8];
  int64_t sent = 0;
  if (c->bulk_header_at < HEADER_BYTES) {
    sent = hand_over(c, c->bulk_header + c->bulk_header_at, HEADER_BYTES - c->bulk_header_at);
    if (sent > 0) c->bulk_header_at = (uint8_t)(c->bulk_header_at + sent);
  } else if (c->bulk_left > 0) {
    sent = hand_over(c, c->bulk_data, c->bulk_left);
    if (sent > 0) {
      c->bulk_data += sent;
      c->bulk_left -= (uint32_t)sent;
    }
  } else if (c->bulk_padding > 0) {
    sent = hand_over(c, padding, c->bulk_padding);
    if (sent > 0) c->bulk_padding = (uint8_t)(c->bulk_padding - sent);
  }
  if (sent < 0) return 0;
  if (c->bulk_header_at == HEADER_BYTES && c->bulk_left == 0 && c->bulk_padding == 0) end_data(c);
  return 1;
}

static int send_frames(axle_client *c) {
  const int64_t sent = hand_over(c, c->send_memory + c->send_start, c->send_end - c->send_start);
  if (sent < 0) return 0;
  c->send_start += (uint32_t)sent;
  return 1;
}

int axle_client_waits_to_send(const axle_client *c) {
  return c->bulk != NULL || c->send_start < c->send_end;
}

int axle_client_send(axle_client *c) {
  int moved = 0;
  while (c->state != AXLE_CLIENT_CLOSED) {
    if (c->bulk != NULL) {
      if (!send_data(c)) break;
    } else {
      // A frame that was begun goes on before all else.
      if (c->send_start == 0) write_control(c);
      if (c->send_start < c->send_end) {
        if (!send_frames(c)) break;
        // Frames do not keep data waiting for ever.
        if (c->send_start == c->send_end) next_data(c);
      } else {
        c->send_start = c->send_end = 0;
        c->sent_handle = c->last_handle;
        write_control(c);
        if (c->send_end == 0 && !next_data(c)) break;
      }
    }
    moved = 1;
  }
  return moved;
}

static int has_stalled(uint64_t since_us, uint64_t now_us) {
  return since_us != 0 && now_us - since_us > STALL_US;
}

void axle_client_check_stalls(axle_client *c, uint64_t now_us) {
  static const axle_wire_bytes call_stalls =
      AXLE_TEXT("the server took no data of this call for too long; try again later");
  static const axle_wire_bytes all_stalls = AXLE_TEXT("the server gave no credit for too long");
  if (has_stalled(c->waits_us, now_us)) {
    axle_client_lose(c, AXLE_STATUS_UNAVAILABLE, AXLE_WIRE_ERROR_CREDIT_STALL, &all_stalls);
    return;
  }
  for (axle_request *r = c->first; r != NULL; r = r->next) {
    if (r->is_cancelled || !has_stalled(r->waits_us, now_us)) continue;
    r->local_failure = AXLE_STATUS_RESOURCE_EXHAUSTED;
    axle_client_set_message(r->message, &call_stalls);
    axle_client_cancel(c, r);
  }
}
