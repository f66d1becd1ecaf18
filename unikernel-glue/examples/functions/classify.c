// SPDX-License-Identifier: Apache-2.0
//
// A function of axle faas that is a guest: the body of a call is an image, and the answer says what is in it.
#include "../../guest/platform.h"
#include "axle/function.h"

#define WAIT_US 30000000u
// The most that a call may have.
#define CALL_BYTES (4u << 20)
#define TOKEN_BYTES 1024u

static axle_client client;
static axle_function function;
static axle_request model;
static axle_request binding;
static uint8_t send_memory[8192];
static uint8_t receive_memory[8192];
static uint8_t call_memory[CALL_BYTES];
static uint8_t token[TOKEN_BYTES];
static uint8_t answer[512];

static int start_client(axle_transport transport) {
  static const axle_wire_bytes agent = AXLE_TEXT("axle-guest-function");
  static const axle_wire_bytes model_name = AXLE_TEXT("glyphs");
  static const axle_wire_bytes k = AXLE_TEXT("k");
  static axle_wire_arg top = {.type = AXLE_ARG_INT, .i = 1};
  static axle_bind bind = {.op = AXLE_OP_CLASSIFY,
                           .op_version = AXLE_OP_CLASSIFY_VERSION,
                           .last = 3,
                           .arg_count = 1,
                           .flags = AXLE_FLAG_BIND_LABELS};
  static axle_client_options options;
  const int32_t token_bytes =
      axle_json_text(function.setup, function.setup_bytes, "token", token, sizeof(token));
  options.transport = transport;
  options.send_memory = send_memory;
  options.send_bytes = sizeof(send_memory);
  options.receive_memory = receive_memory;
  options.receive_bytes = sizeof(receive_memory);
  options.agent = agent;
  options.token.data = token;
  options.token.bytes = token_bytes > 0 ? (uint32_t)token_bytes : 0;
  top.name = k;
  bind.args = &top;
  if (axle_client_init(&client, &options) != 0) return 0;
  if (axle_client_named_model(&client, &model, model_name) != 0) return 0;
  bind.model = model.handle;
  return axle_client_bind(&client, &binding, &bind) == 0;
}

// What went wrong, or NULL; then the answer is there.
static const char *classify(uint32_t *answer_bytes) {
  static axle_request result;
  static axle_output outputs[3];
  static axle_input image;
  static uint8_t indices[4];
  static uint8_t scores[4];
  static uint8_t labels[256];
  outputs[0] = (axle_output){.data = indices, .capacity = sizeof(indices)};
  outputs[1] = (axle_output){.data = scores, .capacity = sizeof(scores)};
  outputs[2] = (axle_output){.data = labels, .capacity = sizeof(labels)};
  result = (axle_request){.outputs = outputs, .output_count = 3};
  image = (axle_input){.data = function.body, .bytes = function.body_bytes};
  const axle_call call = {.inputs = &image, .input_count = 1};
  if (axle_client_call(&client, &result, &binding, &call) != 0) return client.message;
  if (axle_client_wait(&client, &result, WAIT_US) != 0) return "the pool gave no answer";
  if (result.status != AXLE_STATUS_OK) {
    // The message stays until the next call.
    return result.message;
  }
  const axle_wire_bytes label = axle_element(labels, outputs[2].bytes, 0);
  uint32_t at = 0;
  for (; at < label.bytes && at < sizeof(answer) - 1; at++) answer[at] = label.data[at];
  answer[at++] = '\n';
  *answer_bytes = at;
  return NULL;
}

void axle_main(const void *start_info) {
  static axle_transport pool;
  static axle_function_options options;
  axle_print("axle: up\n");
  if (axle_platform_open(start_info, &pool) != 0 ||
      axle_platform_open_calls(&options.transport) != 0) {
    axle_print("axle: failed: this machine has no streams to its host\n");
    return;
  }
  options.memory = call_memory;
  options.bytes = sizeof(call_memory);
  if (axle_function_open(&function, &options) != 0) {
    axle_print("axle: failed: nobody said what it is to do\n");
    return;
  }
  if (!start_client(pool)) {
    axle_function_refuse(&function, "UNAVAILABLE", client.message);
    axle_print("axle: failed: the pool cannot be used\n");
    return;
  }
  int32_t error = axle_function_ready(&function);
  while (error == 0) {
    error = axle_function_next(&function, &client);
    if (error != 0) break;
    uint32_t bytes = 0;
    const char *problem = classify(&bytes);
    if (problem == NULL) {
      error = axle_function_answer(&function, 200, "text/plain", answer, bytes);
    } else {
      axle_print("cannot classify: ");
      axle_print(problem);
      axle_print("\n");
      error = axle_function_fail(&function, "INVALID_ARGUMENT", problem);
    }
  }
  axle_client_close(&client);
  axle_print("axle: done\n");
}
