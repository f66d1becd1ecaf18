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
 * Functions return 0 or an AXLE_STATUS_* that is not OK; after one, the stream is of no use any more. C11,
 * freestanding, no heap, no recursion.
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
/* Of an answer: what its receiver has room for at once. */
#define AXLE_FUNCTION_ANSWER_BYTES_MAX 1048576u
/* Of an answer's content type and of a failure's message; what is longer is cut. */
#define AXLE_FUNCTION_TEXT_BYTES_MAX 160u
/* How often an Axle client is looked after while there is no call. */
#define AXLE_FUNCTION_LOOK_US 5000000u

typedef struct axle_function_options {
  axle_transport transport; /* of calls; copied */
  /* What the function is told first, and then the head and body of each call. A call that is longer fails with
   * RESOURCE_EXHAUSTED, and the function does not see it. */
  void *memory;
  uint32_t bytes;
} axle_function_options;

typedef struct axle_function {
  /* To be read. JSON: what it was told first, until the first call: instance, functionName, timeoutMs, token,
   * environment, and secrets in base64. */
  const uint8_t *setup;
  uint32_t setup_bytes;
  /* Of the call: its head, JSON with id, method, path, query and headers; and its body. */
  const uint8_t *head, *body;
  uint32_t head_bytes, body_bytes;

  /* The function's. */
  axle_transport transport;
  uint8_t *memory;
  uint32_t capacity;
  uint32_t call; /* 0: none */
  uint32_t unused_credit;
} axle_function;

int32_t axle_function_open(axle_function *function, const axle_function_options *options);
int32_t axle_function_ready(axle_function *function);
/* That it cannot start: `code` is the name of one of Axle's. */
int32_t axle_function_refuse(axle_function *function, const char *code, const char *message);
/* `client` may be NULL. AXLE_STATUS_UNAVAILABLE: the client is closed, or nobody sends calls any more. */
int32_t axle_function_next(axle_function *function, axle_client *client);
/* AXLE_STATUS_INVALID_ARGUMENT for more than AXLE_FUNCTION_ANSWER_BYTES_MAX: nothing was sent. */
int32_t axle_function_answer(axle_function *function, uint16_t status, const char *content_type,
                             const void *body, uint32_t bytes);
int32_t axle_function_fail(axle_function *function, const char *code, const char *message);

/* The text that an object in JSON has under a name, without looking into what it holds besides. Returns its
 * bytes; -1: there is none, it has escapes other than of quotes and backslashes, or `capacity` is too small. */
int32_t axle_json_text(const uint8_t *json, uint32_t bytes, const char *name, uint8_t *text,
                       uint32_t capacity);

#ifdef __cplusplus
}
#endif

#endif /* AXLE_FUNCTION_H */
