// SPDX-License-Identifier: Apache-2.0
#include "axle/function.h"

#include "memory.h"

// u32 payload bytes, u8 type, u8 flags, u16 0, u32 call.
#define HEADER_BYTES 12u
#define TYPE_SETUP 1u
#define TYPE_READY 2u
#define TYPE_CALL 3u
#define TYPE_DATA 4u
#define TYPE_ANSWER 5u
#define TYPE_FAILED 6u
#define TYPE_CREDIT 7u
#define TYPE_CANCEL 8u
#define FLAG_END 1u

// Bytes of a body that were used are told in lots; the sender has four of them to spare.
#define CREDIT_LOT_BYTES 262144u
// Of an answer, in one frame.
#define PART_BYTES 65536u
// Of the JSON around texts that are cut.
#define JSON_BYTES (2u * AXLE_FUNCTION_TEXT_BYTES_MAX + 96u)

typedef struct frame {
  uint32_t bytes;
  uint32_t call;
  uint8_t type;
  uint8_t is_end;
} frame;

// ---- the stream --------------------------------------------------------------------------------

static int32_t send_all(axle_function *f, const void *data, uint32_t bytes) {
  const axle_transport *t = &f->transport;
  const uint8_t *at = (const uint8_t *)data;
  while (bytes > 0) {
    const int32_t sent = t->send(t->context, at, bytes);
    if (sent < 0) return AXLE_STATUS_UNAVAILABLE;
    if (sent == 0) {
      t->wait(t->context, AXLE_WAIT_SEND, AXLE_FOREVER);
      continue;
    }
    at += sent;
    bytes -= (uint32_t)sent;
  }
  return 0;
}

// Bytes that are nowhere else than in the stream. NULL: they are thrown away.
static int32_t receive_all(axle_function *f, uint8_t *to, uint32_t bytes, axle_client *client) {
  const axle_transport *t = &f->transport;
  uint8_t dropped[64];
  while (bytes > 0) {
    const uint32_t piece = to == NULL && bytes > sizeof(dropped) ? sizeof(dropped) : bytes;
    const int32_t got = t->receive(t->context, to == NULL ? dropped : to, piece);
    if (got < 0) return AXLE_STATUS_UNAVAILABLE;
    if (to != NULL) to += got;
    bytes -= (uint32_t)got;
    if (got > 0) continue;
    // A server takes a client for lost that never moves.
    if (client != NULL && axle_client_poll(client) != 0) return AXLE_STATUS_UNAVAILABLE;
    t->wait(t->context, AXLE_WAIT_RECEIVE, t->now_us(t->context) + AXLE_FUNCTION_LOOK_US);
  }
  return 0;
}

static int32_t receive_frame(axle_function *f, frame *got, axle_client *client) {
  uint8_t header[HEADER_BYTES];
  const int32_t error = receive_all(f, header, HEADER_BYTES, client);
  if (error != 0) return error;
  got->bytes = (uint32_t)axle_load(header, 4);
  got->type = header[4];
  got->is_end = header[5] == FLAG_END;
  got->call = (uint32_t)axle_load(header + 8, 4);
  const int is_frame = got->bytes <= AXLE_FUNCTION_PAYLOAD_BYTES_MAX && header[5] <= FLAG_END &&
                       axle_load(header + 6, 2) == 0;
  return is_frame ? 0 : AXLE_STATUS_DATA_LOSS;
}

static int32_t send_header(axle_function *f, uint8_t type, uint8_t flags, uint32_t call,
                           uint32_t bytes) {
  uint8_t header[HEADER_BYTES];
  axle_store(header, 4, bytes);
  header[4] = type;
  header[5] = flags;
  axle_store(header + 6, 2, 0);
  axle_store(header + 8, 4, call);
  return send_all(f, header, HEADER_BYTES);
}

// ---- JSON --------------------------------------------------------------------------------------

typedef struct writer {
  uint8_t data[JSON_BYTES];
  uint32_t bytes;
} writer;

static void add(writer *w, const char *text) {
  for (; *text != 0 && w->bytes < JSON_BYTES; text++) w->data[w->bytes++] = (uint8_t)*text;
}

// What JSON would have to escape is replaced, so that the length is that of the text.
static void add_text(writer *w, const char *text) {
  add(w, "\"");
  for (uint32_t i = 0; text[i] != 0 && i < AXLE_FUNCTION_TEXT_BYTES_MAX; i++) {
    char each[2] = {text[i], 0};
    if (each[0] == '"') each[0] = '\'';
    if (each[0] == '\\') each[0] = '/';
    if ((uint8_t)each[0] < 0x20) each[0] = ' ';
    add(w, each);
  }
  add(w, "\"");
}

static void add_number(writer *w, uint16_t number) {
  char digits[6] = "";
  uint32_t at = sizeof(digits) - 1;
  do {
    digits[--at] = (char)('0' + number % 10);
    number = (uint16_t)(number / 10);
  } while (number > 0);
  add(w, digits + at);
}

static int is_name(const uint8_t *text, uint32_t bytes, const char *name) {
  uint32_t i = 0;
  while (i < bytes && name[i] != 0 && text[i] == (uint8_t)name[i]) i++;
  return i == bytes && name[i] == 0;
}

// Where the text that begins behind `at` ends: at its quote, or at `bytes`.
static uint32_t end_of_text(const uint8_t *json, uint32_t bytes, uint32_t at) {
  while (at < bytes && json[at] != '"') at += json[at] == '\\' ? 2 : 1;
  return at < bytes ? at : bytes;
}

// Of a text in JSON.
static int32_t copy_text(const uint8_t *from, uint32_t bytes, uint8_t *to, uint32_t capacity) {
  uint32_t length = 0;
  for (uint32_t i = 0; i < bytes; i++) {
    if (from[i] == '\\' && (++i == bytes || (from[i] != '"' && from[i] != '\\'))) return -1;
    if (length == capacity) return -1;
    to[length++] = from[i];
  }
  return (int32_t)length;
}

int32_t axle_json_text(const uint8_t *json, uint32_t bytes, const char *name, uint8_t *text,
                       uint32_t capacity) {
  uint32_t depth = 0;
  int is_wanted = 0;  // the last text at the first depth was the name
  for (uint32_t at = 0; at < bytes; at++) {
    const uint8_t each = json[at];
    if (each == '{' || each == '[') depth++;
    if ((each == '}' || each == ']') && depth-- == 0) return -1;
    if (each == ',') is_wanted = 0;
    if (each != '"') continue;
    const uint32_t end = end_of_text(json, bytes, at + 1);
    if (end == bytes) return -1;
    if (depth == 1 && is_wanted) return copy_text(json + at + 1, end - at - 1, text, capacity);
    // A name is followed by its colon, a value is not.
    const int is_key = end + 1 < bytes && json[end + 1] == ':';
    is_wanted = depth == 1 && is_key && is_name(json + at + 1, end - at - 1, name);
    at = end;
  }
  return -1;
}

// ---- the function ------------------------------------------------------------------------------

int32_t axle_function_open(axle_function *f, const axle_function_options *options) {
  f->transport = options->transport;
  f->memory = (uint8_t *)options->memory;
  f->capacity = options->bytes;
  f->setup = f->memory;
  f->setup_bytes = 0;
  f->head = NULL;
  f->body = NULL;
  f->head_bytes = 0;
  f->body_bytes = 0;
  f->call = 0;
  f->client = NULL;
  f->frame_left = 0;
  for (;;) {
    frame got;
    int32_t error = receive_frame(f, &got, NULL);
    if (error != 0) return error;
    if (got.type != TYPE_SETUP) return AXLE_STATUS_DATA_LOSS;
    if (got.bytes > f->capacity - f->setup_bytes) {
      error = axle_function_refuse(f, "RESOURCE_EXHAUSTED",
                                   "the guest has no room for what the function is told first");
      return error != 0 ? error : AXLE_STATUS_RESOURCE_EXHAUSTED;
    }
    error = receive_all(f, f->memory + f->setup_bytes, got.bytes, NULL);
    if (error != 0) return error;
    f->setup_bytes += got.bytes;
    if (got.is_end) return 0;
  }
}

int32_t axle_function_ready(axle_function *f) { return send_header(f, TYPE_READY, 0, 0, 0); }

static int32_t send_failure(axle_function *f, uint32_t call, const char *code,
                            const char *message) {
  writer json;
  json.bytes = 0;
  add(&json, "{\"code\":");
  add_text(&json, code);
  add(&json, ",\"message\":");
  add_text(&json, message);
  add(&json, "}");
  const int32_t error = send_header(f, TYPE_FAILED, 0, call, json.bytes);
  return error != 0 ? error : send_all(f, json.data, json.bytes);
}

int32_t axle_function_refuse(axle_function *f, const char *code, const char *message) {
  return send_failure(f, 0, code, message);
}

int32_t axle_function_fail(axle_function *f, const char *code, const char *message) {
  const uint32_t call = f->call;
  f->call = 0;
  return send_failure(f, call, code, message);
}

// ---- a call ------------------------------------------------------------------------------------

// The frame of its body that is read was the last one, and is over.
static void end_body(axle_function *f) {
  if (f->frame_left == 0 && f->frame_is_end) f->has_body_ended = 1;
}

// Nobody waits for the answer: heard, and over.
static int32_t end_cancelled(axle_function *f) {
  int32_t error = send_header(f, TYPE_CANCEL, 0, f->call, 0);
  if (error == 0) error = axle_function_fail(f, "CANCELLED", "nobody waits for the answer");
  return error != 0 ? error : AXLE_STATUS_CANCELLED;
}

static int32_t take_credit(axle_function *f, const frame *got) {
  uint8_t bytes[4];
  if (got->bytes != sizeof(bytes)) return AXLE_STATUS_DATA_LOSS;
  const int32_t error = receive_all(f, bytes, sizeof(bytes), f->client);
  if (error != 0) return error;
  const uint64_t credit = f->answer_credit + axle_load(bytes, 4);
  if (credit > AXLE_FUNCTION_WINDOW_BYTES) return AXLE_STATUS_DATA_LOSS;
  f->answer_credit = (uint32_t)credit;
  return 0;
}

// The next frame. Of the body of the call under way the payload is left in the stream.
static int32_t take_frame(axle_function *f) {
  frame got;
  const int32_t error = receive_frame(f, &got, f->client);
  if (error != 0) return error;
  if (got.type == TYPE_CALL || got.type == TYPE_SETUP) return AXLE_STATUS_DATA_LOSS;
  if (got.call == f->call && got.type == TYPE_CREDIT) return take_credit(f, &got);
  if (got.call == f->call && got.type == TYPE_CANCEL) {
    return got.bytes > 0 ? AXLE_STATUS_DATA_LOSS : end_cancelled(f);
  }
  // Of a call that is over.
  if (got.call != f->call || got.type != TYPE_DATA || f->has_body_ended) {
    return receive_all(f, NULL, got.bytes, f->client);
  }
  f->frame_left = got.bytes;
  f->frame_is_end = got.is_end;
  end_body(f);
  return 0;
}

// Begins a call: its head.
static int32_t take_head(axle_function *f, const frame *got) {
  uint8_t length[4];
  if (got->bytes < sizeof(length)) return AXLE_STATUS_DATA_LOSS;
  int32_t error = receive_all(f, length, sizeof(length), f->client);
  if (error != 0) return error;
  const uint32_t head_bytes = (uint32_t)axle_load(length, 4);
  const uint32_t left = got->bytes - (uint32_t)sizeof(length);
  if (head_bytes > left || head_bytes > AXLE_FUNCTION_HEAD_BYTES_MAX) return AXLE_STATUS_DATA_LOSS;
  const int fits = head_bytes <= f->capacity;
  error = receive_all(f, fits ? f->memory : NULL, head_bytes, f->client);
  if (error != 0) return error;
  f->call = got->call;
  f->head_bytes = fits ? head_bytes : 0;
  f->body = f->memory + f->head_bytes;
  f->frame_left = left - head_bytes;
  f->frame_is_end = got->is_end;
  f->answer_credit = AXLE_FUNCTION_WINDOW_BYTES;
  end_body(f);
  return fits ? 0
              : axle_function_fail(f, "RESOURCE_EXHAUSTED",
                                   "the call is longer than the guest takes");
}

int32_t axle_function_begin(axle_function *f, axle_client *client) {
  f->client = client;
  f->call = 0;
  f->setup_bytes = 0;
  f->head = f->memory;
  for (;;) {
    frame got;
    f->body_bytes = f->held_at = f->held_bytes = 0;
    f->has_body_ended = f->has_answered = 0;
    f->unused_credit = 0;
    // Of the call before.
    int32_t error = receive_all(f, NULL, f->frame_left, client);
    f->frame_left = 0;
    if (error == 0) error = receive_frame(f, &got, client);
    if (error != 0) return error;
    if (got.type == TYPE_SETUP) return AXLE_STATUS_DATA_LOSS;
    if (got.type != TYPE_CALL) {
      f->frame_left = got.bytes;
      continue;
    }
    error = take_head(f, &got);
    if (error != 0 || f->call != 0) return error;
  }
}

// Tells of bytes of the body that were used.
static int32_t give_credit(axle_function *f, uint32_t bytes) {
  f->unused_credit += bytes;
  if (f->has_body_ended || f->unused_credit < CREDIT_LOT_BYTES) return 0;
  uint8_t credit[4];
  axle_store(credit, 4, f->unused_credit);
  f->unused_credit = 0;
  const int32_t sent = send_header(f, TYPE_CREDIT, 0, f->call, sizeof(credit));
  return sent != 0 ? sent : send_all(f, credit, sizeof(credit));
}

// Where a status is told in place of a length.
static int32_t as_length(int32_t error, uint32_t bytes) {
  return error != 0 ? -error : (int32_t)bytes;
}

static uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }

int32_t axle_function_read(axle_function *f, void *to, uint32_t capacity) {
  if (f->call == 0 || capacity == 0) return -AXLE_STATUS_INVALID_ARGUMENT;
  if (f->held_bytes > 0) {
    const uint32_t bytes = least(capacity, f->held_bytes);
    copy_bytes(to, f->memory + f->head_bytes + f->held_at, bytes);
    f->held_at += bytes;
    f->held_bytes -= bytes;
    return as_length(give_credit(f, bytes), bytes);
  }
  while (f->frame_left == 0) {
    if (f->has_body_ended) return 0;
    const int32_t error = take_frame(f);
    if (error != 0) return -error;
  }
  const uint32_t bytes = least(capacity, f->frame_left);
  const int32_t error = receive_all(f, (uint8_t *)to, bytes, f->client);
  if (error != 0) return -error;
  f->frame_left -= bytes;
  end_body(f);
  return as_length(give_credit(f, bytes), bytes);
}

int32_t axle_function_next(axle_function *f, axle_client *client) {
  int32_t error = axle_function_begin(f, client);
  while (error == 0) {
    const uint32_t left = f->capacity - f->head_bytes - f->body_bytes;
    uint8_t more;
    const int32_t got = left > 0
                            ? axle_function_read(f, f->memory + f->head_bytes + f->body_bytes, left)
                            : axle_function_read(f, &more, 1);
    if (got == 0) return 0;
    if (got > 0 && left > 0) {
      f->body_bytes += (uint32_t)got;
      continue;
    }
    if (got > 0) {
      error =
          axle_function_fail(f, "RESOURCE_EXHAUSTED", "the call is longer than the guest takes");
    } else if (got != -AXLE_STATUS_CANCELLED) {
      error = -got;
    }
    if (error == 0) error = axle_function_begin(f, client);
  }
  return error;
}

// ---- its answer --------------------------------------------------------------------------------

// Keeps what comes of the body of the call, so that what comes behind it can be read.
static int32_t hold_body(axle_function *f) {
  uint8_t *held = f->memory + f->head_bytes;
  const uint32_t room = f->capacity - f->head_bytes - f->held_bytes;
  if (f->body_bytes > 0 || f->frame_left > room) {
    const int32_t error = axle_function_fail(
        f, "RESOURCE_EXHAUSTED", "more of the call came during its answer than the guest keeps");
    return error != 0 ? error : AXLE_STATUS_RESOURCE_EXHAUSTED;
  }
  // Forwards, to a lower place: right where the two overlap.
  for (uint32_t i = 0; i < f->held_bytes && f->held_at > 0; i++) {
    ((volatile uint8_t *)held)[i] = held[f->held_at + i];
  }
  f->held_at = 0;
  const int32_t error = receive_all(f, held + f->held_bytes, f->frame_left, f->client);
  f->held_bytes += f->frame_left;
  f->frame_left = 0;
  end_body(f);
  return error;
}

static int32_t await_credit(axle_function *f) {
  while (f->answer_credit == 0) {
    const int32_t error = f->frame_left > 0 ? hold_body(f) : take_frame(f);
    if (error != 0) return error;
  }
  return 0;
}

// In parts of at most what there is credit for.
static int32_t send_parts(axle_function *f, const uint8_t *at, uint32_t bytes, int is_last) {
  while (bytes > 0) {
    int32_t error = await_credit(f);
    if (error != 0) return error;
    const uint32_t part = least(least(bytes, f->answer_credit), PART_BYTES);
    f->answer_credit -= part;
    bytes -= part;
    error = send_header(f, TYPE_DATA, is_last && bytes == 0 ? FLAG_END : 0, f->call, part);
    if (error == 0) error = send_all(f, at, part);
    if (error != 0) return error;
    at += part;
  }
  return 0;
}

// With the first bytes of its body.
static int32_t send_head(axle_function *f, uint16_t status, const char *content_type,
                         const void *body, uint32_t bytes, uint8_t flags) {
  writer json;
  uint8_t length[4];
  json.bytes = 0;
  add(&json, "{\"status\":");
  add_number(&json, status);
  add(&json, ",\"headers\":{\"content-type\":");
  add_text(&json, content_type);
  add(&json, "}}");
  axle_store(length, 4, json.bytes);
  const uint32_t all = (uint32_t)sizeof(length) + json.bytes + bytes;
  f->has_answered = 1;
  f->answer_credit -= bytes;
  int32_t error = send_header(f, TYPE_ANSWER, flags, f->call, all);
  if (error == 0) error = send_all(f, length, sizeof(length));
  if (error == 0) error = send_all(f, json.data, json.bytes);
  return error != 0 ? error : send_all(f, body, bytes);
}

int32_t axle_function_answer(axle_function *f, uint16_t status, const char *content_type,
                             const void *body, uint32_t bytes) {
  if (f->call == 0 || f->has_answered) return AXLE_STATUS_INVALID_ARGUMENT;
  const uint32_t first = least(bytes, PART_BYTES);
  const uint8_t flags = first == bytes ? FLAG_END : 0;
  int32_t error = send_head(f, status, content_type, body, first, flags);
  if (error == 0) error = send_parts(f, (const uint8_t *)body + first, bytes - first, 1);
  f->call = 0;
  // Then it was answered by that.
  return error == AXLE_STATUS_CANCELLED || error == AXLE_STATUS_RESOURCE_EXHAUSTED ? 0 : error;
}

int32_t axle_function_begin_answer(axle_function *f, uint16_t status, const char *content_type) {
  if (f->call == 0 || f->has_answered) return AXLE_STATUS_INVALID_ARGUMENT;
  return send_head(f, status, content_type, NULL, 0, 0);
}

int32_t axle_function_write(axle_function *f, const void *data, uint32_t bytes) {
  if (f->call == 0 || !f->has_answered) return AXLE_STATUS_INVALID_ARGUMENT;
  return send_parts(f, (const uint8_t *)data, bytes, 0);
}

int32_t axle_function_end(axle_function *f) {
  const uint32_t call = f->call;
  if (call == 0 || !f->has_answered) return AXLE_STATUS_INVALID_ARGUMENT;
  f->call = 0;
  return send_header(f, TYPE_DATA, FLAG_END, call, 0);
}
