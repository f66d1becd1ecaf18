// SPDX-License-Identifier: Apache-2.0
//
// A guest that does not go on: bad_guest SOCKET never-reads | stops-in-frame
// It says `stuck` once nothing of it can move any more, and stays so until its standard input ends.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "axle/posix.h"

#define REQUESTS_MAX 4096u
// HELLO leaves whole, and of what follows some bytes that end within a frame.
#define BYTES_PAST_HELLO 24u

static axle_transport real;
static int never_reads;
static uint64_t bytes_left = UINT64_MAX;

static int32_t bad_send(void *context, const void *data, uint32_t bytes) {
  if (bytes > bytes_left) bytes = (uint32_t)bytes_left;
  if (bytes == 0) return 0;
  const int32_t sent = real.send(context, data, bytes);
  if (sent > 0 && bytes_left != UINT64_MAX) bytes_left -= (uint64_t)sent;
  return sent;
}

static int32_t bad_receive(void *context, void *data, uint32_t capacity) {
  return never_reads ? 0 : real.receive(context, data, capacity);
}

static int until_it_may_end(void) {
  printf("stuck\n");
  fflush(stdout);
  char byte;
  while (read(0, &byte, 1) > 0) {
  }
  return 0;
}

int main(int argc, char **argv) {
  static axle_client client;
  static uint8_t send_memory[8192], receive_memory[8192], data[4096];
  static axle_request binding, requests[REQUESTS_MAX];
  axle_posix posix;
  if (argc != 3 || axle_posix_unix(&posix, argv[1]) != 0) return 2;
  real = axle_posix_transport(&posix);
  never_reads = strcmp(argv[2], "never-reads") == 0;
  axle_client_options options;
  memset(&options, 0, sizeof(options));
  options.transport = real;
  options.transport.send = bad_send;
  options.transport.receive = bad_receive;
  options.send_memory = send_memory;
  options.send_bytes = sizeof(send_memory);
  options.receive_memory = receive_memory;
  options.receive_bytes = sizeof(receive_memory);
  if (axle_client_init(&client, &options) != 0) return 2;
  if (axle_client_poll(&client) != 0) return 2;
  if (!never_reads) bytes_left = BYTES_PAST_HELLO;
  axle_bind bind;
  memset(&bind, 0, sizeof(bind));
  // Results are as long as what they are made of.
  bind.op = AXLE_OP_COMPRESS;
  axle_wire_arg codec;
  memset(&codec, 0, sizeof(codec));
  codec.name = (axle_wire_bytes)AXLE_TEXT("codec");
  codec.type = AXLE_ARG_INT;
  codec.i = 2;
  bind.args = &codec;
  bind.arg_count = 1;
  for (uint32_t i = 0, noise = 1; i < sizeof(data); i++) {
    noise = noise * 1664525u + 1013904223u;
    data[i] = (uint8_t)(noise >> 24);
  }
  if (axle_client_bind(&client, &binding, &bind) != 0) return 2;
  axle_input input;
  memset(&input, 0, sizeof(input));
  input.data = data;
  input.bytes = sizeof(data);
  axle_call call;
  memset(&call, 0, sizeof(call));
  call.inputs = &input;
  call.input_count = 1;
  for (unsigned i = 0; i < REQUESTS_MAX && bytes_left > 0;) {
    const int32_t error = axle_client_call(&client, &requests[i], &binding, &call);
    if (error == 0) i++;
    if (error != 0 && error != AXLE_CLIENT_AGAIN) return 3;
    // No credit is left where nothing waits for room: it comes in frames that are not read.
    uint64_t until_us = real.now_us(real.context) + 100000;
    const uint32_t events = axle_client_events(&client, NULL);
    if (error != 0 && (events & AXLE_WAIT_SEND) == 0) return until_it_may_end();
    if (error != 0) real.wait(real.context, AXLE_WAIT_SEND, until_us);
    if (axle_client_poll(&client) != 0) return 4;
  }
  return bytes_left == 0 ? until_it_may_end() : 5;
}
