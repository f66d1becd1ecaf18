// SPDX-License-Identifier: Apache-2.0
#include "axle/wire.h"

#include "memory.h"
#include "wire_bytes.h"
#include "wire_layout.h"

#define ALIGNMENT AXLE_WIRE_ALIGNMENT
#define NAME_MAX AXLE_WIRE_NAME_BYTES_MAX
#define TENSORS_MAX AXLE_WIRE_TENSORS_MAX

// ---- numbers -----------------------------------------------------------------------------------

// Of 1, 2, 4 or 8 bytes.
static uint64_t get_uint(const uint8_t *at, unsigned bytes) {
  if (bytes == 1) return *at;
  if (bytes == 2) return get_u16(at);
  if (bytes == 4) return get_u32(at);
  return get_u64(at);
}

// A 64-bit number past what every language can tell exactly.
static int is_too_large(uint64_t value) { return (value & ~AXLE_WIRE_HANDLE_MAX) != 0; }

static int is_device(uint32_t index) {
  return index < AXLE_WIRE_DEVICES_MAX || index == AXLE_WIRE_DEVICE_NONE;
}

// ---- text --------------------------------------------------------------------------------------

// Bytes of the well-formed UTF-8 sequence at `text`, of which `left` bytes are there; 0 = none.
static uint32_t sequence_bytes(const uint8_t *text, uint32_t left) {
  const uint8_t lead = text[0];
  if (lead < 0x80) return 1;
  const uint32_t bytes = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || left < bytes) return 0;
  // Overlong forms, surrogates and what is past U+10FFFF show in the second byte.
  uint8_t low = 0x80;
  uint8_t high = 0xbf;
  if (lead == 0xe0) low = 0xa0;
  if (lead == 0xed) high = 0x9f;
  if (lead == 0xf0) low = 0x90;
  if (lead == 0xf4) high = 0x8f;
  if (text[1] < low || text[1] > high) return 0;
  for (uint32_t i = 2; i < bytes; i++) {
    if ((text[i] & 0xc0) != 0x80) return 0;
  }
  return bytes;
}

enum text_kind { TEXT_NAME, TEXT_LINES, TEXT_ANY };

static int is_clean_text(axle_wire_bytes text, enum text_kind kind) {
  for (uint32_t at = 0; at < text.bytes;) {
    const uint8_t c = text.data[at];
    const int is_control = c < 0x20 || c == 0x7f;
    const int is_allowed = kind == TEXT_ANY || (kind == TEXT_LINES && (c == '\n' || c == '\t'));
    const uint32_t bytes = sequence_bytes(text.data + at, text.bytes - at);
    if (bytes == 0 || (is_control && !is_allowed)) return 0;
    at += bytes;
  }
  return 1;
}

// ---- reading -----------------------------------------------------------------------------------

// The first error stays; after it every read gives zeros or an empty view.
typedef struct reader {
  const uint8_t *at;
  const uint8_t *end;
  int32_t error;
} reader;

static const uint8_t zeros[32];

static void fail(reader *r, int32_t error) {
  if (r->error == 0) r->error = error;
}

// No function: machines jump on a condition in less than it takes to hand one over.
#define require(r, holds, error)  \
  do {                            \
    if (!(holds)) fail(r, error); \
  } while (0)

static uint32_t least(uint64_t a, uint32_t b) { return a < b ? (uint32_t)a : b; }

// The next `bytes`; up to 32 zeros after an error.
static const uint8_t *take(reader *r, uint32_t bytes) {
  if (r->error != 0) return zeros;
  if (bytes > (size_t)(r->end - r->at)) {
    fail(r, AXLE_WIRE_ERROR_PAYLOAD_TRUNCATED);
    return zeros;
  }
  const uint8_t *at = r->at;
  r->at += bytes;
  return at;
}

static int is_zero(const uint8_t *at, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) {
    if (at[i] != 0) return 0;
  }
  return 1;
}

// At most 8.
static void take_zeros(reader *r, uint32_t bytes) {
  require(r, is_zero(take(r, bytes), bytes), AXLE_WIRE_ERROR_RESERVED_NOT_ZERO);
}

static uint64_t take_u64(reader *r) {
  const uint64_t value = get_u64(take(r, 8));
  require(r, !is_too_large(value), AXLE_WIRE_ERROR_NUMBER_TOO_LARGE);
  return value;
}

static int64_t take_i64(reader *r) {
  // From 0 up, where the least is 0: no cast of too large a value.
  uint64_t above = get_u64(take(r, 8)) + AXLE_WIRE_HANDLE_MAX;
  require(r, above <= 2 * AXLE_WIRE_HANDLE_MAX, AXLE_WIRE_ERROR_NUMBER_TOO_LARGE);
  if (r->error != 0) above = 0;
  return (int64_t)above - (int64_t)AXLE_WIRE_HANDLE_MAX;
}

// `bytes` and the padding after them.
static axle_wire_bytes take_bytes(reader *r, uint32_t bytes) {
  axle_wire_bytes taken = {take(r, bytes), bytes};
  take_zeros(r, padding_of(bytes));
  if (r->error != 0) taken.bytes = 0;
  return taken;
}

static axle_wire_bytes take_text(reader *r, uint32_t bytes, enum text_kind kind) {
  axle_wire_bytes text = take_bytes(r, bytes);
  if (r->error == 0) require(r, is_clean_text(text, kind), AXLE_WIRE_ERROR_BAD_TEXT);
  return text;
}

static void store_uint(void *member, unsigned bytes, uint64_t value) {
  if (bytes == 1) *(uint8_t *)member = (uint8_t)value;
  if (bytes == 2) *(uint16_t *)member = (uint16_t)value;
  if (bytes == 4) *(uint32_t *)member = (uint32_t)value;
  if (bytes == 8) *(uint64_t *)member = value;
}

// From -AXLE_WIRE_PRIORITY_MAX to AXLE_WIRE_PRIORITY_MAX, as the bits of a byte.
static int is_priority(uint32_t bits) {
  return (uint8_t)(bits + AXLE_WIRE_PRIORITY_MAX) <= 2 * AXLE_WIRE_PRIORITY_MAX;
}

static void read_fixed(reader *r, const axle_field *f, void *member) {
  if (f->kind == KIND_ZERO) {
    take_zeros(r, f->bytes);
    return;
  }
  const uint8_t *at = take(r, f->bytes);
  if (f->kind == KIND_RAW) {
    *(const uint8_t **)member = at;
    return;
  }
  const uint64_t value = get_uint(at, f->bytes);
  // ANY is the largest of 32 bits, and stands for what is longer too.
  const uint32_t cut = least(value, UINT32_MAX);
  switch ((enum axle_field_kind)f->kind) {
    case KIND_MAGIC:
      require(r, value == get_u64((const uint8_t *)AXLE_WIRE_MAGIC), AXLE_WIRE_ERROR_BAD_MAGIC);
      return;
    case KIND_NAME:
    case KIND_LINES:
    case KIND_BLOB:
      require(r, cut >= f->min, AXLE_WIRE_ERROR_BAD_VALUE);
      require(r, cut <= f->max, AXLE_WIRE_ERROR_TOO_LONG);
      ((axle_wire_bytes *)member)->bytes = cut;
      return;
    case KIND_COUNT:
      require(r, cut <= f->max, AXLE_WIRE_ERROR_TOO_MANY);
      ((axle_wire_records *)member)->count = cut;
      return;
    case KIND_DEVICE:
      require(r, is_device(cut), AXLE_WIRE_ERROR_BAD_VALUE);
      break;
    case KIND_INT8:
      require(r, is_priority(cut), AXLE_WIRE_ERROR_BAD_VALUE);
      break;
    default:
      require(r, f->bytes < 8 || !is_too_large(value), AXLE_WIRE_ERROR_NUMBER_TOO_LARGE);
      require(r, cut >= f->min && cut <= f->max, AXLE_WIRE_ERROR_BAD_VALUE);
      break;
  }
  store_uint(member, f->bytes, value);
}

static void read_body(reader *r, const axle_field *f, axle_wire_bytes *member) {
  if (f->kind == KIND_BLOB) *member = take_bytes(r, member->bytes);
  if (f->kind == KIND_NAME) *member = take_text(r, member->bytes, TEXT_NAME);
  if (f->kind == KIND_LINES) *member = take_text(r, member->bytes, TEXT_LINES);
}

static void read_fixed_fields(reader *r, const axle_layout *l, void *body) {
  for (unsigned i = 0; i < l->count; i++) {
    read_fixed(r, &l->fields[i], (char *)body + l->fields[i].offset);
  }
}

static void read_fields(reader *r, const axle_layout *l, void *body) {
  read_fixed_fields(r, l, body);
  for (unsigned i = 0; i < l->count; i++) {
    void *member = (char *)body + l->fields[i].offset;
    if (axle_field_is_variable(&l->fields[i]))
      read_body(r, &l->fields[i], (axle_wire_bytes *)member);
  }
}

static uint32_t take_arena(reader *r) {
  const uint32_t arena = get_u32(take(r, 4));
  require(r, arena <= AXLE_WIRE_ARENAS_MAX, AXLE_WIRE_ERROR_BAD_VALUE);
  take_zeros(r, 4);
  return arena;
}

// ---- records -----------------------------------------------------------------------------------

// Bytes of an element; 0 where they differ.
static const uint8_t element_bytes[] = {
    [AXLE_DTYPE_BOOL] = 1,   [AXLE_DTYPE_UINT8] = 1,  [AXLE_DTYPE_INT8] = 1,
    [AXLE_DTYPE_UINT16] = 2, [AXLE_DTYPE_INT16] = 2,  [AXLE_DTYPE_FP16] = 2,
    [AXLE_DTYPE_BF16] = 2,   [AXLE_DTYPE_UINT32] = 4, [AXLE_DTYPE_INT32] = 4,
    [AXLE_DTYPE_FP32] = 4,   [AXLE_DTYPE_UINT64] = 8, [AXLE_DTYPE_INT64] = 8,
    [AXLE_DTYPE_FP64] = 8,   [AXLE_DTYPE_BYTES] = 0,
};

// *product *= factor, unless that is more than `max`, a number that fits the protocol. By shifts: machines of 32 bits have
// no such multiplication.
static int multiply(uint64_t *product, uint64_t factor, uint64_t max) {
  uint64_t sum = 0;
  for (uint64_t part = *product; factor != 0; factor >>= 1, part <<= 1) {
    if (part > max) return 0;
    if ((factor & 1) != 0) sum += part;
    if (sum > max) return 0;
  }
  *product = sum;
  return 1;
}

// Whether the dims make up `bytes`.
static int has_bytes(const axle_wire_tensor *tensor) {
  if (tensor->dtype == AXLE_DTYPE_BYTES) return 1;
  for (unsigned i = 0; i < tensor->rank; i++) {
    if (tensor->dims[i] == 0) return tensor->bytes == 0;
  }
  uint64_t product = element_bytes[tensor->dtype];
  for (unsigned i = 0; i < tensor->rank; i++) {
    if (!multiply(&product, tensor->dims[i], tensor->bytes)) return 0;
  }
  return product == tensor->bytes;
}

static void read_handle_tensor(reader *r, axle_wire_tensor *tensor) {
  const int is_plain =
      tensor->dtype == 0 && tensor->rank == 0 && tensor->bytes == 0 && tensor->name.bytes == 0;
  require(r, is_plain, AXLE_WIRE_ERROR_RESERVED_NOT_ZERO);
  require(r, tensor->output < TENSORS_MAX, AXLE_WIRE_ERROR_BAD_VALUE);
  tensor->handle = take_u64(r);
  require(r, tensor->handle != 0, AXLE_WIRE_ERROR_BAD_VALUE);
}

static void read_tensor_data(reader *r, axle_wire_tensor *tensor) {
  switch (tensor->source) {
    case AXLE_SOURCE_INLINE:
      // No frame holds more than 32 bits tell of.
      tensor->data = take_bytes(r, least(tensor->bytes, UINT32_MAX)).data;
      break;
    case AXLE_SOURCE_FOLLOWS:
      require(r, tensor->bytes != 0, AXLE_WIRE_ERROR_BAD_VALUE);
      break;
    case AXLE_SOURCE_SHARED:
      tensor->arena = take_arena(r);
      tensor->offset = take_u64(r);
      break;
    case AXLE_SOURCE_OMITTED:
      break;
    default:
      fail(r, AXLE_WIRE_ERROR_BAD_VALUE);
  }
}

static void read_tensor(reader *r, axle_wire_tensor *tensor) {
  clear_bytes(tensor, offsetof(axle_wire_tensor, dims));
  tensor->name.data = zeros;
  read_fixed_fields(r, axle_wire_record_layout(RECORD_INPUT), tensor);
  if (r->error != 0) return;
  if (tensor->source == AXLE_SOURCE_HANDLE) {
    read_handle_tensor(r, tensor);
    return;
  }
  require(r, tensor->output == 0, AXLE_WIRE_ERROR_RESERVED_NOT_ZERO);
  require(r, tensor->dtype >= AXLE_DTYPE_BOOL, AXLE_WIRE_ERROR_BAD_VALUE);
  require(r, tensor->rank <= AXLE_WIRE_RANK_MAX, AXLE_WIRE_ERROR_TOO_MANY);
  if (r->error != 0) return;
  for (unsigned i = 0; i < tensor->rank; i++) tensor->dims[i] = take_u64(r);
  require(r, has_bytes(tensor), AXLE_WIRE_ERROR_SIZE_MISMATCH);
  tensor->name = take_text(r, tensor->name.bytes, TEXT_NAME);
  read_tensor_data(r, tensor);
}

static void read_arg(reader *r, axle_wire_arg *arg) {
  clear_bytes(arg, sizeof(*arg));
  arg->value.data = zeros;
  read_fixed_fields(r, axle_wire_record_layout(RECORD_ARG), arg);
  const int is_scalar = arg->type < AXLE_ARG_STRING;
  const uint32_t value_bytes = arg->value.bytes;
  require(r, !is_scalar || value_bytes == 8, AXLE_WIRE_ERROR_BAD_VALUE);
  if (is_scalar) arg->value.bytes = 0;
  arg->name = take_text(r, arg->name.bytes, TEXT_NAME);
  if (arg->type == AXLE_ARG_STRING) {
    arg->value = take_text(r, value_bytes, TEXT_ANY);
  } else if (arg->type == AXLE_ARG_BYTES) {
    arg->value = take_bytes(r, value_bytes);
  } else if (arg->type == AXLE_ARG_FLOAT) {
    arg->f = get_u64(take(r, 8));
  } else if (arg->type == AXLE_ARG_BOOL) {
    arg->i = (int64_t)take_u64(r);
    require(r, arg->i <= 1, AXLE_WIRE_ERROR_BAD_VALUE);
  } else {
    arg->i = take_i64(r);
  }
}

static void read_dim(reader *r, int64_t *dim) {
  *dim = take_i64(r);
  require(r, *dim >= -1, AXLE_WIRE_ERROR_BAD_VALUE);
}

// What the fields of a record show only together.
static void check_record(reader *r, enum axle_record kind, const void *record) {
  if (kind == RECORD_RANGE) {
    const axle_wire_range *range = (const axle_wire_range *)record;
    require(r, !is_too_large(range->offset + range->bytes), AXLE_WIRE_ERROR_NUMBER_TOO_LARGE);
  }
  if (kind == RECORD_STEP) {
    const axle_wire_step *step = (const axle_wire_step *)record;
    require(r, step->first <= step->last, AXLE_WIRE_ERROR_BAD_VALUE);
  }
  if (kind == RECORD_TRACE) {
    const axle_wire_trace *trace = (const axle_wire_trace *)record;
    const int has_ids = !is_zero(trace->trace_id, 16) && !is_zero(trace->parent_id, 8);
    require(r, has_ids, AXLE_WIRE_ERROR_BAD_VALUE);
  }
}

static void read_record(reader *r, enum axle_record kind, void *record) {
  if (kind <= RECORD_OUTPUT) {
    read_tensor(r, (axle_wire_tensor *)record);
  } else if (kind == RECORD_ARG) {
    read_arg(r, (axle_wire_arg *)record);
  } else if (kind == RECORD_DIM) {
    read_dim(r, (int64_t *)record);
  } else {
    read_fields(r, axle_wire_record_layout(kind), record);
    if (r->error == 0) check_record(r, kind, record);
  }
}

// The next record of a list that was walked before.
static int next_record(axle_wire_records *records, enum axle_record kind, void *record) {
  if (records->count == 0) return 0;
  reader r = {records->at, records->end, 0};
  read_record(&r, kind, record);
  if (r.error != 0) return 0;
  records->at = r.at;
  records->count--;
  return 1;
}

int axle_wire_next_tensor(axle_wire_records *records, axle_wire_tensor *tensor) {
  return next_record(records, RECORD_INPUT, tensor);
}
int axle_wire_next_arg(axle_wire_records *records, axle_wire_arg *arg) {
  return next_record(records, RECORD_ARG, arg);
}
int axle_wire_next_name(axle_wire_records *records, axle_wire_bytes *name) {
  return next_record(records, RECORD_NAME, name);
}
int axle_wire_next_range(axle_wire_records *records, axle_wire_range *range) {
  return next_record(records, RECORD_RANGE, range);
}
int axle_wire_next_step(axle_wire_records *records, axle_wire_step *step) {
  return next_record(records, RECORD_STEP, step);
}
int axle_wire_next_fallback(axle_wire_records *records, axle_wire_fallback *fallback) {
  return next_record(records, RECORD_FALLBACK, fallback);
}
int axle_wire_next_dim(axle_wire_records *records, int64_t *dim) {
  return next_record(records, RECORD_DIM, dim);
}

static void check_listed_tensor(reader *r, const axle_wire_tensor *tensor, enum axle_record kind) {
  const int are_outputs = kind == RECORD_OUTPUT;
  const uint8_t not_allowed = are_outputs ? AXLE_SOURCE_HANDLE : AXLE_SOURCE_OMITTED;
  require(r, tensor->source != not_allowed, AXLE_WIRE_ERROR_BAD_VALUE);
  if (kind == RECORD_PUT) {
    const int may_be_put = tensor->slot == 0 && tensor->source != AXLE_SOURCE_HANDLE;
    require(r, may_be_put, AXLE_WIRE_ERROR_BAD_VALUE);
  }
  require(r, are_outputs || tensor->name.bytes == 0, AXLE_WIRE_ERROR_RESERVED_NOT_ZERO);
}

// Walks all records of a list, and notes where they lie.
static void read_list(reader *r, enum axle_record kind, axle_wire_records *list) {
  union {
    axle_wire_tensor tensor;
    axle_wire_arg arg;
    axle_wire_bytes name;
    axle_wire_range range;
    axle_wire_step step;
    axle_wire_fallback fallback;
    int64_t dim;
  } record;
  // Tensors come in the order of their slots, and ranges in that of their offsets.
  uint64_t least = 0;
  list->at = r->at;
  for (uint32_t i = 0; i < list->count && r->error == 0; i++) {
    read_record(r, kind, &record);
    if (r->error != 0) return;
    if (kind <= RECORD_OUTPUT) {
      check_listed_tensor(r, &record.tensor, kind);
      require(r, record.tensor.slot >= least, AXLE_WIRE_ERROR_BAD_ORDER);
      least = record.tensor.slot + 1u;
    }
    if (kind == RECORD_RANGE) {
      require(r, record.range.offset >= least, AXLE_WIRE_ERROR_BAD_ORDER);
      least = record.range.offset + record.range.bytes;
    }
  }
  list->end = r->at;
}

static void read_data(reader *r, const axle_wire_header *header, axle_wire_data *data) {
  data->data.bytes = header->payload_bytes - header->aux;
  data->data.data = take(r, data->data.bytes);
  take_zeros(r, header->aux);
  const int is_something = data->data.bytes != 0 || (header->flags & AXLE_FLAG_DATA_END) != 0;
  require(r, is_something, AXLE_WIRE_ERROR_EMPTY_DATA);
}

static void read_optional(reader *r, uint8_t flags, axle_wire_call *call) {
  if ((flags & AXLE_FLAG_CALL_PLACE) != 0) read_record(r, RECORD_PLACE, &call->place);
  if ((flags & AXLE_FLAG_CALL_TRACE) != 0) read_record(r, RECORD_TRACE, &call->trace);
}

// What follows the fields of a frame.
static void read_rest(reader *r, const axle_layout *l, const axle_wire_header *header,
                      axle_wire_frame *frame) {
  const uint8_t type = header->type;
  if (type == AXLE_FRAME_CALL || type == AXLE_FRAME_STREAM) {
    if (type == AXLE_FRAME_STREAM) frame->body.call.inputs.count = 0;
    read_optional(r, header->flags, &frame->body.call);
  }
  if (type == AXLE_FRAME_PUT) {
    frame->body.put.tensor.count = 1;
    read_list(r, RECORD_PUT, &frame->body.put.tensor);
  }
  if (type == AXLE_FRAME_DATA) read_data(r, header, &frame->body.data);
  for (unsigned i = 0; i < l->count; i++) {
    const axle_field *f = &l->fields[i];
    void *member = (char *)&frame->body + f->offset;
    if (f->kind == KIND_COUNT) {
      read_list(r, (enum axle_record)f->min, (axle_wire_records *)member);
    }
  }
}

// ---- what no field by itself shows -------------------------------------------------------------

static int has_version(const axle_wire_greeting *greeting) {
  return greeting->version >= greeting->version_min && greeting->version <= greeting->version_max;
}

static int is_good_hello(const axle_wire_hello *hello) {
  const axle_wire_greeting *greeting = &hello->greeting;
  const int has_right_to_token =
      hello->credential != AXLE_CREDENTIAL_NONE || hello->token.bytes == 0;
  return has_version(greeting) && has_right_to_token && greeting->payload_max % ALIGNMENT == 0 &&
         greeting->stream_window >= greeting->payload_max &&
         greeting->connection_window >= 4 * greeting->payload_max;
}

static int is_good_goaway(const axle_wire_goaway *goaway) {
  return goaway->version_min <= goaway->version_max &&
         (goaway->version_min != 0 || goaway->version_max == 0);
}

// Of BIND and OP: an op has either a number or a name, and its steps an order.
static int is_good_op(uint32_t op, uint32_t name_bytes, uint32_t first, uint32_t last) {
  return (op == 0) != (name_bytes == 0) && first <= last;
}

static int is_good_bind(const axle_wire_bind *bind, uint8_t flags) {
  const int names_device = (flags & AXLE_FLAG_BIND_STRICT) == 0 || bind->device.bytes != 0;
  return is_good_op(bind->op, bind->op_name.bytes, bind->first, bind->last) && names_device;
}

static int is_good_model(const axle_wire_model *model, uint8_t flags) {
  const int is_sent = (flags & AXLE_FLAG_MODEL_MANIFEST) != 0;
  if ((flags & AXLE_FLAG_MODEL_CONTENT) != 0 && !is_sent) return 0;
  if ((flags & AXLE_FLAG_MODEL_NAMED) == 0) {
    return model->manifest_bytes != 0 && model->entry.bytes != 0 && model->format.bytes != 0;
  }
  return !is_sent && model->manifest_bytes == 0 && model->bytes == 0 && model->format.bytes == 0 &&
         model->entry.bytes == 0 && model->name.bytes != 0 && is_zero(model->content_id, 32);
}

static int is_good(const axle_wire_frame *frame) {
  const uint8_t flags = frame->flags;
  const uint8_t neither = AXLE_FLAG_ERROR_RETRYABLE | AXLE_FLAG_ERROR_OUTCOME_UNKNOWN;
  switch (frame->type) {
    case AXLE_FRAME_HELLO:
      return is_good_hello(&frame->body.hello);
    case AXLE_FRAME_WELCOME:
      return has_version(&frame->body.welcome.greeting);
    case AXLE_FRAME_GOAWAY:
      return is_good_goaway(&frame->body.goaway);
    case AXLE_FRAME_BIND:
      return is_good_bind(&frame->body.bind, flags);
    case AXLE_FRAME_MODEL:
      return is_good_model(&frame->body.model, flags);
    case AXLE_FRAME_LOAD:
      return (flags & AXLE_FLAG_LOAD_STRICT) == 0 || frame->body.load.device.bytes != 0;
    case AXLE_FRAME_ERROR:
      return (flags & neither) != neither;
    case AXLE_FRAME_NEED:
      return ((flags & AXLE_FLAG_NEED_MANIFEST) != 0) == (frame->body.need.ranges.count == 0);
    case AXLE_FRAME_OP:
      return is_good_op(frame->body.op.op, frame->body.op.name.bytes, frame->body.op.first,
                        frame->body.op.last);
    case AXLE_FRAME_TENSOR_SPEC:
      return (flags & AXLE_FLAG_TENSOR_SPEC_ANY_RANK) == 0 ||
             frame->body.tensor_spec.dims.count == 0;
    default:
      return 1;
  }
}

// ---- frames ------------------------------------------------------------------------------------

static int32_t check_header(const axle_wire_header *header, uint32_t from) {
  const axle_layout *l = axle_wire_layout(header->type);
  if (l == NULL) return AXLE_WIRE_ERROR_UNKNOWN_TYPE;
  if ((l->from & from) == 0) return AXLE_WIRE_ERROR_WRONG_STATE;
  if ((header->flags & ~l->flags) != 0) return AXLE_WIRE_ERROR_UNKNOWN_FLAG;
  const int may_pad = header->type == AXLE_FRAME_DATA && header->aux < ALIGNMENT &&
                      header->aux <= header->payload_bytes;
  if (header->aux != 0 && !may_pad) return AXLE_WIRE_ERROR_RESERVED_NOT_ZERO;
  if (is_too_large(header->id)) return AXLE_WIRE_ERROR_NUMBER_TOO_LARGE;
  const int is_wrong_id = header->id == 0 ? l->id_rule == ID_HANDLE : l->id_rule == ID_ZERO;
  return is_wrong_id ? AXLE_WIRE_ERROR_BAD_ID : 0;
}

int32_t axle_wire_read_header(const void *bytes, uint32_t from, uint32_t payload_max,
                              axle_wire_header *header) {
  const uint8_t *at = (const uint8_t *)bytes;
  header->payload_bytes = get_u32(at);
  header->type = at[4];
  header->flags = at[5];
  header->aux = get_u16(at + 6);
  header->id = get_u64(at + 8);
  if (header->payload_bytes > payload_max || header->payload_bytes > AXLE_WIRE_PAYLOAD_BYTES_MAX) {
    return AXLE_WIRE_ERROR_PAYLOAD_TOO_LONG;
  }
  if (header->payload_bytes % ALIGNMENT != 0) return AXLE_WIRE_ERROR_PAYLOAD_UNALIGNED;
  if (!axle_wire_is_ignorable(header)) return check_header(header, from);
  return header->payload_bytes > AXLE_WIRE_IGNORABLE_PAYLOAD_BYTES_MAX
             ? AXLE_WIRE_ERROR_PAYLOAD_TOO_LONG
             : 0;
}

int32_t axle_wire_decode(const axle_wire_header *header, const void *payload,
                         axle_wire_frame *frame) {
  const axle_layout *l = axle_wire_layout(header->type);
  if (l == NULL) return AXLE_WIRE_ERROR_UNKNOWN_TYPE;
  const uint8_t *start = (const uint8_t *)payload;
  // An empty payload may lie nowhere.
  if (header->payload_bytes == 0) start = zeros;
  reader r = {start, start + header->payload_bytes, 0};
  frame->id = header->id;
  frame->type = header->type;
  frame->flags = header->flags;
  read_fields(&r, l, &frame->body);
  if (r.error == 0) read_rest(&r, l, header, frame);
  if (r.error == 0) require(&r, r.at == r.end, AXLE_WIRE_ERROR_PAYLOAD_OVERLONG);
  if (r.error == 0) require(&r, is_good(frame), AXLE_WIRE_ERROR_BAD_VALUE);
  return r.error;
}
