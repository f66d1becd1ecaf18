// SPDX-License-Identifier: Apache-2.0
#include "conformance.h"

#include "../src/memory.h"

// For ports that want to know that less does too.
#ifndef AXLE_CONFORMANCE_SEND_BYTES
#define AXLE_CONFORMANCE_SEND_BYTES 8192u
#endif
#ifndef AXLE_CONFORMANCE_RECEIVE_BYTES
#define AXLE_CONFORMANCE_RECEIVE_BYTES 8192u
#endif

#define WAIT_US 60000000u
// More than a buffer or a window of the client's holds.
#define LARGE_BYTES 3000000u
#define STREAM_BYTES 1000000u
#define IN_FLIGHT 16u
#define MLP_BYTES (32u * 32u * 4u)
#define CLASSES 34u

// What the scenarios have; made anew by each but for the client.
static struct {
  axle_client client;
  const axle_conformance_port *port;
  uint8_t send[AXLE_CONFORMANCE_SEND_BYTES];
  uint8_t receive[AXLE_CONFORMANCE_RECEIVE_BYTES];
  uint8_t packed[65536];
  uint8_t plain[65536];
  axle_request requests[IN_FLIGHT + 4];
  axle_output outputs[IN_FLIGHT + 4];
  axle_input inputs[IN_FLIGHT];
  char why[256];
  uint32_t why_bytes;
} t;

// ---- words -------------------------------------------------------------------------------------

static void say(const char *text) {
  while (*text != 0 && t.why_bytes < sizeof(t.why)) t.why[t.why_bytes++] = *text++;
}

static void say_number(uint32_t number) {
  char digits[10];
  uint32_t count = 0;
  do {
    digits[count++] = (char)('0' + number % 10);
    number /= 10;
  } while (number > 0);
  while (count > 0) {
    const char one[2] = {digits[--count], 0};
    say(one);
  }
}

#define EXPECT(condition)         \
  do {                            \
    if (!(condition)) {           \
      if (t.why_bytes == 0) {     \
        say("line ");             \
        say_number(__LINE__);     \
        say(", not " #condition); \
      }                           \
      return 0;                   \
    }                             \
  } while (0)

static int same(const void *a, const void *b, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) {
    if (((const uint8_t *)a)[i] != ((const uint8_t *)b)[i]) return 0;
  }
  return 1;
}

// Bytes that neither repeat soon nor compress badly.
static uint8_t pattern(uint64_t i) { return (uint8_t)(i * 31 + (i >> 8)); }

// ---- requests ----------------------------------------------------------------------------------

// Tries until there is room.
#define START(what)                                  \
  do {                                               \
    int32_t error_ = 0;                              \
    while ((error_ = (what)) == AXLE_CLIENT_AGAIN) { \
      EXPECT(axle_client_poll(&t.client) == 0);      \
    }                                                \
    EXPECT(error_ == 0);                             \
  } while (0)

static axle_request *request(uint32_t i) {
  clear_bytes(&t.requests[i], sizeof(t.requests[i]));
  return &t.requests[i];
}

static axle_request *request_into(uint32_t i, void *data, uint64_t capacity) {
  axle_request *r = request(i);
  clear_bytes(&t.outputs[i], sizeof(t.outputs[i]));
  t.outputs[i].data = data;
  t.outputs[i].capacity = capacity;
  r->outputs = &t.outputs[i];
  r->output_count = 1;
  return r;
}

static int done(axle_request *r) {
  const int32_t error = axle_client_wait(&t.client, r, WAIT_US);
  if (error != 0) {
    say(error == AXLE_CLIENT_AGAIN ? "no answer in a minute" : t.client.message);
    return 0;
  }
  return 1;
}

static int succeeds(axle_request *r) {
  if (!done(r)) return 0;
  if (r->status == AXLE_STATUS_OK) return 1;
  say("status ");
  say_number(r->status);
  say(": ");
  say(r->message);
  return 0;
}

static int fails_with(axle_request *r, uint16_t status) {
  if (!done(r)) return 0;
  if (r->status == status && r->message[0] != 0) return 1;
  say("status ");
  say_number(r->status);
  say(" in place of ");
  say_number(status);
  say(": ");
  say(r->message);
  return 0;
}

// Leaves with the requests after it.
static int bind_codec(axle_request *r, uint32_t op, int64_t level) {
  static const axle_wire_bytes codec = AXLE_TEXT("codec");
  static const axle_wire_bytes level_name = AXLE_TEXT("level");
  axle_wire_arg args[2];
  axle_bind bind;
  clear_bytes(args, sizeof(args));
  clear_bytes(&bind, sizeof(bind));
  args[0].type = AXLE_ARG_INT;
  args[0].name = codec;
  args[0].i = AXLE_CODEC_ZSTD;
  args[1].type = AXLE_ARG_INT;
  args[1].name = level_name;
  args[1].i = level;
  bind.op = op;
  bind.op_version = 1;
  bind.args = args;
  bind.arg_count = op == AXLE_OP_COMPRESS ? 2 : 1;
  START(axle_client_bind(&t.client, r, &bind));
  return 1;
}

static int call_bytes(axle_request *r, const axle_request *binding, axle_input *input,
                      uint8_t flags) {
  axle_call call;
  clear_bytes(&call, sizeof(call));
  call.inputs = input;
  call.input_count = 1;
  call.flags = flags;
  START(axle_client_call(&t.client, r, binding, &call));
  return 1;
}

static axle_input input_of(const void *data, uint64_t bytes) {
  axle_input input;
  clear_bytes(&input, sizeof(input));
  input.data = data;
  input.bytes = bytes;
  return input;
}

static void fill(uint8_t *at, uint32_t bytes, uint64_t from) {
  for (uint32_t i = 0; i < bytes; i++) at[i] = pattern(from + i);
}

// ---- sources and sinks -------------------------------------------------------------------------

typedef struct flow {
  uint64_t bytes;  // of the whole
  uint64_t at;
  int is_wrong;
  uint8_t piece[1500];
} flow;

static flow flow_in, flow_out;

static const void *pattern_source(axle_request *r, uint32_t part, uint64_t offset, size_t *bytes) {
  flow *f = &flow_in;
  (void)r;
  (void)part;
  if (offset >= f->bytes) return NULL;
  size_t count = *bytes < sizeof(f->piece) ? *bytes : sizeof(f->piece);
  if (count > f->bytes - offset) count = (size_t)(f->bytes - offset);
  fill(f->piece, (uint32_t)count, offset);
  *bytes = count;
  return f->piece;
}

static void pattern_sink(axle_request *r, uint32_t slot, const void *data, size_t bytes) {
  flow *f = &flow_out;
  (void)r;
  (void)slot;
  for (size_t i = 0; i < bytes; i++) {
    if (((const uint8_t *)data)[i] != pattern(f->at++)) f->is_wrong = 1;
  }
}

static void start_flow(flow *f, uint64_t bytes) {
  f->bytes = bytes;
  f->at = 0;
  f->is_wrong = 0;
}

// ---- scenarios ---------------------------------------------------------------------------------

static int greeting(void) {
  axle_request *ping = request(0);
  START(axle_client_ping(&t.client, ping));
  EXPECT(succeeds(ping));
  EXPECT(t.client.state == AXLE_CLIENT_OPEN);
  EXPECT(t.client.calls_max > 0 && t.client.handles_max > 0 && t.client.request_bytes_max > 0);
  return 1;
}

static uint32_t devices_seen, ops_seen, entries_seen;

static void count_frames(axle_request *r, const axle_wire_frame *frame) {
  (void)r;
  if (frame->type == AXLE_FRAME_DEVICE) devices_seen++;
  if (frame->type == AXLE_FRAME_OP) ops_seen++;
  if (frame->type == AXLE_FRAME_MODEL_ENTRY) entries_seen++;
}

static int ask(axle_request *r, uint8_t type) {
  axle_wire_frame frame;
  clear_bytes(&frame, sizeof(frame));
  frame.type = type;
  r->on_frame = count_frames;
  START(axle_client_ask(&t.client, r, &frame));
  return 1;
}

static int describe(void) {
  devices_seen = ops_seen = entries_seen = 0;
  axle_request *devices = request(0);
  axle_request *models = request(1);
  EXPECT(ask(devices, AXLE_FRAME_DESCRIBE) && ask(models, AXLE_FRAME_LIST));
  EXPECT(succeeds(devices) && succeeds(models));
  EXPECT(devices_seen > 0 && ops_seen > 0 && entries_seen > 0);
  return 1;
}

// What is watched stays the client's until it is released.
static int watching(void) {
  axle_wire_frame frame;
  clear_bytes(&frame, sizeof(frame));
  frame.type = AXLE_FRAME_DESCRIBE;
  frame.flags = AXLE_FLAG_DESCRIBE_WATCH;
  axle_request *watch = request(0);
  START(axle_client_ask(&t.client, watch, &frame));
  EXPECT(succeeds(watch));
  EXPECT(axle_client_ask(&t.client, watch, &frame) == AXLE_STATUS_FAILED_PRECONDITION);
  START(axle_client_release(&t.client, watch));
  START(axle_client_ask(&t.client, watch, &frame));
  START(axle_client_release(&t.client, watch));
  EXPECT(succeeds(watch));
  return 1;
}

// Compresses `bytes` of the pattern and gets them back, in one flight.
static int round_trip(uint32_t bytes) {
  fill(t.plain, bytes, 0);
  axle_request *compress = request(0);
  axle_request *decompress = request(1);
  axle_request *packed = request_into(2, t.packed, sizeof(t.packed));
  axle_input input = input_of(t.plain, bytes);
  EXPECT(bind_codec(compress, AXLE_OP_COMPRESS, 1));
  EXPECT(bind_codec(decompress, AXLE_OP_DECOMPRESS, 0));
  EXPECT(call_bytes(packed, compress, &input, 0));
  EXPECT(succeeds(packed));
  input = input_of(t.packed, t.outputs[2].bytes);
  axle_request *plain = request_into(3, t.plain, sizeof(t.plain));
  clear_bytes(t.plain, bytes);
  EXPECT(call_bytes(plain, decompress, &input, 0));
  EXPECT(succeeds(plain));
  EXPECT(t.outputs[3].bytes == bytes);
  for (uint32_t i = 0; i < bytes; i++) EXPECT(t.plain[i] == pattern(i));
  START(axle_client_release(&t.client, compress));
  START(axle_client_release(&t.client, decompress));
  return 1;
}

static int empty(void) { return round_trip(0); }
static int odd(void) { return round_trip(1001); }
static int inline_edge(void) { return round_trip(AXLE_CLIENT_INLINE_BYTES_MAX); }
static int past_inline(void) { return round_trip(AXLE_CLIENT_INLINE_BYTES_MAX + 1); }
static int frame_edge(void) { return round_trip(sizeof(t.plain)); }

static int large(void) {
  axle_request *compress = request(0);
  axle_request *decompress = request(1);
  axle_request *packed = request_into(2, t.packed, sizeof(t.packed));
  EXPECT(bind_codec(compress, AXLE_OP_COMPRESS, 1));
  EXPECT(bind_codec(decompress, AXLE_OP_DECOMPRESS, 0));
  start_flow(&flow_in, LARGE_BYTES);
  start_flow(&flow_out, LARGE_BYTES);
  axle_input input = input_of(NULL, LARGE_BYTES);
  packed->source = pattern_source;
  EXPECT(call_bytes(packed, compress, &input, 0));
  EXPECT(succeeds(packed));
  input = input_of(t.packed, t.outputs[2].bytes);
  axle_request *plain = request_into(3, NULL, 0);
  plain->sink = pattern_sink;
  EXPECT(call_bytes(plain, decompress, &input, 0));
  EXPECT(succeeds(plain));
  EXPECT(flow_out.at == LARGE_BYTES && !flow_out.is_wrong);
  return 1;
}

static int streams(void) {
  axle_request *compress = request(0);
  axle_request *decompress = request(1);
  axle_request *packed = request_into(2, t.packed, sizeof(t.packed));
  axle_call call;
  clear_bytes(&call, sizeof(call));
  EXPECT(bind_codec(compress, AXLE_OP_COMPRESS, 1));
  EXPECT(bind_codec(decompress, AXLE_OP_DECOMPRESS, 0));
  start_flow(&flow_in, STREAM_BYTES);
  start_flow(&flow_out, STREAM_BYTES);
  packed->source = pattern_source;
  START(axle_client_stream(&t.client, packed, compress, &call));
  EXPECT(succeeds(packed));
  axle_request *plain = request_into(3, NULL, 0);
  plain->sink = pattern_sink;
  axle_input input = input_of(t.packed, t.outputs[2].bytes);
  EXPECT(call_bytes(plain, decompress, &input, 0));
  EXPECT(succeeds(plain));
  EXPECT(flow_out.at == STREAM_BYTES && !flow_out.is_wrong);
  return 1;
}

static int in_flight(void) {
  axle_request *compress = request(0);
  axle_request *decompress = request(1);
  EXPECT(bind_codec(compress, AXLE_OP_COMPRESS, 1));
  EXPECT(bind_codec(decompress, AXLE_OP_DECOMPRESS, 0));
  // Each packs a part of its own, and its output is unpacked by another that leaves with it.
  fill(t.plain, 512 * IN_FLIGHT, 0);
  axle_request *last = NULL;
  for (uint32_t i = 0; i < IN_FLIGHT; i++) {
    axle_request *packed = request(2 + i);
    t.inputs[i] = input_of(t.plain + 512 * i, 512 - i);
    EXPECT(call_bytes(packed, compress, &t.inputs[i], AXLE_FLAG_CALL_KEEP | AXLE_FLAG_CALL_OMIT));
    last = packed;
  }
  EXPECT(succeeds(last));
  for (uint32_t i = 0; i < IN_FLIGHT; i++) {
    EXPECT(succeeds(&t.requests[2 + i]));
    axle_input input = input_of(NULL, 0);
    input.handle = t.requests[2 + i].handle;
    axle_request *plain = request_into(IN_FLIGHT + 2, t.packed, sizeof(t.packed));
    EXPECT(call_bytes(plain, decompress, &input, 0));
    EXPECT(succeeds(plain));
    EXPECT(t.outputs[IN_FLIGHT + 2].bytes == 512 - i);
    EXPECT(same(t.packed, t.plain + 512 * i, 512 - i));
    START(axle_client_release(&t.client, &t.requests[2 + i]));
  }
  return 1;
}

// The first bytes of what each codec makes.
static int arguments(void) {
  static const uint16_t magics[] = {0xb528, 0x2204, 0x8b1f};
  static const axle_wire_bytes codec = AXLE_TEXT("codec");
  axle_bind bind;
  axle_wire_arg arg;
  clear_bytes(&bind, sizeof(bind));
  clear_bytes(&arg, sizeof(arg));
  arg.type = AXLE_ARG_INT;
  arg.name = codec;
  bind.op = AXLE_OP_COMPRESS;
  bind.args = &arg;
  bind.arg_count = 1;
  fill(t.plain, 100, 0);
  for (uint32_t i = 0; i < 3; i++) {
    arg.i = AXLE_CODEC_ZSTD + i;
    START(axle_client_bind(&t.client, request(i), &bind));
    t.inputs[i] = input_of(t.plain, 100);
    axle_request *packed = request_into(3 + i, t.packed + 1000 * i, 1000);
    EXPECT(call_bytes(packed, &t.requests[i], &t.inputs[i], 0));
  }
  for (uint32_t i = 0; i < 3; i++) {
    EXPECT(succeeds(&t.requests[3 + i]));
    EXPECT(axle_load(t.packed + 1000 * i, 2) == magics[i]);
    START(axle_client_release(&t.client, &t.requests[i]));
  }
  return 1;
}

static int small_beside_large(void) {
  axle_request *compress = request(0);
  axle_request *upload = request_into(1, t.packed, sizeof(t.packed) / 2);
  EXPECT(bind_codec(compress, AXLE_OP_COMPRESS, 19));
  start_flow(&flow_in, (uint64_t)LARGE_BYTES * 100);
  axle_input large_input = input_of(NULL, flow_in.bytes);
  upload->source = pattern_source;
  EXPECT(call_bytes(upload, compress, &large_input, 0));
  fill(t.plain, 100, 0);
  for (uint32_t i = 0; i < 8; i++) {
    axle_request *packed = request_into(2, t.packed + sizeof(t.packed) / 2, 1000);
    axle_input input = input_of(t.plain, 100);
    EXPECT(call_bytes(packed, compress, &input, 0));
    EXPECT(succeeds(packed));
    EXPECT(upload->state == AXLE_REQUEST_PENDING);
  }
  axle_client_cancel(&t.client, upload);
  EXPECT(fails_with(upload, AXLE_STATUS_CANCELLED));
  return round_trip(100);
}

static int kept_tensor(void) {
  axle_request *put = request(0);
  axle_request *compress = request(1);
  axle_request *packed = request_into(2, t.packed, sizeof(t.packed));
  fill(t.plain, 6000, 0);
  axle_input input = input_of(t.plain, 6000);
  START(axle_client_put(&t.client, put, &input));
  EXPECT(bind_codec(compress, AXLE_OP_COMPRESS, 1));
  axle_input kept = input_of(NULL, 0);
  kept.handle = put->handle;
  EXPECT(call_bytes(packed, compress, &kept, 0));
  EXPECT(succeeds(packed) && succeeds(put));
  EXPECT(t.outputs[2].bytes > 0);
  START(axle_client_release(&t.client, put));
  axle_request *late = request_into(3, t.packed, sizeof(t.packed));
  EXPECT(call_bytes(late, compress, &kept, 0));
  EXPECT(fails_with(late, AXLE_STATUS_NOT_FOUND));
  return 1;
}

static int cancelled(void) {
  axle_request *compress = request(0);
  axle_request *packed = request_into(1, t.packed, sizeof(t.packed));
  EXPECT(bind_codec(compress, AXLE_OP_COMPRESS, 19));
  start_flow(&flow_in, (uint64_t)LARGE_BYTES * 10);
  axle_input input = input_of(NULL, flow_in.bytes);
  packed->source = pattern_source;
  EXPECT(call_bytes(packed, compress, &input, 0));
  EXPECT(succeeds(compress));
  axle_client_cancel(&t.client, packed);
  EXPECT(fails_with(packed, AXLE_STATUS_CANCELLED));
  return round_trip(100);
}

static int failures(void) {
  axle_bind bind;
  clear_bytes(&bind, sizeof(bind));
  bind.op = 999;
  axle_request *unknown = request(0);
  axle_request *after = request_into(1, t.packed, sizeof(t.packed));
  START(axle_client_bind(&t.client, unknown, &bind));
  axle_input input = input_of("x", 1);
  EXPECT(call_bytes(after, unknown, &input, 0));
  EXPECT(fails_with(unknown, AXLE_STATUS_UNIMPLEMENTED));
  EXPECT(fails_with(after, AXLE_STATUS_UNIMPLEMENTED));
  EXPECT(after->cause == unknown->handle && unknown->cause == 0);
  static const axle_wire_bytes no_such = AXLE_TEXT("no-such-model");
  axle_request *model = request(0);
  START(axle_client_named_model(&t.client, model, no_such));
  EXPECT(fails_with(model, AXLE_STATUS_NOT_FOUND));
  axle_request *decompress = request(0);
  axle_request *damaged = request_into(1, t.packed, sizeof(t.packed));
  EXPECT(bind_codec(decompress, AXLE_OP_DECOMPRESS, 0));
  axle_input garbage = input_of("not compressed", 14);
  EXPECT(call_bytes(damaged, decompress, &garbage, 0));
  EXPECT(fails_with(damaged, AXLE_STATUS_INVALID_ARGUMENT));
  return round_trip(100);
}

static int too_long(void) {
  axle_request *decompress = request(0);
  axle_request *compress = request(1);
  axle_request *packed = request_into(2, t.packed, sizeof(t.packed));
  EXPECT(bind_codec(compress, AXLE_OP_COMPRESS, 1));
  EXPECT(bind_codec(decompress, AXLE_OP_DECOMPRESS, 0));
  start_flow(&flow_in, 200000);
  axle_input input = input_of(NULL, flow_in.bytes);
  packed->source = pattern_source;
  EXPECT(call_bytes(packed, compress, &input, 0));
  EXPECT(succeeds(packed));
  input = input_of(t.packed, t.outputs[2].bytes);
  axle_request *plain = request_into(3, t.plain, 1000);
  t.plain[1000] = 0x5a;
  EXPECT(call_bytes(plain, decompress, &input, 0));
  EXPECT(fails_with(plain, AXLE_STATUS_RESOURCE_EXHAUSTED));
  EXPECT(t.outputs[3].bytes == 200000 && t.plain[1000] == 0x5a);
  return round_trip(100);
}

static int deadline(void) {
  axle_request *compress = request(0);
  axle_request *packed = request_into(1, t.packed, sizeof(t.packed));
  EXPECT(bind_codec(compress, AXLE_OP_COMPRESS, 19));
  start_flow(&flow_in, LARGE_BYTES);
  axle_input input = input_of(NULL, flow_in.bytes);
  packed->source = pattern_source;
  axle_call call;
  clear_bytes(&call, sizeof(call));
  call.inputs = &input;
  call.input_count = 1;
  call.deadline_us = 1;
  START(axle_client_call(&t.client, packed, compress, &call));
  EXPECT(fails_with(packed, AXLE_STATUS_DEADLINE_EXCEEDED));
  return round_trip(100);
}

static int infer(void) {
  static const axle_wire_bytes mlp = AXLE_TEXT("mlp");
  static const axle_wire_bytes image = AXLE_TEXT("image");
  static const uint64_t dims[4] = {1, 1, 32, 32};
  axle_request *model = request(0);
  axle_request *binding = request(1);
  axle_request *result = request_into(2, t.packed, sizeof(t.packed));
  START(axle_client_named_model(&t.client, model, mlp));
  axle_bind bind;
  clear_bytes(&bind, sizeof(bind));
  bind.op = AXLE_OP_INFER;
  bind.op_version = AXLE_OP_INFER_VERSION;
  bind.model = model->handle;
  bind.input_names = &image;
  bind.input_count = 1;
  bind.flags = AXLE_FLAG_BIND_NAMES;
  START(axle_client_bind(&t.client, binding, &bind));
  // 0.5 each.
  for (uint32_t i = 0; i < MLP_BYTES; i += 4) axle_store(t.plain + i, 4, 0x3f000000);
  axle_input input = input_of(t.plain, MLP_BYTES);
  input.dtype = AXLE_DTYPE_FP32;
  input.dims = dims;
  input.rank = 4;
  EXPECT(call_bytes(result, binding, &input, 0));
  EXPECT(succeeds(result));
  const axle_output *scores = &t.outputs[2];
  EXPECT(scores->dtype == AXLE_DTYPE_FP32 && scores->rank == 2);
  EXPECT(scores->dims[0] == 1 && scores->dims[1] == CLASSES && scores->bytes == 4 * CLASSES);
  return 1;
}

static int model_file(void) {
  static const axle_wire_bytes mlp = AXLE_TEXT("mlp");
  static const axle_wire_bytes labels = AXLE_TEXT("labels.txt");
  axle_request *model = request(0);
  axle_request *file = request_into(1, t.plain, sizeof(t.plain));
  START(axle_client_named_model(&t.client, model, mlp));
  axle_wire_frame frame;
  clear_bytes(&frame, sizeof(frame));
  frame.type = AXLE_FRAME_READ;
  frame.body.read.model = model->handle;
  frame.body.read.file = labels;
  START(axle_client_ask(&t.client, file, &frame));
  EXPECT(succeeds(file));
  uint32_t lines = 0;
  for (uint64_t i = 0; i < t.outputs[1].bytes; i++) lines += t.plain[i] == '\n';
  EXPECT(lines >= CLASSES - 1);
  clear_bytes(&frame, sizeof(frame));
  frame.type = AXLE_FRAME_LOAD;
  frame.body.load.model = model->handle;
  axle_request *load = request(2);
  START(axle_client_ask(&t.client, load, &frame));
  EXPECT(succeeds(load));
  START(axle_client_release(&t.client, load));
  START(axle_client_release(&t.client, model));
  return 1;
}

// A mistake of the caller's is told, and nothing was started.
static int misuse(void) {
  axle_request *never = request(0);
  EXPECT(axle_client_wait(&t.client, never, 0) == AXLE_STATUS_FAILED_PRECONDITION);
  axle_bind bind;
  clear_bytes(&bind, sizeof(bind));
  EXPECT(axle_client_bind(&t.client, never, &bind) == AXLE_STATUS_INVALID_ARGUMENT);
  EXPECT(never->state == AXLE_REQUEST_IDLE);
  return round_trip(10);
}

typedef struct scenario {
  const char *name;
  int (*run)(void);
} scenario;

// scenarios.json has the same, and says what each shows.
static const scenario scenarios[] = {
    {"greeting", greeting},
    {"describe", describe},
    {"watching", watching},
    {"empty", empty},
    {"odd", odd},
    {"inline-edge", inline_edge},
    {"past-inline", past_inline},
    {"frame-edge", frame_edge},
    {"large", large},
    {"streams", streams},
    {"in-flight", in_flight},
    {"arguments", arguments},
    {"small-beside-large", small_beside_large},
    {"kept-tensor", kept_tensor},
    {"cancelled", cancelled},
    {"failures", failures},
    {"too-long", too_long},
    {"deadline", deadline},
    {"infer", infer},
    {"model-file", model_file},
    {"misuse", misuse},
};

// ---- the run -----------------------------------------------------------------------------------

static void print_why(void) { t.port->print(t.port->context, t.why, t.why_bytes); }

static int is_named(const char *name, axle_wire_bytes wanted) {
  uint32_t bytes = 0;
  while (name[bytes] != 0) bytes++;
  return bytes == wanted.bytes && same(name, wanted.data, bytes);
}

static int run_one(const scenario *each) {
  t.why_bytes = 0;
  const int passes = each->run();
  char reason[sizeof(t.why)];
  const uint32_t reason_bytes = t.why_bytes;
  copy_bytes(reason, t.why, reason_bytes);
  t.why_bytes = 0;
  say(passes ? "ok " : "FAILED ");
  say(each->name);
  if (!passes) {
    say(": ");
    const uint32_t room = (uint32_t)sizeof(t.why) - t.why_bytes;
    const uint32_t bytes = reason_bytes < room ? reason_bytes : room;
    copy_bytes(t.why + t.why_bytes, reason, bytes);
    t.why_bytes += bytes;
  }
  print_why();
  return passes;
}

int axle_conformance(const axle_conformance_port *port) {
  static const axle_wire_bytes agent = AXLE_TEXT("axle-conformance");
  axle_client_options options;
  clear_bytes(&options, sizeof(options));
  t.port = port;
  options.transport = port->transport;
  options.send_memory = t.send;
  options.send_bytes = sizeof(t.send);
  options.receive_memory = t.receive;
  options.receive_bytes = sizeof(t.receive);
  options.agent = agent;
  options.token = port->token;
  uint32_t passed = 0;
  uint32_t failed = 0;
  const int32_t error = axle_client_init(&t.client, &options);
  for (uint32_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]) && error == 0; i++) {
    if (port->only.bytes > 0 && !is_named(scenarios[i].name, port->only)) continue;
    if (run_one(&scenarios[i])) {
      passed++;
    } else {
      failed++;
    }
  }
  axle_client_close(&t.client);
  const int all_pass = failed == 0 && passed > 0;
  t.why_bytes = 0;
  say(all_pass ? "PASS " : "FAIL ");
  say_number(passed);
  say(" passed, ");
  say_number(failed);
  say(" failed");
  print_why();
  return all_pass ? 0 : (int)(failed > 0 ? failed : 1);
}
