// SPDX-License-Identifier: Apache-2.0
//
// Large tensors there and back, by the memory that this machine shares with its host, or with the word `stream` by the
// stream alone. For 1, 4 and 16 MiB it prints `BYTES MICROSECONDS`, the median of echoes, each of which is compared byte by
// byte; then, with the word `ops`, what else goes that way: compress, decompress, infer, a tensor that is kept.
#include "../src/memory.h"
#include "platform.h"

#define WAIT_US 60000000u
#define MIB (1u << 20)
#define BYTES_MAX (16u * MIB)
// What does not compress grows a little.
#define ROOM_BYTES (BYTES_MAX + MIB)
#define ROUNDS 7u
#define MLP_BYTES (32u * 32u * 4u)
#define BATCH 64u
#define CLASSES 34u

static axle_client client;
static uint8_t send_memory[8192];
static uint8_t receive_memory[65552];
static uint8_t there[ROOM_BYTES] __attribute__((aligned(64)));
static uint8_t packed[ROOM_BYTES] __attribute__((aligned(64)));
static uint8_t back[ROOM_BYTES] __attribute__((aligned(64)));
static axle_request binding;
static axle_request request;
static axle_output output;
static axle_input input;

// Without paging, an address is the machine's.
static uint64_t address_of(const void *data, uint64_t bytes) {
  (void)bytes;
  return (uintptr_t)data;
}

static void fill(uint8_t *data, uint32_t bytes, uint32_t seed) {
  for (uint32_t i = 0; i < bytes; i += 4) {
    seed = seed * 1664525u + 1013904223u;
    // Half of each word: so that it compresses, and not to nothing.
    axle_store(data + i, 4, seed >> 16);
  }
}

static int is_same(const uint8_t *a, const uint8_t *b, uint32_t bytes) {
  const uint32_t *x = (const uint32_t *)(const void *)a;
  const uint32_t *y = (const uint32_t *)(const void *)b;
  for (uint32_t i = 0; i < bytes / 4; i++) {
    if (x[i] != y[i]) return 0;
  }
  return 1;
}

static int fails(const char *what) {
  axle_print("FAILED ");
  axle_print(what);
  axle_print(": ");
  axle_print(request.message[0] != 0 ? request.message : client.message);
  axle_print("\n");
  return 0;
}

static int ends_well(void) {
  return axle_client_wait(&client, &request, WAIT_US) == 0 && request.status == AXLE_STATUS_OK;
}

// Sends `data` through the binding, and has the output in `into`.
static int call(axle_request *with, const void *data, uint64_t bytes, uint8_t *into) {
  clear_bytes(&request, sizeof(request));
  clear_bytes(&output, sizeof(output));
  output.data = into;
  output.capacity = ROOM_BYTES;
  request.outputs = &output;
  request.output_count = 1;
  input.data = data;
  input.bytes = bytes;
  const axle_call with_input = {.inputs = &input, .input_count = 1};
  if (axle_client_call(&client, &request, with, &with_input) != 0) return 0;
  return ends_well();
}

static int was_shared(void) {
  return input.source == AXLE_SOURCE_SHARED && output.source == AXLE_SOURCE_SHARED;
}

static int bind(axle_request *to, const axle_bind *how) {
  clear_bytes(to, sizeof(*to));
  clear_bytes(&request, sizeof(request));
  if (axle_client_bind(&client, to, how) != 0) return 0;
  return axle_client_wait(&client, to, WAIT_US) == 0 && to->status == AXLE_STATUS_OK;
}

static int measure(uint32_t bytes, int is_shared) {
  uint32_t samples[ROUNDS];
  for (uint32_t i = 0; i < ROUNDS; i++) {
    axle_store(there, 4, i);
    clear_bytes(back, 4096);
    const uint64_t from_us = axle_now_us();
    if (!call(&binding, there, bytes, back)) return fails("echo");
    const uint32_t took_us = (uint32_t)(axle_now_us() - from_us);
    if (output.bytes != bytes || !is_same(there, back, bytes)) return fails("bytes of an echo");
    if (was_shared() != is_shared) return fails("the way of an echo");
    uint32_t at = i;
    for (; at > 0 && samples[at - 1] > took_us; at--) samples[at] = samples[at - 1];
    samples[at] = took_us;
  }
  axle_print_number(bytes);
  axle_print(" ");
  axle_print_number(samples[ROUNDS / 2]);
  axle_print("\n");
  return 1;
}

static int codec(uint32_t bytes, int is_shared) {
  static const axle_wire_arg lz4[1] = {
      {.name = AXLE_TEXT("codec"), .type = AXLE_ARG_INT, .i = AXLE_CODEC_LZ4}};
  static const axle_bind compress = {.op = AXLE_OP_COMPRESS, .args = lz4, .arg_count = 1};
  static const axle_bind decompress = {.op = AXLE_OP_DECOMPRESS, .args = lz4, .arg_count = 1};
  static axle_request ways[2];
  fill(there, bytes, bytes);
  clear_bytes(back, bytes);
  if (!bind(&ways[0], &compress) || !bind(&ways[1], &decompress)) return fails("bind");
  if (!call(&ways[0], there, bytes, packed)) return fails("compress");
  if (was_shared() != is_shared) return fails("the way of compress");
  const uint64_t packed_bytes = output.bytes;
  if (!call(&ways[1], packed, packed_bytes, back)) return fails("decompress");
  if (was_shared() != is_shared) return fails("the way of decompress");
  if (output.bytes != bytes || !is_same(there, back, bytes)) return fails("bytes of a codec");
  axle_print("codec ");
  axle_print_number(bytes);
  axle_print(" ");
  axle_print_number(packed_bytes);
  axle_print("\n");
  return 1;
}

// A batch by shared memory, and each of it by itself in a frame: the scores are the same.
static int infer(int is_shared) {
  static const axle_wire_bytes mlp = AXLE_TEXT("mlp");
  static const axle_wire_bytes image = AXLE_TEXT("image");
  static axle_request model, way;
  uint64_t dims[4] = {BATCH, 1, 32, 32};
  axle_bind how = {.op = AXLE_OP_INFER, .input_names = &image, .input_count = 1};
  if (axle_client_named_model(&client, &model, mlp) != 0) return 0;
  how.model = model.handle;
  if (!bind(&way, &how)) return fails("model");
  // Small numbers, whose bits are those of floats between 1 and 2.
  for (uint32_t i = 0; i < BATCH * MLP_BYTES; i += 4) {
    axle_store(there + i, 4, 0x3f800000u | (i * 2654435761u >> 9));
  }
  input.dtype = AXLE_DTYPE_FP32;
  input.rank = 4;
  input.dims = dims;
  if (!call(&way, there, BATCH * MLP_BYTES, packed)) return fails("infer");
  if ((input.source == AXLE_SOURCE_SHARED) != is_shared) return fails("the way of infer");
  dims[0] = 1;
  for (uint32_t i = 0; i < BATCH; i += BATCH / 4) {
    if (!call(&way, there + i * MLP_BYTES, MLP_BYTES, back)) return fails("infer of one");
    if (!is_same(packed + i * 4 * CLASSES, back, 4 * CLASSES)) return fails("scores");
  }
  clear_bytes(&input, sizeof(input));
  axle_print("infer ok\n");
  return 1;
}

// A tensor that stays on the server comes back as it was sent, whatever was done to the memory that it came from.
static int kept(void) {
  static axle_request put;
  fill(there, MIB, 5);
  clear_bytes(&put, sizeof(put));
  input.data = there;
  input.bytes = MIB;
  if (axle_client_put(&client, &put, &input) != 0) return fails("put");
  if (axle_client_wait(&client, &put, WAIT_US) != 0 || put.status != AXLE_STATUS_OK) return 0;
  copy_bytes(packed, there, MIB);
  clear_bytes(there, MIB);
  input.handle = put.handle;
  if (!call(&binding, NULL, 0, back)) return fails("echo of what is kept");
  if (output.bytes != MIB || !is_same(packed, back, MIB)) return fails("bytes that were kept");
  input.handle = 0;
  axle_print("kept ok\n");
  return 1;
}

void axle_main(const void *start_info) {
  static const axle_wire_bytes echo = AXLE_TEXT("echo.axle/echo");
  static axle_client_options options;
  axle_print("axle: up\n");
  if (axle_platform_open(start_info, &options.transport) != 0) {
    axle_print("axle: failed: this machine has no virtio console\n");
    return;
  }
  const int is_shared = !axle_has_word("stream");
  options.send_memory = send_memory;
  options.send_bytes = sizeof(send_memory);
  options.receive_memory = receive_memory;
  options.receive_bytes = sizeof(receive_memory);
  if (is_shared) options.guest_address = address_of;
  const axle_bind how = {.op_name = echo};
  int is_well = axle_client_init(&client, &options) == 0 && bind(&binding, &how);
  fill(there, BYTES_MAX, 1);
  for (uint32_t bytes = MIB; bytes <= BYTES_MAX && is_well; bytes *= 4) {
    is_well = measure(bytes, is_shared);
  }
  if (axle_has_word("ops")) {
    for (uint32_t bytes = MIB; bytes <= BYTES_MAX && is_well; bytes *= 4) {
      is_well = codec(bytes, is_shared);
    }
    is_well = is_well && infer(is_shared) && kept();
  }
  axle_print(is_well ? "axle: done\n" : "axle: failed: a call did\n");
}
