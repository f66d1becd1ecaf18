// SPDX-License-Identifier: Apache-2.0
//
// How long there and back takes: with the word `raw` of the stream itself, to a host that sends back what comes;
// else of the op echo.axle/echo. Prints `BYTES MICROSECONDS`, the median, for each size; and where that time
// went: `parts BYTES MAKE SEND AWAY TAKE SERVER`, medians in microseconds of making the frame, of handing it to the
// port, until the answer began to come (of which SERVER is what the server says that it took), and of taking it.
// Before it measures it does as many rounds as it takes until both ends run what compilers made of their loops; what the
// first rounds took is `first BYTES MICROSECONDS`.
#include "platform.h"

#define WAIT_US 30000000u
#define BYTES_MAX (1u << 20)
#define ROUNDS_MAX 200u
#define WARM_UP_ROUNDS 3000u

static axle_client client;
static axle_transport stream;
static uint8_t send_memory[8192];
static uint8_t receive_memory[65552];
static uint8_t there[BYTES_MAX];
static uint8_t back[BYTES_MAX];
static uint32_t samples[ROUNDS_MAX];

enum part { MAKE, SEND, AWAY, TAKE, SERVER, PARTS };

static uint32_t parts[PARTS][ROUNDS_MAX];
// Of the call that is under way.
static uint64_t sent_us;
static uint64_t came_us;

static int32_t stamped_send(void *context, const void *data, uint32_t bytes) {
  const int32_t sent = stream.send(context, data, bytes);
  if (sent > 0) sent_us = axle_now_us();
  return sent;
}

static int32_t stamped_receive(void *context, void *data, uint32_t capacity) {
  const int32_t got = stream.receive(context, data, capacity);
  if (got > 0 && came_us == 0) came_us = axle_now_us();
  return got;
}

static axle_request binding;

static int raw_round(uint32_t bytes, uint32_t round) {
  uint32_t sent = 0;
  uint32_t got = 0;
  const uint64_t from_us = axle_now_us();
  came_us = 0;
  // For a host that answers when all is there.
  axle_store(there, 4, bytes);
  while (got < bytes) {
    int moved = 0;
    if (sent < bytes) {
      const int32_t more = stamped_send(stream.context, there + sent, bytes - sent);
      if (more > 0) sent += (uint32_t)more;
      moved = more > 0;
    }
    const int32_t more = stamped_receive(stream.context, back + got, bytes - got);
    if (more > 0) got += (uint32_t)more;
    if (more <= 0 && !moved) {
      stream.wait(stream.context,
                  sent < bytes ? AXLE_WAIT_RECEIVE | AXLE_WAIT_SEND : AXLE_WAIT_RECEIVE,
                  axle_now_us() + WAIT_US);
    }
  }
  parts[SEND][round] = (uint32_t)(sent_us - from_us);
  parts[AWAY][round] = (uint32_t)(came_us - sent_us);
  parts[TAKE][round] = (uint32_t)(axle_now_us() - came_us);
  return 1;
}

static int client_round(uint32_t bytes, uint32_t round) {
  static axle_request request;
  static axle_output output;
  static axle_input input;
  output.data = back;
  output.capacity = BYTES_MAX;
  request.outputs = &output;
  request.output_count = 1;
  request.state = AXLE_REQUEST_IDLE;
  input.data = there;
  input.bytes = bytes;
  const axle_call call = {.inputs = &input, .input_count = 1};
  const uint64_t from_us = axle_now_us();
  if (axle_client_call(&client, &request, &binding, &call) != 0) return 0;
  const uint64_t made_us = axle_now_us();
  came_us = 0;
  if (axle_client_wait(&client, &request, WAIT_US) != 0) return 0;
  parts[MAKE][round] = (uint32_t)(made_us - from_us);
  parts[SEND][round] = (uint32_t)(sent_us - made_us);
  parts[AWAY][round] = (uint32_t)(came_us - sent_us);
  parts[TAKE][round] = (uint32_t)(axle_now_us() - came_us);
  parts[SERVER][round] = request.total_us;
  if (request.status != AXLE_STATUS_OK) axle_print(request.message);
  return request.status == AXLE_STATUS_OK && output.bytes == bytes;
}

static uint32_t median(uint32_t *of, uint32_t count) {
  for (uint32_t i = 1; i < count; i++) {
    const uint32_t each = of[i];
    uint32_t at = i;
    for (; at > 0 && of[at - 1] > each; at--) of[at] = of[at - 1];
    of[at] = each;
  }
  return of[count / 2];
}

static void print_two(uint32_t first, uint32_t second) {
  axle_print_number(first);
  axle_print(" ");
  axle_print_number(second);
  axle_print("\n");
}

static void print_parts(uint32_t bytes, uint32_t rounds) {
  axle_print("parts ");
  axle_print_number(bytes);
  for (uint32_t i = 0; i < PARTS; i++) {
    axle_print(" ");
    axle_print_number(median(parts[i], rounds));
  }
  axle_print("\n");
}

static int one_round(uint32_t bytes, uint32_t round, int is_raw) {
  return is_raw ? raw_round(bytes, round) : client_round(bytes, round);
}

static int warm_up(int is_raw) {
  for (uint32_t i = 0; i < WARM_UP_ROUNDS; i++) {
    if (!one_round(i % 2 == 0 ? 16 : 4096, 0, is_raw)) return 0;
  }
  return 1;
}

static int measure(const char *name, uint32_t bytes, uint32_t rounds, int is_raw) {
  for (uint32_t i = 0; i < rounds; i++) {
    const uint64_t from_us = axle_now_us();
    if (!one_round(bytes, i, is_raw)) return 0;
    samples[i] = (uint32_t)(axle_now_us() - from_us);
  }
  axle_print(name);
  print_two(bytes, median(samples, rounds));
  if (rounds == ROUNDS_MAX) print_parts(bytes, rounds);
  return 1;
}

void axle_main(const void *start_info) {
  static const axle_wire_bytes echo = AXLE_TEXT("echo.axle/echo");
  static axle_client_options options;
  static axle_bind bind;
  axle_print("axle: up\n");
  if (axle_platform_open(start_info, &stream) != 0) {
    axle_print("axle: failed: this machine has no stream to its host\n");
    return;
  }
  const int is_raw = axle_has_word("raw");
  if (!is_raw) {
    options.transport = stream;
    options.transport.send = stamped_send;
    options.transport.receive = stamped_receive;
    options.send_memory = send_memory;
    options.send_bytes = sizeof(send_memory);
    options.receive_memory = receive_memory;
    options.receive_bytes = sizeof(receive_memory);
    bind.op_name = echo;
    if (axle_client_init(&client, &options) != 0) return;
    if (axle_client_bind(&client, &binding, &bind) != 0) return;
  }
  // The first tells when the first result is there.
  const int is_well = measure("first ", 16, 1, is_raw) &&
                      measure("first ", 16, ROUNDS_MAX - 1, is_raw) && warm_up(is_raw) &&
                      measure("", 16, ROUNDS_MAX, is_raw) &&
                      measure("", 4096, ROUNDS_MAX, is_raw) && measure("", BYTES_MAX, 15, is_raw);
  axle_print(is_well ? "axle: done\n" : "axle: failed: a round trip did\n");
}
