// SPDX-License-Identifier: Apache-2.0
//
// A server that the client did not expect. The first byte of an input says in which pieces the rest comes and
// how much of what the client sends is taken, and by SHARES whether calls wait for the greeting and then offer
// memory to share; the rest is what the server says.
#include <stdlib.h>
#include <string.h>

#include "axle/client.h"
#include "target.h"

#define REQUESTS 8
#define OUTPUT_BYTES 64
#define RANGES 4
#define POLLS_MAX 4096
#define SHARES 0x80u
// Pieces of more bytes than this are so many times as long: byte by byte most of the time would go in polls.
#define LARGE_PIECE 16u
// Past what goes in a frame.
#define SHARED_BYTES 8192
#define INPUT_ADDRESS 65536
#define PLACE_ADDRESS 4096

typedef struct script {
  const uint8_t *at;
  size_t left;
  uint32_t piece;
  uint64_t clock_us;
  int is_closed;
} script;

static unsigned done_count;
static uint64_t sunk_bytes;

static void check(int holds) {
  if (!holds) abort();
}

static int32_t script_send(void *context, const void *data, uint32_t bytes) {
  const script *s = (const script *)context;
  check(bytes > 0 && data != NULL && !s->is_closed);
  // All of it is there to be read: one call that the sanitizer looks at, and none for each byte.
  static uint8_t copy[4096];
  const uint32_t taken = bytes < sizeof(copy) ? bytes : sizeof(copy);
  memcpy(copy, data, taken);
  const uint32_t most = copy[taken - 1] % 8 == 7 ? s->piece : taken;
  return (int32_t)(bytes < most ? bytes : most);
}

static int32_t script_receive(void *context, void *data, uint32_t capacity) {
  script *s = (script *)context;
  check(capacity > 0 && !s->is_closed);
  uint32_t bytes = s->piece < capacity ? s->piece : capacity;
  if (bytes > s->left) bytes = (uint32_t)s->left;
  if (bytes > 0) memcpy(data, s->at, bytes);
  s->at += bytes;
  s->left -= bytes;
  return (int32_t)bytes;
}

static void script_wait(void *context, uint32_t events, uint64_t until_us) {
  (void)events;
  script *s = (script *)context;
  if (until_us > s->clock_us) s->clock_us = until_us;
}

static uint64_t script_now_us(void *context) { return ((script *)context)->clock_us += 100; }

static void script_close(void *context) { ((script *)context)->is_closed = 1; }

static const uint8_t shared_input[SHARED_BYTES];

static uint64_t address_of(const void *data, uint64_t bytes) {
  check(data != NULL && bytes > AXLE_CLIENT_INLINE_BYTES_MAX);
  return data == shared_input ? INPUT_ADDRESS : PLACE_ADDRESS;
}

static void on_done(axle_request *request) {
  check(request->state == AXLE_REQUEST_DONE);
  check(memchr(request->message, 0, sizeof(request->message)) != NULL);
  done_count++;
}

static void on_frame(axle_request *request, const axle_wire_frame *frame) {
  check(frame->id == request->handle);
}

static void sink(axle_request *request, uint32_t slot, const void *data, size_t bytes) {
  check(slot == 0 && bytes > 0 && request->state == AXLE_REQUEST_PENDING);
  // All of it is there to be read.
  check(memchr(data, 0, bytes) != (const uint8_t *)data + bytes);
  sunk_bytes += bytes;
}

static const void *source(axle_request *request, uint32_t part, uint64_t offset, size_t *bytes) {
  static const uint8_t piece[3000];
  (void)part;
  if (request->kind == AXLE_FRAME_STREAM && offset > 1000) return NULL;
  if (*bytes > sizeof(piece)) *bytes = sizeof(piece);
  return piece;
}

// The requests that the seeds answer, with handles from 1 on.
static void start(axle_client *c, axle_request *r, axle_output *outputs, axle_input *inputs,
                  int shares) {
  static const axle_wire_bytes name = AXLE_TEXT("m");
  static const axle_wire_bytes format = AXLE_TEXT("onnx");
  static const uint8_t content_id[32] = {1};
  axle_bind bind;
  axle_call call;
  axle_wire_frame frame;
  memset(&bind, 0, sizeof(bind));
  memset(&call, 0, sizeof(call));
  memset(&frame, 0, sizeof(frame));
  check(axle_client_named_model(c, &r[0], name) == 0);
  bind.op = AXLE_OP_COMPRESS;
  bind.model = r[0].handle;
  check(axle_client_bind(c, &r[1], &bind) == 0);
  r[2].outputs = outputs;
  r[2].output_count = shares ? 1 : 3;
  call.inputs = inputs;
  call.input_count = 2;
  r[2].source = source;
  check(axle_client_call(c, &r[2], &r[1], &call) == 0);
  r[3].source = source;
  r[3].outputs = &outputs[3];
  r[3].output_count = 1;
  check(axle_client_stream(c, &r[3], &r[1], &call) == 0);
  frame.type = AXLE_FRAME_DESCRIBE;
  frame.flags = AXLE_FLAG_DESCRIBE_WATCH;
  check(axle_client_ask(c, &r[4], &frame) == 0);
  memset(&frame, 0, sizeof(frame));
  frame.type = AXLE_FRAME_READ;
  frame.body.read.model = 1;
  frame.body.read.file = name;
  r[5].sink = sink;
  r[5].outputs = &outputs[4];
  r[5].output_count = 1;
  check(axle_client_ask(c, &r[5], &frame) == 0);
  r[6].source = source;
  check(axle_client_model(c, &r[6], content_id, name, format, name, inputs + 2) == 0);
  check(axle_client_ping(c, &r[7]) == 0);
}

// Bytes behind the first frame.
static size_t after_first_frame(const uint8_t *at, size_t bytes) {
  if (bytes < AXLE_WIRE_HEADER_BYTES) return 0;
  const size_t frame = AXLE_WIRE_HEADER_BYTES + (size_t)axle_load(at, 4);
  return frame < bytes ? bytes - frame : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  if (bytes == 0) return 0;
  const uint32_t piece = data[0] % 64u + 1u;
  script s = {data + 1, bytes - 1, piece > LARGE_PIECE ? piece * LARGE_PIECE : piece, 1, 0};
  const int shares = (data[0] & SHARES) != 0;
  const size_t room = shares ? SHARED_BYTES : OUTPUT_BYTES;
  // In memory of their own, at the ends of which the sanitizer watches.
  axle_request *requests = calloc(REQUESTS, sizeof(axle_request));
  axle_output *outputs = calloc(5, sizeof(axle_output));
  axle_input *inputs = calloc(4, sizeof(axle_input));
  axle_wire_range *ranges = calloc(RANGES, sizeof(axle_wire_range));
  uint8_t *small = malloc(room);
  uint8_t *other = malloc(OUTPUT_BYTES);
  void *send_memory = malloc(2048);
  void *receive_memory = malloc(AXLE_CLIENT_RECEIVE_BYTES_MIN);
  check(requests && outputs && inputs && ranges && small && other && send_memory && receive_memory);
  axle_client client;
  axle_client_options options;
  memset(&options, 0, sizeof(options));
  const axle_transport transport = {&s,          script_send,   script_receive,
                                    script_wait, script_now_us, script_close};
  options.transport = transport;
  options.send_memory = send_memory;
  options.send_bytes = 2048;
  options.receive_memory = receive_memory;
  options.receive_bytes = AXLE_CLIENT_RECEIVE_BYTES_MIN;
  if (shares) options.guest_address = address_of;
  check(axle_client_init(&client, &options) == 0);
  for (unsigned i = 0; i < REQUESTS; i++) {
    requests[i].on_done = on_done;
    requests[i].on_frame = on_frame;
  }
  outputs[0].data = small;
  outputs[0].capacity = room;
  outputs[3].data = other;
  outputs[3].capacity = OUTPUT_BYTES;
  inputs[0].data = "abc";
  inputs[0].bytes = 3;
  if (shares) {
    inputs[0].data = shared_input;
    inputs[0].bytes = SHARED_BYTES;
  }
  inputs[1].bytes = 100000;
  inputs[2].bytes = 80;
  inputs[3].bytes = AXLE_WIRE_INLINE_MODEL_BYTES_MAX + 1;
  requests[6].ranges = ranges;
  requests[6].range_capacity = RANGES;
  done_count = 0;
  // The greeting alone: what answers a request comes after it.
  const size_t later = shares ? after_first_frame(s.at, s.left) : 0;
  s.left -= later;
  for (unsigned i = 0; shares && i < POLLS_MAX && s.left > 0; i++) {
    if (axle_client_poll(&client) != 0) break;
  }
  s.left += later;
  const int is_started = client.state <= AXLE_CLIENT_OPEN;
  if (is_started) start(&client, requests, outputs, inputs, shares);
  for (unsigned i = 0; i < POLLS_MAX && s.left > 0; i++) {
    if (axle_client_poll(&client) != 0) break;
  }
  axle_client_poll(&client);
  check(outputs[0].taken <= room || requests[2].status != AXLE_STATUS_OK);
  check(outputs[3].taken <= OUTPUT_BYTES);
  axle_client_close(&client);
  // Each ended once, whatever the server said.
  check(done_count == (is_started ? REQUESTS : 0) && s.is_closed && client.first == NULL);
  free(requests);
  free(outputs);
  free(inputs);
  free(ranges);
  free(small);
  free(other);
  free(send_memory);
  free(receive_memory);
  return 0;
}
