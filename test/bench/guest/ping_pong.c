// SPDX-License-Identifier: Apache-2.0
//
// What the C client adds to a round trip on a unix socket: calls of 16 bytes, against as many bytes there and back
// without it. Both to a process of their own that answers at once. Prints the median of each in nanoseconds, in turn:
//   ping_pong ROUNDS -> CLIENT BARE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "axle/posix.h"

#define CALLS 4000
#define PAYLOAD_BYTES 16
// What a call of 16 bytes and its result are on the wire.
#define CALL_BYTES (16 + 16 + 24 + 16)
#define RESULT_BYTES (16 + 24 + 24 + 16)

static uint64_t samples[CALLS];

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void check(int holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "ping_pong: %s\n", what);
  exit(1);
}

static int compare(const void *a, const void *b) {
  const uint64_t x = *(const uint64_t *)a;
  const uint64_t y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

static unsigned long long median(void) {
  qsort(samples, CALLS, sizeof(samples[0]), compare);
  return samples[CALLS / 2];
}

static void read_all(int fd, uint8_t *data, size_t bytes) {
  while (bytes > 0) {
    const ssize_t got = read(fd, data, bytes);
    if (got <= 0) exit(0);
    data += got;
    bytes -= (size_t)got;
  }
}

// ---- who answers -------------------------------------------------------------------------------

static void answer(int fd, const axle_wire_header *header, const uint8_t *payload) {
  static const uint8_t instance[16] = {1};
  static uint8_t memory[4096];
  axle_wire_frame frame;
  axle_wire_frame call;
  axle_wire_tensor tensor;
  axle_wire_writer writer;
  memset(&frame, 0, sizeof(frame));
  frame.id = header->id;
  axle_wire_writer_init(&writer, memory, sizeof(memory));
  if (header->type == AXLE_FRAME_HELLO) {
    axle_wire_welcome *welcome = &frame.body.welcome;
    frame.type = AXLE_FRAME_WELCOME;
    welcome->greeting.nonce = instance;
    welcome->greeting.version = welcome->greeting.version_min = welcome->greeting.version_max = 1;
    welcome->greeting.payload_max = AXLE_WIRE_PAYLOAD_BYTES_MAX;
    welcome->greeting.stream_window = welcome->greeting.connection_window = AXLE_WIRE_WINDOW_MAX;
    welcome->calls_max = welcome->handles_max = 64;
    check(axle_wire_write(&writer, &frame) == 0, "WELCOME");
  } else if (header->type == AXLE_FRAME_BIND) {
    frame.type = AXLE_FRAME_BOUND;
    frame.body.bound.score = 1;
    frame.body.bound.device = AXLE_WIRE_DEVICE_NONE;
    check(axle_wire_write(&writer, &frame) == 0, "BOUND");
  } else if (header->type == AXLE_FRAME_CALL) {
    check(axle_wire_decode(header, payload, &call) == 0, "CALL");
    check(axle_wire_next_tensor(&call.body.call.inputs, &tensor), "input");
    frame.type = AXLE_FRAME_RESULT;
    frame.body.result.batch_size = 1;
    frame.body.result.outputs.count = 1;
    axle_wire_begin(&writer, &frame);
    axle_wire_put_tensor(&writer, &tensor);
    check(axle_wire_end(&writer) == 0, "RESULT");
  }
  if (writer.bytes > 0) check(write(fd, memory, writer.bytes) == (ssize_t)writer.bytes, "write");
}

// With reads as a server has them: what is there, at once.
static void serve(int fd) {
  static uint8_t memory[65536];
  size_t end = 0;
  for (;;) {
    const ssize_t got = read(fd, memory + end, sizeof(memory) - end);
    if (got <= 0) exit(0);
    end += (size_t)got;
    size_t at = 0;
    while (end - at >= AXLE_WIRE_HEADER_BYTES) {
      axle_wire_header header;
      check(axle_wire_read_header(memory + at, AXLE_WIRE_CLIENT, 65536, &header) == 0, "header");
      const size_t bytes = AXLE_WIRE_HEADER_BYTES + header.payload_bytes;
      if (end - at < bytes) break;
      answer(fd, &header, memory + at + AXLE_WIRE_HEADER_BYTES);
      at += bytes;
    }
    memmove(memory, memory + at, end - at);
    end -= at;
  }
}

static void answer_bare(int fd) {
  static uint8_t data[RESULT_BYTES];
  for (;;) {
    read_all(fd, data, CALL_BYTES);
    check(write(fd, data, RESULT_BYTES) == RESULT_BYTES, "write");
  }
}

static int start(void (*run)(int fd)) {
  int fds[2];
  check(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0, "socketpair");
  const pid_t pid = fork();
  check(pid >= 0, "fork");
  if (pid == 0) {
    close(fds[0]);
    run(fds[1]);
  }
  close(fds[1]);
  return fds[0];
}

// ---- who asks ----------------------------------------------------------------------------------

static unsigned long long run_client(void) {
  static axle_client client;
  static uint8_t send_memory[4096];
  static uint8_t receive_memory[8192];
  static axle_request binding, request;
  static uint8_t result[PAYLOAD_BYTES];
  axle_posix posix;
  axle_client_options options;
  memset(&options, 0, sizeof(options));
  memset(&binding, 0, sizeof(binding));
  memset(&request, 0, sizeof(request));
  check(axle_posix_adopt(&posix, start(serve)) == 0, "adopt");
  options.transport = axle_posix_transport(&posix);
  options.send_memory = send_memory;
  options.send_bytes = sizeof(send_memory);
  options.receive_memory = receive_memory;
  options.receive_bytes = sizeof(receive_memory);
  check(axle_client_init(&client, &options) == 0, "init");
  axle_bind bind;
  memset(&bind, 0, sizeof(bind));
  bind.op = AXLE_OP_COMPRESS;
  check(axle_client_bind(&client, &binding, &bind) == 0, "bind");
  uint8_t data[PAYLOAD_BYTES] = {1};
  axle_input input;
  axle_output output;
  axle_call call;
  memset(&input, 0, sizeof(input));
  memset(&output, 0, sizeof(output));
  memset(&call, 0, sizeof(call));
  input.data = data;
  input.bytes = sizeof(data);
  output.data = result;
  output.capacity = sizeof(result);
  request.outputs = &output;
  request.output_count = 1;
  call.inputs = &input;
  call.input_count = 1;
  for (int i = 0; i < CALLS; i++) {
    const uint64_t from_ns = now_ns();
    check(axle_client_call(&client, &request, &binding, &call) == 0, "call");
    check(axle_client_wait(&client, &request, 1000000) == 0, "wait");
    check(request.status == AXLE_STATUS_OK && output.bytes == PAYLOAD_BYTES, "result");
    samples[i] = now_ns() - from_ns;
  }
  axle_client_close(&client);
  return median();
}

static unsigned long long run_bare(void) {
  static uint8_t data[RESULT_BYTES];
  const int fd = start(answer_bare);
  for (int i = 0; i < CALLS; i++) {
    const uint64_t from_ns = now_ns();
    check(write(fd, data, CALL_BYTES) == CALL_BYTES, "write");
    read_all(fd, data, RESULT_BYTES);
    samples[i] = now_ns() - from_ns;
  }
  close(fd);
  return median();
}

int main(int argc, char **argv) {
  const int rounds = argc > 1 ? atoi(argv[1]) : 5;
  for (int i = 0; i < rounds; i++) {
    const unsigned long long bare = run_bare();
    printf("%llu %llu\n", run_client(), bare);
    fflush(stdout);
  }
  while (wait(NULL) > 0) continue;
  return 0;
}
