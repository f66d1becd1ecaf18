// SPDX-License-Identifier: Apache-2.0
//
// Frames of the wire protocol. The first byte of an input says who sends; the rest is frames. What is
// read is written to the same bytes.
#include <stdlib.h>
#include <string.h>

#include "../test/rewrite.h"
#include "target.h"

#define FRAME_BYTES_MAX (AXLE_WIRE_HEADER_BYTES + AXLE_WIRE_PAYLOAD_BYTES_MAX)

static void check(int holds) {
  if (!holds) abort();
}

static void check_same(const uint8_t *frame_bytes, size_t bytes, const axle_wire_frame *frame) {
  uint8_t *again = malloc(bytes);
  check(again != NULL);
  axle_wire_writer writer;
  axle_wire_writer_init(&writer, again, bytes);
  check(axle_wire_rewrite(frame, &writer) == 0);
  check(writer.bytes == bytes && memcmp(again, frame_bytes, bytes) == 0);
  // With a byte less there is no room, and nothing is left of it.
  axle_wire_writer_init(&writer, again, bytes - 1);
  check(axle_wire_rewrite(frame, &writer) == AXLE_WIRE_FULL && writer.bytes == 0);
  free(again);
}

// Reads one frame from the start of `data`. Returns its length, or 0 when there is nothing more to read.
static size_t read_frame(const uint8_t *data, size_t bytes, uint32_t from) {
  if (bytes < AXLE_WIRE_HEADER_BYTES) return 0;
  axle_wire_header header;
  const int32_t refused = axle_wire_read_header(data, from, AXLE_WIRE_PAYLOAD_BYTES_MAX, &header);
  check(refused >= 0 && refused < AXLE_WIRE_ERROR_HANDLE_REUSED);
  const size_t frame_bytes = AXLE_WIRE_HEADER_BYTES + header.payload_bytes;
  if (refused != 0 || frame_bytes > bytes) return 0;
  check(frame_bytes <= FRAME_BYTES_MAX);
  if (axle_wire_is_ignorable(&header)) return frame_bytes;
  // In memory of its own, at the end of which the sanitizer watches.
  uint8_t *copy = malloc(frame_bytes);
  check(copy != NULL);
  memcpy(copy, data, frame_bytes);
  axle_wire_frame frame;
  const int32_t error = axle_wire_decode(&header, copy + AXLE_WIRE_HEADER_BYTES, &frame);
  check(error >= 0 && error < AXLE_WIRE_ERROR_WRONG_STATE);
  if (error == 0) check_same(copy, frame_bytes, &frame);
  free(copy);
  return error == 0 ? frame_bytes : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  if (bytes == 0) return 0;
  const uint32_t from = (data[0] & 1) == 0 ? AXLE_WIRE_CLIENT : AXLE_WIRE_SERVER;
  size_t at = 1;
  for (;;) {
    const size_t taken = read_frame(data + at, bytes - at, from);
    if (taken == 0) return 0;
    at += taken;
  }
}
