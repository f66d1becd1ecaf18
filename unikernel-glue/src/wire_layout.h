// SPDX-License-Identifier: Apache-2.0
//
// Of which fields the frames consist: the tables that reading and writing go by.
#ifndef AXLE_WIRE_LAYOUT_H
#define AXLE_WIRE_LAYOUT_H

#include "axle/wire.h"

// How a field of a payload's fixed part is read, checked and written.
enum axle_field_kind {
  KIND_UINT,    // `bytes` long, from `min` to `max`
  KIND_INT8,    // a priority
  KIND_DEVICE,  // the index of a device, or that of none
  KIND_ZERO,    // `bytes` reserved
  KIND_MAGIC,
  KIND_RAW,  // `bytes` long, kept as a pointer
  KIND_NAME,
  KIND_LINES,
  KIND_BLOB,   // a length of `bytes`, from `min` to `max`: text, text for people, any bytes
  KIND_COUNT,  // `bytes` long, at most `max`: how many records of kind `min` follow
};

// What comes in lists, and the parts that a flag says are there.
enum axle_record {
  RECORD_PUT,     // a tensor that is the only one
  RECORD_INPUT,   // a tensor
  RECORD_OUTPUT,  // a tensor: of all three only the fixed part goes by a table
  RECORD_ARG,     // the same
  RECORD_NAME,
  RECORD_RANGE,
  RECORD_STEP,
  RECORD_FALLBACK,
  RECORD_DIM,  // by no table
  RECORD_PLACE,
  RECORD_TRACE,
};

// Stands for 2^53 - 1 where a field has 8 bytes.
#define ANY UINT32_MAX

typedef struct axle_field {
  uint8_t kind;
  uint8_t bytes;
  uint16_t offset;  // of the member in the frame's struct
  uint32_t min;
  uint32_t max;
} axle_field;

enum axle_id_rule { ID_ZERO, ID_ANY, ID_HANDLE };

typedef struct axle_layout {
  const axle_field *fields;
  uint8_t count;
  uint8_t type;
  uint8_t from;
  uint8_t id_rule;
  uint8_t flags;
} axle_layout;

// Whether its bytes follow the fixed part.
static inline int axle_field_is_variable(const axle_field *f) {
  return f->kind == KIND_NAME || f->kind == KIND_LINES || f->kind == KIND_BLOB;
}

// NULL for a type that is not known.
const axle_layout *axle_wire_layout(uint8_t type);

// Of a record that has a table.
const axle_layout *axle_wire_record_layout(enum axle_record kind);

#endif  // AXLE_WIRE_LAYOUT_H
