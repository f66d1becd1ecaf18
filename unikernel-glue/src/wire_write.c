// SPDX-License-Identifier: Apache-2.0
#include "axle/wire.h"
#include "memory.h"
#include "wire_bytes.h"
#include "wire_layout.h"

#define HEADER_BYTES AXLE_WIRE_HEADER_BYTES

void axle_wire_writer_init(axle_wire_writer *w, void *memory, size_t capacity) {
  w->data = (uint8_t *)memory;
  w->capacity = capacity;
  w->bytes = 0;
  w->at = 0;
  w->error = 0;
}

static void refuse(axle_wire_writer *w, int32_t error) {
  if (w->error == 0) w->error = error;
}

// Room for `bytes`, or NULL.
static uint8_t *room(axle_wire_writer *w, size_t bytes) {
  if (w->error != 0) return NULL;
  if (bytes > AXLE_WIRE_PAYLOAD_BYTES_MAX) {
    refuse(w, AXLE_WIRE_ERROR_PAYLOAD_TOO_LONG);
    return NULL;
  }
  if (bytes > w->capacity - w->at) {
    refuse(w, AXLE_WIRE_FULL);
    return NULL;
  }
  uint8_t *at = w->data + w->at;
  w->at += bytes;
  return at;
}

// Of 1, 2, 4 or 8 bytes.
static void put_uint(axle_wire_writer *w, unsigned bytes, uint64_t value) {
  uint8_t *at = room(w, bytes);
  if (at == NULL) return;
  if (bytes == 1) *at = (uint8_t)value;
  if (bytes == 2) set_u16(at, (uint16_t)value);
  if (bytes == 4) set_u32(at, (uint32_t)value);
  if (bytes == 8) set_u64(at, value);
}

static void put_bytes(axle_wire_writer *w, const uint8_t *data, size_t bytes) {
  uint8_t *at = room(w, bytes);
  if (at == NULL) return;
  if (data != NULL) copy_bytes(at, data, bytes);
}

static void put_zeros(axle_wire_writer *w, size_t bytes) {
  uint8_t *at = room(w, bytes);
  if (at != NULL) clear_bytes(at, bytes);
}

static void put_padded(axle_wire_writer *w, const uint8_t *data, size_t bytes) {
  if (bytes > 0 && data == NULL) refuse(w, AXLE_WIRE_ERROR_BAD_VALUE);
  put_bytes(w, data, bytes);
  put_zeros(w, padding_of((uint32_t)bytes));
}

// A length that its field can hold; whether it is within the limit shows at the end.
static void put_length(axle_wire_writer *w, unsigned field_bytes, uint64_t bytes) {
  if (bytes >> (8 * field_bytes) != 0) refuse(w, AXLE_WIRE_ERROR_TOO_LONG);
  put_uint(w, field_bytes, bytes);
}

static uint64_t load_uint(const void *member, unsigned bytes) {
  if (bytes == 1) return *(const uint8_t *)member;
  if (bytes == 2) return *(const uint16_t *)member;
  if (bytes == 4) return *(const uint32_t *)member;
  return *(const uint64_t *)member;
}

static void write_fixed(axle_wire_writer *w, const axle_field *f, const void *member) {
  switch ((enum axle_field_kind)f->kind) {
    case KIND_UINT:
    case KIND_INT8:
    case KIND_DEVICE:
      put_uint(w, f->bytes, load_uint(member, f->bytes));
      break;
    case KIND_ZERO:
      put_zeros(w, f->bytes);
      break;
    case KIND_MAGIC:
      put_bytes(w, (const uint8_t *)AXLE_WIRE_MAGIC, 8);
      break;
    case KIND_RAW:
      if (*(const uint8_t *const *)member == NULL) refuse(w, AXLE_WIRE_ERROR_BAD_VALUE);
      put_bytes(w, *(const uint8_t *const *)member, f->bytes);
      break;
    case KIND_NAME:
    case KIND_LINES:
    case KIND_BLOB:
      put_length(w, f->bytes, ((const axle_wire_bytes *)member)->bytes);
      break;
    case KIND_COUNT:
      if (((const axle_wire_records *)member)->count > f->max) {
        refuse(w, AXLE_WIRE_ERROR_TOO_MANY);
      }
      put_uint(w, f->bytes, ((const axle_wire_records *)member)->count);
      break;
  }
}

static void write_fixed_fields(axle_wire_writer *w, const axle_layout *l, const void *body) {
  for (unsigned i = 0; i < l->count; i++) {
    write_fixed(w, &l->fields[i], (const char *)body + l->fields[i].offset);
  }
}

static void write_fields(axle_wire_writer *w, const axle_layout *l, const void *body) {
  write_fixed_fields(w, l, body);
  for (unsigned i = 0; i < l->count; i++) {
    if (!axle_field_is_variable(&l->fields[i])) continue;
    const void *member = (const char *)body + l->fields[i].offset;
    const axle_wire_bytes *text = (const axle_wire_bytes *)member;
    put_padded(w, text->data, text->bytes);
  }
}

static void write_record(axle_wire_writer *w, enum axle_record kind, const void *record) {
  write_fields(w, axle_wire_record_layout(kind), record);
}

static void write_optional(axle_wire_writer *w, uint8_t flags, const axle_wire_call *call) {
  if ((flags & AXLE_FLAG_CALL_PLACE) != 0) write_record(w, RECORD_PLACE, &call->place);
  if ((flags & AXLE_FLAG_CALL_TRACE) != 0) write_record(w, RECORD_TRACE, &call->trace);
}

void axle_wire_put_header(void *bytes, const axle_wire_header *header) {
  uint8_t *at = (uint8_t *)bytes;
  set_u32(at, header->payload_bytes);
  at[4] = header->type;
  at[5] = header->flags;
  set_u16(at + 6, header->aux);
  set_u64(at + 8, header->id);
}

void axle_wire_begin(axle_wire_writer *w, const axle_wire_frame *frame) {
  const axle_layout *l = axle_wire_layout(frame->type);
  axle_wire_header header = {frame->id, 0, 0, frame->type, frame->flags};
  w->at = w->bytes;
  w->error = 0;
  if (l == NULL) {
    refuse(w, AXLE_WIRE_ERROR_UNKNOWN_TYPE);
    return;
  }
  if (frame->type == AXLE_FRAME_DATA) {
    header.aux = (uint16_t)padding_of(frame->body.data.data.bytes);
  }
  uint8_t *at = room(w, HEADER_BYTES);
  if (at == NULL) return;
  axle_wire_put_header(at, &header);
  write_fields(w, l, &frame->body);
  if (frame->type == AXLE_FRAME_CALL || frame->type == AXLE_FRAME_STREAM) {
    write_optional(w, frame->flags, &frame->body.call);
  }
  if (frame->type == AXLE_FRAME_DATA) {
    put_padded(w, frame->body.data.data.data, frame->body.data.data.bytes);
  }
}

void axle_wire_put_tensor(axle_wire_writer *w, const axle_wire_tensor *tensor) {
  if (tensor->rank > AXLE_WIRE_RANK_MAX) {
    refuse(w, AXLE_WIRE_ERROR_TOO_MANY);
    return;
  }
  if (tensor->bytes > AXLE_WIRE_PAYLOAD_BYTES_MAX && tensor->source == AXLE_SOURCE_INLINE) {
    refuse(w, AXLE_WIRE_ERROR_PAYLOAD_TOO_LONG);
    return;
  }
  write_fixed_fields(w, axle_wire_record_layout(RECORD_INPUT), tensor);
  for (unsigned i = 0; i < tensor->rank; i++) put_uint(w, 8, tensor->dims[i]);
  put_padded(w, tensor->name.data, tensor->name.bytes);
  if (tensor->source == AXLE_SOURCE_INLINE) put_padded(w, tensor->data, (size_t)tensor->bytes);
  if (tensor->source == AXLE_SOURCE_HANDLE) put_uint(w, 8, tensor->handle);
  if (tensor->source == AXLE_SOURCE_SHARED) {
    put_uint(w, 8, tensor->arena);
    put_uint(w, 8, tensor->offset);
  }
}

void axle_wire_put_arg(axle_wire_writer *w, const axle_wire_arg *arg) {
  const int is_scalar = arg->type < AXLE_ARG_STRING;
  put_uint(w, 2, arg->type);
  put_length(w, 2, arg->name.bytes);
  put_uint(w, 4, is_scalar ? 8 : arg->value.bytes);
  put_padded(w, arg->name.data, arg->name.bytes);
  if (!is_scalar) {
    put_padded(w, arg->value.data, arg->value.bytes);
  } else {
    put_uint(w, 8, arg->type == AXLE_ARG_FLOAT ? arg->f : (uint64_t)arg->i);
  }
}

void axle_wire_put_name(axle_wire_writer *w, const axle_wire_bytes *name) {
  write_record(w, RECORD_NAME, name);
}

void axle_wire_put_range(axle_wire_writer *w, const axle_wire_range *range) {
  write_record(w, RECORD_RANGE, range);
}

void axle_wire_put_step(axle_wire_writer *w, const axle_wire_step *step) {
  write_record(w, RECORD_STEP, step);
}

void axle_wire_put_fallback(axle_wire_writer *w, const axle_wire_fallback *fallback) {
  write_record(w, RECORD_FALLBACK, fallback);
}

void axle_wire_put_dim(axle_wire_writer *w, int64_t dim) { put_uint(w, 8, (uint64_t)dim); }

// Reads what was written: one set of checks serves both directions.
static int32_t check_written(const axle_wire_writer *w) {
  axle_wire_header header;
  axle_wire_frame frame;
  const uint8_t *at = w->data + w->bytes;
  const uint32_t from = AXLE_WIRE_CLIENT | AXLE_WIRE_SERVER;
  const int32_t error = axle_wire_read_header(at, from, AXLE_WIRE_PAYLOAD_BYTES_MAX, &header);
  return error != 0 ? error : axle_wire_decode(&header, at + HEADER_BYTES, &frame);
}

int32_t axle_wire_end(axle_wire_writer *w) {
  if (w->error == 0) {
    const size_t payload_bytes = w->at - w->bytes - HEADER_BYTES;
    if (payload_bytes > AXLE_WIRE_PAYLOAD_BYTES_MAX) {
      refuse(w, AXLE_WIRE_ERROR_PAYLOAD_TOO_LONG);
    } else {
      set_u32(w->data + w->bytes, (uint32_t)payload_bytes);
      refuse(w, check_written(w));
    }
  }
  if (w->error == 0) w->bytes = w->at;
  w->at = w->bytes;
  return w->error;
}

int32_t axle_wire_write(axle_wire_writer *w, const axle_wire_frame *frame) {
  axle_wire_begin(w, frame);
  return axle_wire_end(w);
}
