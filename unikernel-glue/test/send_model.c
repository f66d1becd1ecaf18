// SPDX-License-Identifier: Apache-2.0
//
// Sends a model and runs it:
//   send_model SOCKET CONTENT_ID MANIFEST CONTENT IMAGE
// with the content id in hex and files for the rest. Prints the label of the image, and how many bytes of the
// content were asked for.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "axle/posix.h"

#define WAIT_US 60000000u
#define FILE_BYTES_MAX (16u << 20)

typedef struct file {
  uint8_t *data;
  size_t bytes;
} file;

static uint64_t sent_bytes;
static file parts[2];

static void fail(const char *what, const char *why) {
  fprintf(stderr, "%s: %s\n", what, why);
  exit(1);
}

static file read_file(const char *path) {
  file whole = {malloc(FILE_BYTES_MAX), 0};
  FILE *from = fopen(path, "rb");
  if (whole.data == NULL || from == NULL) fail(path, "cannot be read");
  whole.bytes = fread(whole.data, 1, FILE_BYTES_MAX, from);
  fclose(from);
  return whole;
}

// In small pieces, as from a slow disk.
static const void *source(axle_request *request, uint32_t part, uint64_t offset, size_t *bytes) {
  (void)request;
  if (*bytes > 10000) *bytes = 10000;
  if (part == 1) sent_bytes += *bytes;
  return parts[part].data + offset;
}

static void await(axle_client *client, const char *what, axle_request *request) {
  if (axle_client_wait(client, request, WAIT_US) != 0) fail(what, client->message);
  if (request->status != AXLE_STATUS_OK) fail(what, request->message);
}

int main(int argc, char **argv) {
  static axle_client client;
  static uint8_t send_memory[4096];
  static uint8_t receive_memory[8192];
  static axle_request model, binding, result;
  static axle_output outputs[3];
  static uint8_t taken[3][256];
  static axle_wire_range ranges[AXLE_WIRE_RANGES_MAX];
  static const axle_wire_bytes name = AXLE_TEXT("sent");
  static const axle_wire_bytes format = AXLE_TEXT("onnx");
  static const axle_wire_bytes entry = AXLE_TEXT("model.onnx");
  axle_posix posix;
  uint8_t content_id[32];
  if (argc != 6 || strlen(argv[2]) != 64) fail("usage", "SOCKET CONTENT_ID MANIFEST CONTENT IMAGE");
  for (unsigned i = 0; i < 32; i++) {
    const char digits[3] = {argv[2][2 * i], argv[2][2 * i + 1], 0};
    content_id[i] = (uint8_t)strtoul(digits, NULL, 16);
  }
  parts[0] = read_file(argv[3]);
  parts[1] = read_file(argv[4]);
  const file image = read_file(argv[5]);
  if (axle_posix_unix(&posix, argv[1]) != 0) fail(argv[1], "cannot connect");
  axle_client_options options;
  memset(&options, 0, sizeof(options));
  options.transport = axle_posix_transport(&posix);
  options.send_memory = send_memory;
  options.send_bytes = sizeof(send_memory);
  options.receive_memory = receive_memory;
  options.receive_bytes = sizeof(receive_memory);
  if (axle_client_init(&client, &options) != 0) fail("client", client.message);
  axle_input inputs[2];
  memset(inputs, 0, sizeof(inputs));
  inputs[0].bytes = parts[0].bytes;
  inputs[1].bytes = parts[1].bytes;
  model.source = source;
  model.ranges = ranges;
  model.range_capacity = AXLE_WIRE_RANGES_MAX;
  if (axle_client_model(&client, &model, content_id, name, format, entry, inputs) != 0) {
    fail("model", "not started");
  }
  axle_bind bind;
  memset(&bind, 0, sizeof(bind));
  bind.op = AXLE_OP_CLASSIFY;
  bind.last = 3;
  bind.model = model.handle;
  bind.flags = AXLE_FLAG_BIND_LABELS;
  if (axle_client_bind(&client, &binding, &bind) != 0) fail("bind", "not started");
  for (unsigned i = 0; i < 3; i++) {
    outputs[i].data = taken[i];
    outputs[i].capacity = sizeof(taken[i]);
  }
  result.outputs = outputs;
  result.output_count = 3;
  axle_input picture;
  memset(&picture, 0, sizeof(picture));
  picture.data = image.data;
  picture.bytes = image.bytes;
  axle_call call;
  memset(&call, 0, sizeof(call));
  call.inputs = &picture;
  call.input_count = 1;
  if (axle_client_call(&client, &result, &binding, &call) != 0) fail("call", "not started");
  await(&client, "classify", &result);
  await(&client, "model", &model);
  const axle_wire_bytes label = axle_element(taken[2], outputs[2].bytes, 0);
  printf("%.*s %llu\n", (int)label.bytes, label.data, (unsigned long long)sent_bytes);
  axle_client_close(&client);
  return 0;
}
