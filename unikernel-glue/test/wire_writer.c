// SPDX-License-Identifier: Apache-2.0
//
// What the writer refuses, and that it leaves nothing of it.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "axle/wire.h"

#define CHECK(condition)                                     \
  do {                                                       \
    if (!(condition)) {                                      \
      fprintf(stderr, "%d: not %s\n", __LINE__, #condition); \
      exit(1);                                               \
    }                                                        \
  } while (0)

static uint8_t memory[2 * (AXLE_WIRE_HEADER_BYTES + AXLE_WIRE_PAYLOAD_BYTES_MAX)];
static uint8_t data[AXLE_WIRE_PAYLOAD_BYTES_MAX + 8];

static axle_wire_frame ping(void) {
  axle_wire_frame frame;
  memset(&frame, 0, sizeof(frame));
  frame.type = AXLE_FRAME_PING;
  return frame;
}

static axle_wire_frame call(uint16_t inputs) {
  axle_wire_frame frame = ping();
  frame.type = AXLE_FRAME_CALL;
  frame.id = 3;
  frame.body.call.binding = 2;
  frame.body.call.inputs.count = inputs;
  return frame;
}

static axle_wire_tensor bytes_tensor(uint64_t bytes) {
  axle_wire_tensor tensor;
  memset(&tensor, 0, sizeof(tensor));
  tensor.dtype = AXLE_DTYPE_UINT8;
  tensor.rank = 1;
  tensor.source = AXLE_SOURCE_INLINE;
  tensor.bytes = bytes;
  tensor.dims[0] = bytes;
  tensor.data = data;
  return tensor;
}

static int32_t write_call(axle_wire_writer *w, const axle_wire_tensor *tensor) {
  const axle_wire_frame frame = call(1);
  axle_wire_begin(w, &frame);
  axle_wire_put_tensor(w, tensor);
  return axle_wire_end(w);
}

static void test_sizes(axle_wire_writer *w) {
  axle_wire_tensor tensor = bytes_tensor(64);
  CHECK(write_call(w, &tensor) == 0);
  CHECK(w->bytes == 120);
  tensor = bytes_tensor(AXLE_WIRE_PAYLOAD_BYTES_MAX);
  CHECK(write_call(w, &tensor) == AXLE_WIRE_ERROR_PAYLOAD_TOO_LONG);
  tensor = bytes_tensor(AXLE_WIRE_PAYLOAD_BYTES_MAX + 1);
  CHECK(write_call(w, &tensor) == AXLE_WIRE_ERROR_PAYLOAD_TOO_LONG);
  tensor = bytes_tensor(AXLE_WIRE_PAYLOAD_BYTES_MAX - 40);
  CHECK(write_call(w, &tensor) == 0);
  CHECK(w->bytes == 120 + AXLE_WIRE_HEADER_BYTES + AXLE_WIRE_PAYLOAD_BYTES_MAX);
  CHECK(write_call(w, &tensor) == AXLE_WIRE_FULL);
  CHECK(w->bytes == 120 + AXLE_WIRE_HEADER_BYTES + AXLE_WIRE_PAYLOAD_BYTES_MAX);
}

static void test_refusals(axle_wire_writer *w) {
  axle_wire_tensor tensor = bytes_tensor(8);
  tensor.dims[0] = 9;
  CHECK(write_call(w, &tensor) == AXLE_WIRE_ERROR_SIZE_MISMATCH);
  tensor = bytes_tensor(8);
  tensor.rank = AXLE_WIRE_RANK_MAX + 1;
  CHECK(write_call(w, &tensor) == AXLE_WIRE_ERROR_TOO_MANY);
  tensor = bytes_tensor(8);
  tensor.data = NULL;
  CHECK(write_call(w, &tensor) == AXLE_WIRE_ERROR_BAD_VALUE);
  tensor = bytes_tensor(8);
  tensor.name.data = data;
  tensor.name.bytes = 256;
  CHECK(write_call(w, &tensor) == AXLE_WIRE_ERROR_TOO_LONG);

  axle_wire_frame frame = call(2);
  axle_wire_begin(w, &frame);
  tensor = bytes_tensor(8);
  axle_wire_put_tensor(w, &tensor);
  CHECK(axle_wire_end(w) == AXLE_WIRE_ERROR_PAYLOAD_TRUNCATED);
  frame = call(AXLE_WIRE_TENSORS_MAX + 1);
  CHECK(axle_wire_write(w, &frame) == AXLE_WIRE_ERROR_TOO_MANY);
  frame = call(0);
  frame.id = 0;
  CHECK(axle_wire_write(w, &frame) == AXLE_WIRE_ERROR_BAD_ID);
  frame.id = AXLE_WIRE_HANDLE_MAX + 1;
  CHECK(axle_wire_write(w, &frame) == AXLE_WIRE_ERROR_NUMBER_TOO_LARGE);
  frame = ping();
  frame.type = 0x7f;
  CHECK(axle_wire_write(w, &frame) == AXLE_WIRE_ERROR_UNKNOWN_TYPE);
  frame.type = AXLE_FRAME_READ;
  frame.id = 1;
  frame.body.read.model = 1;
  frame.body.read.file.data = data;
  frame.body.read.file.bytes = AXLE_WIRE_FILE_NAME_BYTES_MAX + 1;
  CHECK(axle_wire_write(w, &frame) == AXLE_WIRE_ERROR_TOO_LONG);
  frame.body.read.file.bytes = AXLE_WIRE_FILE_NAME_BYTES_MAX;
  CHECK(axle_wire_write(w, &frame) == AXLE_WIRE_ERROR_BAD_TEXT);
  frame.type = AXLE_FRAME_ATTACH;
  frame.id = 0;
  frame.body.arena.ticket = NULL;
  CHECK(axle_wire_write(w, &frame) == AXLE_WIRE_ERROR_BAD_VALUE);
  CHECK(w->bytes == 0);
  frame = ping();
  CHECK(axle_wire_write(w, &frame) == 0);
  CHECK(w->bytes == AXLE_WIRE_HEADER_BYTES);
}

static void test_data(axle_wire_writer *w) {
  axle_wire_frame frame = ping();
  axle_wire_header header;
  frame.type = AXLE_FRAME_DATA;
  frame.id = 7;
  frame.body.data.data.data = data;
  frame.body.data.data.bytes = 13;
  CHECK(axle_wire_write(w, &frame) == 0);
  CHECK(axle_wire_read_header(memory, AXLE_WIRE_CLIENT, AXLE_WIRE_PAYLOAD_BYTES_MAX, &header) == 0);
  CHECK(header.payload_bytes == 16 && header.aux == 3);
  uint8_t again[AXLE_WIRE_HEADER_BYTES];
  axle_wire_put_header(again, &header);
  CHECK(memcmp(again, memory, sizeof(again)) == 0);
  frame.body.data.data.bytes = 0;
  CHECK(axle_wire_write(w, &frame) == AXLE_WIRE_ERROR_EMPTY_DATA);
}

int main(void) {
  axle_wire_writer w;
  axle_wire_writer_init(&w, memory, sizeof(memory));
  test_sizes(&w);
  axle_wire_writer_init(&w, memory, sizeof(memory));
  test_refusals(&w);
  axle_wire_writer_init(&w, memory, sizeof(memory));
  test_data(&w);
  return 0;
}
