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
  f->unused_credit = 0;
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

// Begins a call: its head, and room for its body behind it.
static int32_t take_head(axle_function *f, frame *got, axle_client *client, int *fits) {
  uint8_t length[4];
  if (got->bytes < sizeof(length)) return AXLE_STATUS_DATA_LOSS;
  const int32_t error = receive_all(f, length, sizeof(length), client);
  if (error != 0) return error;
  const uint32_t head_bytes = (uint32_t)axle_load(length, 4);
  got->bytes -= (uint32_t)sizeof(length);
  if (head_bytes > got->bytes || head_bytes > AXLE_FUNCTION_HEAD_BYTES_MAX)
    return AXLE_STATUS_DATA_LOSS;
  got->bytes -= head_bytes;
  *fits = head_bytes <= f->capacity;
  f->call = got->call;
  f->setup_bytes = 0;
  f->head = f->memory;
  f->head_bytes = *fits ? head_bytes : 0;
  f->body = f->memory + f->head_bytes;
  f->body_bytes = 0;
  f->unused_credit = 0;
  return receive_all(f, *fits ? f->memory : NULL, head_bytes, client);
}

// Adds to the body of the call.
static int32_t take_body(axle_function *f, const frame *got, axle_client *client, int *fits) {
  const uint32_t at = f->head_bytes + f->body_bytes;
  *fits = *fits && got->bytes <= f->capacity - at;
  const int32_t error = receive_all(f, *fits ? f->memory + at : NULL, got->bytes, client);
  if (error != 0) return error;
  if (*fits) f->body_bytes += got->bytes;
  f->unused_credit += got->bytes;
  if (got->is_end || !*fits || f->unused_credit < CREDIT_LOT_BYTES) return 0;
  uint8_t credit[4];
  axle_store(credit, 4, f->unused_credit);
  f->unused_credit = 0;
  const int32_t sent = send_header(f, TYPE_CREDIT, 0, f->call, sizeof(credit));
  return sent != 0 ? sent : send_all(f, credit, sizeof(credit));
}

int32_t axle_function_next(axle_function *f, axle_client *client) {
  f->call = 0;
  for (;;) {
    frame got;
    int fits = 1;
    int32_t error = receive_frame(f, &got, client);
    if (error != 0) return error;
    if (got.type == TYPE_CALL && f->call == 0) {
      error = take_head(f, &got, client, &fits);
    } else if (got.type == TYPE_CANCEL && f->call != 0 && got.call == f->call) {
      // While its body comes: heard, and over.
      error = send_header(f, TYPE_CANCEL, 0, got.call, 0);
      if (error == 0) error = axle_function_fail(f, "CANCELLED", "nobody waits for the answer");
    } else if (got.type == TYPE_CALL || got.type == TYPE_SETUP) {
      return AXLE_STATUS_DATA_LOSS;
    }
    if (error != 0) return error;
    const int is_body =
        f->call != 0 && got.call == f->call && (got.type == TYPE_CALL || got.type == TYPE_DATA);
    if (!is_body) {
      // Of a call that is over.
      error = receive_all(f, NULL, got.bytes, client);
      if (error != 0) return error;
      continue;
    }
    error = take_body(f, &got, client, &fits);
    if (error == 0 && !fits) {
      error =
          axle_function_fail(f, "RESOURCE_EXHAUSTED", "the call is longer than the guest takes");
    }
    if (error != 0) return error;
    if (f->call != 0 && got.is_end) return 0;
  }
}

int32_t axle_function_answer(axle_function *f, uint16_t status, const char *content_type,
                             const void *body, uint32_t bytes) {
  const uint32_t call = f->call;
  writer json;
  uint8_t length[4];
  if (bytes > AXLE_FUNCTION_ANSWER_BYTES_MAX || call == 0) return AXLE_STATUS_INVALID_ARGUMENT;
  json.bytes = 0;
  add(&json, "{\"status\":");
  add_number(&json, status);
  add(&json, ",\"headers\":{\"content-type\":");
  add_text(&json, content_type);
  add(&json, "}}");
  f->call = 0;
  axle_store(length, 4, json.bytes);
  const uint8_t *at = (const uint8_t *)body;
  uint32_t part = bytes < PART_BYTES ? bytes : PART_BYTES;
  uint8_t flags = part == bytes ? FLAG_END : 0;
  const uint32_t first_bytes = (uint32_t)sizeof(length) + json.bytes + part;
  int32_t error = send_header(f, TYPE_ANSWER, flags, call, first_bytes);
  if (error == 0) error = send_all(f, length, sizeof(length));
  if (error == 0) error = send_all(f, json.data, json.bytes);
  while (error == 0) {
    error = send_all(f, at, part);
    at += part;
    bytes -= part;
    if (error != 0 || bytes == 0) break;
    part = bytes < PART_BYTES ? bytes : PART_BYTES;
    flags = part == bytes ? FLAG_END : 0;
    error = send_header(f, TYPE_DATA, flags, call, part);
  }
  return error;
}
