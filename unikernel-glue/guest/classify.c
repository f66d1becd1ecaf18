// SPDX-License-Identifier: Apache-2.0
//
// A guest that asks the host's pool what is in the image that it carries. It prints on the serial line
//   axle: up
//   classify LABEL SCORE of a million, MS ms
// and so on for its other calls, and ends with `axle: done`, or with `axle: failed: ...`.
#include "platform.h"

#define WAIT_US 30000000u
#define MLP_VALUES 1024u

extern const uint8_t axle_image[];
extern const uint8_t axle_image_end[];

static axle_client client;
static uint8_t send_memory[8192];
static uint8_t receive_memory[8192];
static uint8_t large[16384];

static void fail(const char *what, const char *why) {
  axle_print("axle: failed: ");
  axle_print(what);
  axle_print(": ");
  axle_print(why);
  axle_print("\n");
  axle_client_close(&client);
  axle_halt();
}

// Ends the machine unless it was done as it should.
static void await(const char *what, axle_request *request) {
  const int32_t error = axle_client_wait(&client, request, WAIT_US);
  if (error == AXLE_CLIENT_AGAIN) fail(what, "no answer in time");
  if (error != 0) fail(what, client.message);
  if (request->status != AXLE_STATUS_OK) fail(what, request->message);
}

static void started(const char *what, int32_t error) {
  if (error != 0) fail(what, client.state == AXLE_CLIENT_CLOSED ? client.message : "not started");
}

static void print_time(uint64_t from_us) {
  axle_print(", ");
  axle_print_ms(axle_now_us() - from_us);
  axle_print(" ms\n");
}

// A score from 0 to 1 as so many of a million.
static uint32_t millionths(uint32_t fp32) {
  const uint32_t exponent = fp32 >> 23 & 0xff;
  if ((fp32 >> 31) != 0 || exponent > 127 || exponent < 127 - 24) return 0;
  const uint64_t mantissa = (fp32 & 0x7fffff) | 0x800000;
  return (uint32_t)((mantissa * 1000000u) >> (23 + 127 - exponent));
}

// Model, binding and call leave together: one round trip.
static void classify(void) {
  static const axle_wire_bytes model_name = AXLE_TEXT("glyphs");
  static const axle_wire_bytes k = AXLE_TEXT("k");
  static axle_request model;
  static axle_request binding;
  static axle_request result;
  static axle_output outputs[3];
  static axle_input image;
  static uint8_t indices[4];
  static uint8_t scores[4];
  static uint8_t labels[256];
  static axle_wire_arg top = {.type = AXLE_ARG_INT, .i = 1};
  static axle_bind bind = {.op = AXLE_OP_CLASSIFY,
                           .op_version = AXLE_OP_CLASSIFY_VERSION,
                           .last = 3,
                           .arg_count = 1,
                           .flags = AXLE_FLAG_BIND_LABELS};
  const uint64_t from_us = axle_now_us();
  started("model", axle_client_named_model(&client, &model, model_name));
  top.name = k;
  bind.args = &top;
  bind.model = model.handle;
  started("bind", axle_client_bind(&client, &binding, &bind));
  outputs[0].data = indices;
  outputs[0].capacity = sizeof(indices);
  outputs[1].data = scores;
  outputs[1].capacity = sizeof(scores);
  outputs[2].data = labels;
  outputs[2].capacity = sizeof(labels);
  result.outputs = outputs;
  result.output_count = 3;
  image.data = axle_image;
  image.bytes = (uint64_t)(axle_image_end - axle_image);
  const axle_call call = {.inputs = &image, .input_count = 1};
  started("classify", axle_client_call(&client, &result, &binding, &call));
  await("classify", &result);
  const axle_wire_bytes label = axle_element(labels, outputs[2].bytes, 0);
  axle_print("classify ");
  axle_print_bytes(label.data, label.bytes);
  axle_print(" ");
  axle_print_number(millionths((uint32_t)axle_load(scores, 4)));
  axle_print(" of a million");
  print_time(from_us);
}

static void noop(void) {
  static axle_request ping;
  const uint64_t from_us = axle_now_us();
  started("noop", axle_client_ping(&client, &ping));
  await("noop", &ping);
  axle_print("noop");
  print_time(from_us);
}

static void compress(void) {
  static axle_request binding;
  static axle_request result;
  static axle_output output;
  static axle_input input;
  static const axle_wire_bytes names[2] = {AXLE_TEXT("codec"), AXLE_TEXT("level")};
  static axle_wire_arg args[2] = {{.type = AXLE_ARG_INT, .i = AXLE_CODEC_ZSTD},
                                  {.type = AXLE_ARG_INT, .i = AXLE_CODEC_ZSTD_LEVEL_DEFAULT}};
  static const axle_bind bind = {
      .op = AXLE_OP_COMPRESS, .op_version = AXLE_OP_COMPRESS_VERSION, .args = args, .arg_count = 2};
  const uint64_t from_us = axle_now_us();
  args[0].name = names[0];
  args[1].name = names[1];
  started("bind", axle_client_bind(&client, &binding, &bind));
  output.data = large;
  output.capacity = sizeof(large);
  result.outputs = &output;
  result.output_count = 1;
  input.data = axle_image;
  input.bytes = (uint64_t)(axle_image_end - axle_image);
  const axle_call call = {.inputs = &input, .input_count = 1};
  started("compress", axle_client_call(&client, &result, &binding, &call));
  await("compress", &result);
  axle_print("compress ");
  axle_print_number(input.bytes);
  axle_print(" to ");
  axle_print_number(output.bytes);
  axle_print(" bytes");
  print_time(from_us);
}

static void infer(void) {
  static const axle_wire_bytes model_name = AXLE_TEXT("mlp");
  static const axle_wire_bytes image = AXLE_TEXT("image");
  static const uint64_t dims[4] = {1, 1, 32, 32};
  static axle_request model;
  static axle_request binding;
  static axle_request result;
  static axle_output output;
  static axle_input input;
  static axle_bind bind = {.op = AXLE_OP_INFER,
                           .op_version = AXLE_OP_INFER_VERSION,
                           .input_names = &image,
                           .input_count = 1};
  const uint64_t from_us = axle_now_us();
  started("model", axle_client_named_model(&client, &model, model_name));
  bind.model = model.handle;
  started("bind", axle_client_bind(&client, &binding, &bind));
  // A half each.
  for (uint32_t i = 0; i < MLP_VALUES; i++) axle_store(large + 4 * i, 4, 0x3f000000);
  input.data = large;
  input.bytes = 4 * MLP_VALUES;
  input.dims = dims;
  input.rank = 4;
  input.dtype = AXLE_DTYPE_FP32;
  output.data = large + 4 * MLP_VALUES;
  output.capacity = sizeof(large) - 4 * MLP_VALUES;
  result.outputs = &output;
  result.output_count = 1;
  const axle_call call = {.inputs = &input, .input_count = 1};
  started("infer", axle_client_call(&client, &result, &binding, &call));
  await("infer", &result);
  axle_print("infer ");
  axle_print_number(output.bytes >> 2);
  axle_print(" scores");
  print_time(from_us);
}

void axle_main(const void *start_info) {
  static const axle_wire_bytes agent = AXLE_TEXT("axle-guest");
  static axle_client_options options;
  axle_print("axle: up\n");
  if (axle_platform_open(start_info, &options.transport) != 0) {
    axle_print("axle: failed: this machine has no stream to its host\n");
    return;
  }
  options.send_memory = send_memory;
  options.send_bytes = sizeof(send_memory);
  options.receive_memory = receive_memory;
  options.receive_bytes = sizeof(receive_memory);
  options.agent = agent;
  started("greeting", axle_client_init(&client, &options));
  classify();
  noop();
  compress();
  infer();
  axle_client_close(&client);
  axle_print("axle: done\n");
}
