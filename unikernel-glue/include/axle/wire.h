/* SPDX-License-Identifier: Apache-2.0
 *
 * axle/wire.h - frames of the Axle wire protocol: bytes to structs and back. proto/PROTOCOL.md says
 * what the fields mean; they have the same names here.
 *
 * C11, freestanding: no libc, no allocation, no recursion, any byte order, 32 and 64 bits. All memory
 * is the caller's. Nothing is kept between calls but in the structs that the caller hands in.
 *
 * Reading
 *   16 bytes -> axle_wire_read_header; then so many bytes as it says -> axle_wire_decode. What is
 *   decoded are views of the payload, which must stay as it is for as long as they are used. Bytes
 *   that someone else can change (shared memory) are copied before they are decoded.
 *
 * Writing
 *   axle_wire_begin, then the records of the frame (axle_wire_put_...), then axle_wire_end; or
 *   axle_wire_write for a frame without records. Frames gather in the writer's memory until the
 *   caller has sent them and calls axle_wire_writer_init again.
 *
 * Results are 0, an AXLE_WIRE_ERROR_*, or AXLE_WIRE_FULL.
 */
#ifndef AXLE_WIRE_H
#define AXLE_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "wire_constants.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The memory of a writer has no room for the frame. */
#define AXLE_WIRE_FULL (-1)

#define AXLE_WIRE_HEADER_BYTES 16u

/* Sides, for axle_wire_read_header. */
#define AXLE_WIRE_CLIENT 1u
#define AXLE_WIRE_SERVER 2u

typedef struct axle_wire_header {
  uint64_t id;
  uint32_t payload_bytes;
  uint16_t aux;
  uint8_t type;
  uint8_t flags;
} axle_wire_header;

/* Text (UTF-8, not terminated) or any bytes. */
typedef struct axle_wire_bytes {
  const uint8_t *data;
  uint32_t bytes;
} axle_wire_bytes;

/* Records of a decoded frame, to be walked with axle_wire_next_...; an encoder looks at count alone. */
typedef struct axle_wire_records {
  const uint8_t *at;
  const uint8_t *end;
  uint32_t count;
} axle_wire_records;

typedef struct axle_wire_greeting {
  uint64_t features;
  const uint8_t *nonce; /* 16 bytes; of WELCOME the instance */
  uint32_t payload_max;
  uint32_t stream_window;
  uint32_t connection_window;
  uint16_t version;
  uint16_t version_min;
  uint16_t version_max;
  axle_wire_bytes tenant;
  axle_wire_bytes agent;
} axle_wire_greeting;

typedef struct axle_wire_hello {
  axle_wire_greeting greeting;
  axle_wire_bytes token;
  uint8_t credential;
} axle_wire_hello;

typedef struct axle_wire_welcome {
  axle_wire_greeting greeting;
  uint64_t request_bytes_max;
  uint64_t model_bytes_max;
  uint64_t last_handle;
  uint32_t calls_max;
  uint32_t handles_max;
  uint32_t idle_ms;
  uint32_t resume_ms;
} axle_wire_welcome;

typedef struct axle_wire_goaway {
  uint64_t last;
  uint32_t grace_ms;
  uint16_t code;
  uint16_t wire_error;
  uint16_t version_min;
  uint16_t version_max;
  axle_wire_bytes alternate;
  axle_wire_bytes message;
} axle_wire_goaway;

typedef struct axle_wire_credit {
  uint64_t bytes;
} axle_wire_credit;

typedef struct axle_wire_health {
  uint32_t wait_us;
  uint16_t device;
  uint8_t state;
  axle_wire_bytes message;
} axle_wire_health;

typedef struct axle_wire_bind {
  uint64_t model;
  uint64_t output_bytes_max;
  uint32_t op;
  uint32_t op_version;
  uint16_t first;
  uint16_t last;
  axle_wire_bytes op_name;
  axle_wire_bytes device;
  axle_wire_records args;
  axle_wire_records input_names;
} axle_wire_bind;

typedef struct axle_wire_arg {
  uint8_t type; /* AXLE_ARG_* */
  axle_wire_bytes name;
  int64_t i;             /* AXLE_ARG_INT; AXLE_ARG_BOOL as 0 or 1 */
  uint64_t f;            /* AXLE_ARG_FLOAT: the bits of the double, for machines without them */
  axle_wire_bytes value; /* AXLE_ARG_STRING, AXLE_ARG_BYTES */
} axle_wire_arg;

typedef struct axle_wire_place {
  uint64_t offset;
  uint64_t bytes;
  uint32_t arena;
} axle_wire_place;

typedef struct axle_wire_trace {
  const uint8_t *trace_id;  /* 16 bytes */
  const uint8_t *parent_id; /* 8 bytes */
  uint8_t trace_flags;
} axle_wire_trace;

/* A tensor on the wire. Which of the later fields count is said by `source`. */
typedef struct axle_wire_tensor {
  uint16_t slot;
  uint16_t output; /* AXLE_SOURCE_HANDLE */
  uint8_t dtype;
  uint8_t rank;
  uint8_t source; /* AXLE_SOURCE_* */
  axle_wire_bytes name;
  uint64_t bytes;
  const uint8_t *data; /* AXLE_SOURCE_INLINE */
  uint64_t handle;     /* AXLE_SOURCE_HANDLE */
  uint64_t offset;     /* AXLE_SOURCE_SHARED */
  uint32_t arena;      /* AXLE_SOURCE_SHARED */
  uint64_t dims[AXLE_WIRE_RANK_MAX];
} axle_wire_tensor;

/* CALL; a STREAM has no inputs, keeps none and has no place. */
typedef struct axle_wire_call {
  uint64_t binding;
  uint32_t deadline_us;
  int8_t priority;
  axle_wire_place place; /* with AXLE_FLAG_CALL_PLACE */
  axle_wire_trace trace; /* with AXLE_FLAG_CALL_TRACE or AXLE_FLAG_STREAM_TRACE */
  axle_wire_records inputs;
} axle_wire_call;

typedef struct axle_wire_put {
  axle_wire_records tensor; /* count is 1 */
} axle_wire_put;

typedef struct axle_wire_model {
  const uint8_t *content_id; /* 32 bytes */
  uint64_t bytes;
  uint32_t manifest_bytes;
  axle_wire_bytes name;
  axle_wire_bytes format;
  axle_wire_bytes entry;
} axle_wire_model;

typedef struct axle_wire_load {
  uint64_t model;
  uint32_t deadline_us;
  int8_t priority;
  axle_wire_bytes device;
} axle_wire_load;

/* PUBLISH; REMOVE has no model. */
typedef struct axle_wire_publish {
  uint64_t model;
  axle_wire_bytes name;
  axle_wire_bytes version;
} axle_wire_publish;

typedef struct axle_wire_read {
  uint64_t model;
  axle_wire_bytes file;
} axle_wire_read;

typedef struct axle_wire_step {
  uint32_t queue_us;
  uint32_t transfer_us;
  uint32_t compute_us;
  uint16_t batch_size;
  uint16_t device;
  uint8_t first;
  uint8_t last;
} axle_wire_step;

typedef struct axle_wire_fallback {
  uint16_t code;
  uint16_t device;
  axle_wire_bytes message;
} axle_wire_fallback;

typedef struct axle_wire_result {
  uint32_t queue_us;
  uint32_t transfer_us;
  uint32_t compute_us;
  uint32_t total_us;
  uint16_t batch_size;
  uint16_t device;
  axle_wire_records outputs;
  axle_wire_records steps;
  axle_wire_records fallbacks;
} axle_wire_result;

typedef struct axle_wire_failure {
  uint64_t cause;
  uint32_t retry_after_us;
  uint16_t code;
  uint16_t device;
  axle_wire_bytes message;
  axle_wire_bytes detail;
} axle_wire_failure;

typedef struct axle_wire_bound {
  uint32_t score;
  uint32_t op_flags;
  uint16_t device;
} axle_wire_bound;

typedef struct axle_wire_loaded {
  uint64_t memory_bytes;
  uint16_t device;
  uint16_t input_count;
  uint16_t output_count;
} axle_wire_loaded;

typedef struct axle_wire_range {
  uint64_t offset;
  uint64_t bytes;
} axle_wire_range;

typedef struct axle_wire_need {
  axle_wire_records ranges;
} axle_wire_need;

typedef struct axle_wire_device {
  uint64_t memory_bytes;
  uint32_t device_flags;
  uint32_t parallel;
  uint32_t wait_us;
  uint16_t index;
  uint8_t kind;
  uint8_t health;
  axle_wire_bytes device;
  axle_wire_bytes name;
  axle_wire_bytes backend;
  axle_wire_bytes backend_version;
  axle_wire_bytes message;
} axle_wire_device;

typedef struct axle_wire_op {
  const uint8_t *devices; /* 32 bytes, a bit for each device */
  uint32_t op;
  uint32_t op_version;
  uint32_t op_flags;
  uint32_t batch_max;
  uint16_t first;
  uint16_t last;
  uint16_t arg_count;
  uint16_t input_count;
  uint16_t output_count;
  axle_wire_bytes name;
  axle_wire_bytes doc;
} axle_wire_op;

typedef struct axle_wire_arg_spec {
  uint16_t index;
  uint8_t arg_type;
  uint8_t required;
  axle_wire_bytes name;
  axle_wire_bytes doc;
} axle_wire_arg_spec;

typedef struct axle_wire_tensor_spec {
  uint16_t index;
  uint8_t role;
  uint8_t dtype;
  axle_wire_bytes name;
  axle_wire_records dims;
} axle_wire_tensor_spec;

typedef struct axle_wire_model_entry {
  const uint8_t *content_id; /* 32 bytes */
  uint64_t bytes;
  uint32_t batch_max;
  uint32_t labels;
  uint16_t input_count;
  uint16_t output_count;
  axle_wire_bytes name;
  axle_wire_bytes version;
  axle_wire_bytes format;
  axle_wire_bytes problem;
} axle_wire_model_entry;

typedef struct axle_wire_data {
  axle_wire_bytes data;
} axle_wire_data;

/* ARENA; ATTACHED has no ticket, ARENA_READY a number only, ATTACH a ticket only. */
typedef struct axle_wire_arena {
  uint64_t bytes;
  const uint8_t *ticket; /* 16 bytes */
  uint32_t arena;
} axle_wire_arena;

typedef struct axle_wire_used {
  uint16_t device;
  uint32_t used_us;
} axle_wire_used;

typedef struct axle_wire_frame {
  uint64_t id;
  uint8_t type; /* AXLE_FRAME_*: which member of `body` counts; some types have none */
  uint8_t flags;
  union {
    axle_wire_hello hello;
    axle_wire_welcome welcome;
    axle_wire_goaway goaway;
    axle_wire_credit credit;
    axle_wire_health health;
    axle_wire_bind bind;
    axle_wire_call call; /* CALL, STREAM */
    axle_wire_put put;
    axle_wire_model model;
    axle_wire_load load;
    axle_wire_publish publish; /* PUBLISH, REMOVE */
    axle_wire_read read;
    axle_wire_result result;
    axle_wire_failure error;
    axle_wire_bound bound;
    axle_wire_loaded loaded;
    axle_wire_need need;
    axle_wire_device device;
    axle_wire_op op;
    axle_wire_arg_spec arg_spec;
    axle_wire_tensor_spec tensor_spec;
    axle_wire_model_entry model_entry;
    axle_wire_data data;
    axle_wire_arena arena; /* ARENA, ARENA_READY, ATTACH, ATTACHED */
    axle_wire_used used;
  } body;
} axle_wire_frame;

/* ---- reading --------------------------------------------------------------------------------- */

/* Checks the AXLE_WIRE_HEADER_BYTES bytes of a header that `from` sent to someone who takes
 * payload_max bytes. A frame for which axle_wire_is_ignorable says 1 is to be passed over. */
int32_t axle_wire_read_header(const void *bytes, uint32_t from, uint32_t payload_max,
                              axle_wire_header *header);

static inline int axle_wire_is_ignorable(const axle_wire_header *header) {
  return header->type >= AXLE_WIRE_IGNORABLE_TYPE_FIRST;
}

/* `header` comes from axle_wire_read_header; `payload` has its payload_bytes. Every record is checked
 * too. `frame` is undefined after an error. */
int32_t axle_wire_decode(const axle_wire_header *header, const void *payload,
                         axle_wire_frame *frame);

/* The next record of a decoded frame; 0 when there is none. */
int axle_wire_next_tensor(axle_wire_records *records, axle_wire_tensor *tensor);
int axle_wire_next_arg(axle_wire_records *records, axle_wire_arg *arg);
int axle_wire_next_name(axle_wire_records *records, axle_wire_bytes *name);
int axle_wire_next_range(axle_wire_records *records, axle_wire_range *range);
int axle_wire_next_step(axle_wire_records *records, axle_wire_step *step);
int axle_wire_next_fallback(axle_wire_records *records, axle_wire_fallback *fallback);
int axle_wire_next_dim(axle_wire_records *records, int64_t *dim);

/* ---- writing --------------------------------------------------------------------------------- */

typedef struct axle_wire_writer {
  uint8_t *data;
  size_t capacity;
  size_t bytes; /* of complete frames: what is to be sent */
  size_t at;    /* of the frame that is being written */
  int32_t error;
} axle_wire_writer;

void axle_wire_writer_init(axle_wire_writer *writer, void *memory, size_t capacity);

/* Begins a frame with all but its records, of which it has the counts that `frame` says, in the order
 * of PROTOCOL.md. What is wrong shows in axle_wire_end. */
void axle_wire_begin(axle_wire_writer *writer, const axle_wire_frame *frame);
void axle_wire_put_tensor(axle_wire_writer *writer, const axle_wire_tensor *tensor);
void axle_wire_put_arg(axle_wire_writer *writer, const axle_wire_arg *arg);
void axle_wire_put_name(axle_wire_writer *writer, const axle_wire_bytes *name);
void axle_wire_put_range(axle_wire_writer *writer, const axle_wire_range *range);
void axle_wire_put_step(axle_wire_writer *writer, const axle_wire_step *step);
void axle_wire_put_fallback(axle_wire_writer *writer, const axle_wire_fallback *fallback);
void axle_wire_put_dim(axle_wire_writer *writer, int64_t dim);
/* Ends the frame. What the other side would refuse is refused here, with the same error, and then
 * nothing of the frame is left. */
int32_t axle_wire_end(axle_wire_writer *writer);

/* A frame without records. */
int32_t axle_wire_write(axle_wire_writer *writer, const axle_wire_frame *frame);

/* A header alone, 16 bytes: for data that is sent from where it lies. `payload_bytes` and `aux` count
 * the padding, which is the caller's to send. */
void axle_wire_put_header(void *bytes, const axle_wire_header *header);

#ifdef __cplusplus
}
#endif

#endif /* AXLE_WIRE_H */
