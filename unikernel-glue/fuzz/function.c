// SPDX-License-Identifier: Apache-2.0
//
// A host that a function did not expect. The first byte of an input says in which pieces the rest comes and how much memory the
// function has, and by STREAMS whether it reads and answers in pieces; the rest is what the host says.
#include <stdlib.h>
#include <string.h>

#include "axle/function.h"
#include "target.h"

#define MEMORY_BYTES 64u
#define TEXT_BYTES 24u
#define STREAMS 8u
#define PIECE_BYTES 7u
// Of each piece that comes, more than a window goes for a few of them.
#define ANSWER_BYTES (AXLE_FUNCTION_WINDOW_BYTES / 4u)

typedef struct script {
  const uint8_t *at;
  size_t left;
  uint32_t piece;
  uint64_t clock_us;
} script;

// Of all that was read, so that it is.
static volatile uint8_t seen;

static void check(int holds) {
  if (!holds) abort();
}

static int32_t script_send(void *context, const void *data, uint32_t bytes) {
  const script *s = (const script *)context;
  check(bytes > 0 && data != NULL);
  // All of it is there to be read: one call that the sanitizer looks at, and none for each byte.
  static uint8_t copy[4096];
  const uint32_t taken = bytes < sizeof(copy) ? bytes : sizeof(copy);
  memcpy(copy, data, taken);
  const uint32_t most = copy[taken - 1] % 8 == 7 ? s->piece : taken;
  return (int32_t)(bytes < most ? bytes : most);
}

static int32_t script_receive(void *context, void *data, uint32_t capacity) {
  script *s = (script *)context;
  check(capacity > 0);
  if (s->left == 0) return AXLE_TRANSPORT_CLOSED;
  uint32_t bytes = s->piece < capacity ? s->piece : capacity;
  if (bytes > s->left) bytes = (uint32_t)s->left;
  memcpy(data, s->at, bytes);
  s->at += bytes;
  s->left -= bytes;
  return (int32_t)bytes;
}

static void script_wait(void *context, uint32_t events, uint64_t until_us) {
  (void)events;
  ((script *)context)->clock_us = until_us;
}

static uint64_t script_now_us(void *context) { return ((script *)context)->clock_us += 100; }

static void script_close(void *context) { (void)context; }

// Reads all that a function is given, and what JSON says in it.
static void look_at(const uint8_t *data, uint32_t bytes, const uint8_t *memory, uint32_t capacity) {
  check(bytes == 0 || (data >= memory && data + bytes <= memory + capacity));
  uint8_t *text = malloc(TEXT_BYTES);
  check(text != NULL);
  const int32_t length = axle_json_text(data, bytes, "id", text, TEXT_BYTES);
  check(length >= -1 && length <= (int32_t)TEXT_BYTES);
  uint8_t sum = 0;
  for (int32_t i = 0; i < length; i++) sum ^= text[i];
  for (uint32_t i = 0; i < bytes; i++) sum ^= data[i];
  seen = sum;
  free(text);
}

// A call in pieces. Returns 0 while there may be another one.
static int32_t stream_back(axle_function *function) {
  static const uint8_t answer[ANSWER_BYTES];
  uint8_t *piece = malloc(PIECE_BYTES);
  check(piece != NULL);
  int32_t error = axle_function_begin_answer(function, 200, "text/plain");
  check(error == 0 && axle_function_begin_answer(function, 200, "") != 0);
  int32_t got = 1;
  while (error == 0 && got > 0) {
    got = axle_function_read(function, piece, PIECE_BYTES);
    check(got <= (int32_t)PIECE_BYTES);
    for (int32_t i = 0; i < got; i++) seen ^= piece[i];
    if (got < 0) error = -got;
    if (got > 0) error = axle_function_write(function, answer, ANSWER_BYTES);
  }
  free(piece);
  if (error == 0) error = axle_function_end(function);
  const int is_over = error == AXLE_STATUS_CANCELLED || error == AXLE_STATUS_RESOURCE_EXHAUSTED;
  check((error != 0 && !is_over) || function->call == 0);
  return is_over ? 0 : error;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  if (bytes == 0) return 0;
  script s = {data + 1, bytes - 1, data[0] % 16u + 1u, 1};
  const uint32_t capacity = MEMORY_BYTES * (data[0] / 16u + 1u);
  // In memory of its own, at the end of which the sanitizer watches.
  uint8_t *memory = malloc(capacity);
  check(memory != NULL);
  axle_function function;
  const axle_function_options options = {
      {&s, script_send, script_receive, script_wait, script_now_us, script_close},
      memory,
      capacity};
  int32_t error = axle_function_open(&function, &options);
  if (error == 0) {
    look_at(function.setup, function.setup_bytes, memory, capacity);
    error = axle_function_ready(&function);
  }
  while (error == 0 && (data[0] & STREAMS) != 0) {
    error = axle_function_begin(&function, NULL);
    if (error != 0) break;
    look_at(function.head, function.head_bytes, memory, capacity);
    error = stream_back(&function);
  }
  while (error == 0 && axle_function_next(&function, NULL) == 0) {
    look_at(function.head, function.head_bytes, memory, capacity);
    look_at(function.body, function.body_bytes, memory, capacity);
    error = function.body_bytes % 2 == 0 ? axle_function_answer(&function, 200, "text/plain",
                                                                function.body, function.body_bytes)
                                         : axle_function_fail(&function, "INTERNAL", "\"\\\n");
    check(error == 0 && function.call == 0);
    check(axle_function_answer(&function, 200, "", memory, 0) != 0);
  }
  free(memory);
  return 0;
}
