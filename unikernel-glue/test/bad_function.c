// SPDX-License-Identifier: Apache-2.0
//
// A guest that does to its host what the body of a call says: echo, die, hang, garbage, long, lie, flood. With `refuse` or
// `silent` as MODE of its environment it does not even start; with `stream` it sends each body back as it comes, with room for
// little of it, but for what begins with `pour` or `stop`: much more than came, or nothing after the first piece.
#include "../guest/platform.h"
#include "axle/function.h"

#define CALL_BYTES (3u << 20)
#define ANSWER_BYTES (1u << 20)
// Of a stream: a window, and the head of a call.
#define STREAM_BYTES (AXLE_FUNCTION_WINDOW_BYTES + 65536u)
#define PIECE_BYTES 50000u
#define POURED_BYTES (64u << 20)
#define SECOND_US 1000000u

static axle_function function;
static uint8_t memory[CALL_BYTES];
static uint8_t answer[ANSWER_BYTES];

static int is(const uint8_t *text, uint32_t bytes, const char *word) {
  uint32_t i = 0;
  while (i < bytes && word[i] != 0 && text[i] == (uint8_t)word[i]) i++;
  return i == bytes && word[i] == 0;
}

// Whether what it was told first has these words anywhere.
static int is_told(const char *words) {
  uint32_t length = 0;
  while (words[length] != 0) length++;
  for (uint32_t at = 0; at + length <= function.setup_bytes; at++) {
    if (is(function.setup + at, length, words)) return 1;
  }
  return 0;
}

static void say(const void *data, uint32_t bytes) {
  const axle_transport *t = &function.transport;
  const uint8_t *at = (const uint8_t *)data;
  while (bytes > 0) {
    const int32_t sent = t->send(t->context, at, bytes);
    if (sent < 0) return;
    at += sent;
    bytes -= (uint32_t)sent;
    if (sent == 0) t->wait(t->context, AXLE_WAIT_SEND, axle_now_us() + SECOND_US);
  }
}

static void hang(void) {
  const axle_transport *t = &function.transport;
  for (;;) t->wait(t->context, 0, axle_now_us() + SECOND_US);
}

// A head of an answer that is longer than its frame.
static void lie(void) {
  static uint8_t frame[24];
  axle_store(frame, 4, 12);
  frame[4] = 5;
  frame[5] = 1;
  axle_store(frame + 8, 4, function.call);
  axle_store(frame + 12, 4, 0xfffffff0u);
  say(frame, sizeof(frame));
}

// What it says of the call: 1: it is answered.
static int32_t obey(void) {
  const uint8_t *body = function.body;
  const uint32_t bytes = function.body_bytes;
  if (is(body, bytes, "die")) axle_halt();
  if (is(body, bytes, "hang")) hang();
  if (is(body, bytes, "garbage")) say(memory, sizeof(memory));
  if (is(body, bytes, "lie")) lie();
  if (is(body, bytes, "flood")) {
    for (uint32_t i = 0; i < 5000; i++) axle_print("a line of very many that say the same\n");
  }
  if (is(body, bytes, "long")) {
    for (uint32_t i = 0; i < sizeof(answer); i++) answer[i] = (uint8_t)i;
    return axle_function_answer(&function, 200, "application/octet-stream", answer, sizeof(answer));
  }
  if (is(body, bytes, "fail")) return axle_function_fail(&function, "NOT_FOUND", "a \"reason\"\n");
  if (is(body, bytes, "path")) {
    const int32_t length =
        axle_json_text(function.head, function.head_bytes, "path", answer, sizeof(answer));
    return axle_function_answer(&function, 201, "text/x-path", answer,
                                length < 0 ? 0 : (uint32_t)length);
  }
  if (bytes > sizeof(answer)) {
    axle_store(answer, 4, bytes);
    return axle_function_answer(&function, 200, "application/x-length", answer, 4);
  }
  return axle_function_answer(&function, 200, "application/octet-stream", body, bytes);
}

static int32_t pour(void) {
  for (uint32_t sent = 0; sent < POURED_BYTES; sent += ANSWER_BYTES) {
    const int32_t error = axle_function_write(&function, answer, ANSWER_BYTES);
    if (error != 0) return error;
  }
  return axle_function_end(&function);
}

// One call, in pieces.
static int32_t stream_back(void) {
  int32_t got = axle_function_read(&function, answer, PIECE_BYTES);
  if (got < 0) return -got;
  int32_t error = axle_function_begin_answer(&function, 200, "application/x-stream");
  if (error != 0) return error;
  if (got == 4 && is(answer, 4, "pour")) return pour();
  if (got == 4 && is(answer, 4, "stop")) {
    return axle_function_fail(&function, "DATA_LOSS", "no more of it");
  }
  while (got > 0) {
    error = axle_function_write(&function, answer, (uint32_t)got);
    if (error != 0) return error;
    got = axle_function_read(&function, answer, PIECE_BYTES);
  }
  return got < 0 ? -got : axle_function_end(&function);
}

static void stream_all(void) {
  int32_t error = 0;
  while (error == 0) {
    error = axle_function_begin(&function, NULL);
    if (error == 0) error = stream_back();
    if (error != AXLE_STATUS_CANCELLED) continue;
    axle_print("a call was given up\n");
    error = 0;
  }
}

void axle_main(const void *start_info) {
  static axle_transport pool;
  static axle_function_options options;
  axle_print("axle: up\n");
  if (axle_platform_open(start_info, &pool) != 0) return;
  if (axle_platform_open_calls(&options.transport) != 0) return;
  options.memory = memory;
  options.bytes = sizeof(memory);
  if (axle_function_open(&function, &options) != 0) return;
  if (is_told("\"MODE\":\"refuse\"")) axle_function_refuse(&function, "NOT_FOUND", "no reason");
  if (is_told("\"MODE\":\"silent\"")) hang();
  const int streams = is_told("\"MODE\":\"stream\"");
  if (streams) function.capacity = STREAM_BYTES;
  int32_t error = axle_function_ready(&function);
  if (error == 0 && streams) stream_all();
  while (error == 0) {
    error = axle_function_next(&function, NULL);
    if (error == 0) error = obey();
  }
  axle_print("axle: done\n");
}
