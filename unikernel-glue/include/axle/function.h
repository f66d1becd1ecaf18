/* SPDX-License-Identifier: Apache-2.0
 *
 * axle/function.h - a guest that is a function of axle faas: it gets calls over a stream of their own, and
 * answers them one after the other. docs/guests.md has the frames.
 *
 *   axle_function_open    waits for what the function is told first
 *   axle_function_ready   says that it takes calls
 *   axle_function_next    waits for a call, and keeps an Axle client alive meanwhile
 *   axle_function_answer, axle_function_fail   end it
 *
 * Where bodies are longer than the guest's memory, they are read and written in pieces:
 *   axle_function_begin                        waits for a call, in place of axle_function_next
 *   axle_function_read                         the next bytes of its body
 *   axle_function_begin_answer, axle_function_write, axle_function_end   answer it
 * The host sends no faster than is read, and a write waits until the host has room.
 *
 * Functions return 0 or an AXLE_STATUS_* that is not OK; after one, the stream is of no use any more, but where a comment
 * says that the call is over: then the next one may come. C11, freestanding, no heap, no recursion.
 */
#ifndef AXLE_FUNCTION_H
#define AXLE_FUNCTION_H

#include "client.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Of the head of a call. */
#define AXLE_FUNCTION_HEAD_BYTES_MAX 262144u
/* Of a frame's payload. */
#define AXLE_FUNCTION_PAYLOAD_BYTES_MAX 1048576u
/* Of a body that is not used yet, either way: its sender waits then. */
#define AXLE_FUNCTION_WINDOW_BYTES 1048576u
/* Of an answer's content type and of a failure's message; what is longer is cut. */
#define AXLE_FUNCTION_TEXT_BYTES_MAX 160u
/* How often an Axle client is looked after while there is no call. */
#define AXLE_FUNCTION_LOOK_US 5000000u

typedef struct axle_function_options {
  axle_transport transport; /* of calls; copied */
  /* What the function is told first, and then the head of each call, and behind it the body that axle_function_next
   * waits for, or what comes of a body while an answer is written: AXLE_FUNCTION_WINDOW_BYTES at most. What does not fit
   * fails with RESOURCE_EXHAUSTED; of axle_function_next the function does not see it. */
  void *memory;
  uint32_t bytes;
} axle_function_options;

typedef struct axle_function {
  /* To be read. JSON: what it was told first, until the first call: instance, functionName, timeoutMs, token,
   * environment, and secrets in base64. */
  const uint8_t *setup;
  uint32_t setup_bytes;
  /* Of the call: its head, JSON with id, method, path, query and headers; and, of axle_function_next, its body. */
  const uint8_t *head, *body;
  uint32_t head_bytes, body_bytes;

  /* The function's. */
  axle_transport transport;
  uint8_t *memory;
  uint32_t capacity;
  axle_client *client;
  uint32_t call; /* 0: none */
  uint32_t unused_credit;
  uint32_t answer_credit;
  uint32_t frame_left;          /* of the body, in the stream */
  uint32_t held_at, held_bytes; /* of the body, behind the head */
  uint8_t frame_is_end, has_body_ended, has_answered;
} axle_function;

int32_t axle_function_open(axle_function *function, const axle_function_options *options);
int32_t axle_function_ready(axle_function *function);
/* That it cannot start: `code` is the name of one of Axle's. */
int32_t axle_function_refuse(axle_function *function, const char *code, const char *message);
/* `client` may be NULL. AXLE_STATUS_UNAVAILABLE: the client is closed, or nobody sends calls any more. */
int32_t axle_function_next(axle_function *function, axle_client *client);
/* Of any length. AXLE_STATUS_INVALID_ARGUMENT where there is no call, or its answer was begun. Until all of it has gone it is
 * the caller's to keep. */
int32_t axle_function_answer(axle_function *function, uint16_t status, const char *content_type,
                             const void *body, uint32_t bytes);
/* Ends the call; an answer that was begun is then cut off for whoever waits for it. */
int32_t axle_function_fail(axle_function *function, const char *code, const char *message);

/* As axle_function_next, as soon as the head is there. */
int32_t axle_function_begin(axle_function *function, axle_client *client);
/* Waits for `capacity` bytes of the body, or as many as a frame has left. Returns how many; 0: that was all; else a status
 * as a negative number: with -AXLE_STATUS_CANCELLED nobody waits for an answer any more, and the call is over. */
int32_t axle_function_read(axle_function *function, void *to, uint32_t capacity);
/* AXLE_STATUS_INVALID_ARGUMENT where there is no call, or it has an answer. What of the body was not read by the end of the
 * answer is thrown away. */
int32_t axle_function_begin_answer(axle_function *function, uint16_t status,
                                   const char *content_type);
/* The call is over with AXLE_STATUS_CANCELLED, when nobody waits for it any more, and with AXLE_STATUS_RESOURCE_EXHAUSTED,
 * when the host would first have more of the body read than there is memory for. */
int32_t axle_function_write(axle_function *function, const void *data, uint32_t bytes);
int32_t axle_function_end(axle_function *function);

/* The text that an object in JSON has under a name, without looking into what it holds besides. Returns its
 * bytes; -1: there is none, it has escapes other than of quotes and backslashes, or `capacity` is too small. */
int32_t axle_json_text(const uint8_t *json, uint32_t bytes, const char *name, uint8_t *text,
                       uint32_t capacity);

#ifdef __cplusplus
}
#endif

#endif /* AXLE_FUNCTION_H */
