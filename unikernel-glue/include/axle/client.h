/* SPDX-License-Identifier: Apache-2.0
 *
 * axle/client.h - an Axle client for programs without an operating system, a C library or a heap.
 * docs/guests.md has an example; proto/PROTOCOL.md says what the frames mean.
 *
 * C11, freestanding, no recursion, any byte order, 32 and 64 bits. All memory is the caller's: the
 * client, two buffers, and one axle_request for each thing that is under way.
 *
 *   axle_client_init       greets; nothing is waited for
 *   axle_client_bind ...   start a request; it leaves with the next poll, without waiting for those before
 *   axle_client_poll       moves bytes both ways without blocking
 *   axle_client_wait       the same until a request is done
 *
 * A request may name the handle of one that is not answered yet: model, binding and call leave together,
 * and the first result takes one round trip. Each request ends exactly once: `state` is then
 * AXLE_REQUEST_DONE, `status` an AXLE_STATUS_*, and its memory the caller's again; that of a DESCRIBE with
 * WATCH once it is released.
 *
 * Functions return 0, AXLE_CLIENT_AGAIN (no room or credit now: poll and try again), or an AXLE_STATUS_*
 * that is not OK. After an error nothing was started.
 *
 * A client belongs to one thread at a time. Callbacks run in poll and wait; they may start, cancel and
 * release, and must not poll, wait or close (AXLE_STATUS_FAILED_PRECONDITION).
 *
 * Elements of tensors are little-endian on every machine: axle_load and axle_store.
 *
 * A connection that is lost stays lost, and every request on it ends. The client keeps no journal: where
 * that is wanted, the server is a relay on the same host.
 */
#ifndef AXLE_CLIENT_H
#define AXLE_CLIENT_H

#include "wire.h"

#ifdef __cplusplus
extern "C" {
#endif

#define AXLE_CLIENT_AGAIN (-1)

/* The receive buffer holds the longest frame that is no DATA: HELLO names its payload. */
#define AXLE_CLIENT_RECEIVE_BYTES_MIN (AXLE_WIRE_HEADER_BYTES + AXLE_WIRE_PAYLOAD_BYTES_MIN)
/* The send buffer holds frames; HELLO with its token must fit. */
#define AXLE_CLIENT_SEND_BYTES_MIN 512u
/* Input tensors up to this many bytes go in the frame of their call, and are copied. */
#define AXLE_CLIENT_INLINE_BYTES_MAX 4096u
/* What is shared starts at a multiple of it. */
#define AXLE_CLIENT_SHARED_ALIGNMENT 64u
/* Of memory that is not shared. */
#define AXLE_NO_ADDRESS UINT64_MAX
/* Of what went wrong; cut where it is longer. */
#define AXLE_CLIENT_MESSAGE_BYTES 160u
/* A server that is silent for so long is asked for a sign of life (PING). */
#define AXLE_CLIENT_QUIET_US 15000000u
/* How long axle_client_close tries to say that it leaves. */
#define AXLE_CLIENT_LEAVE_US 1000000u
/* Bytes that may be on their way to the client, unless the options say otherwise. */
#define AXLE_CLIENT_STREAM_WINDOW 524288u
#define AXLE_CLIENT_CONNECTION_WINDOW 4194304u

/* ---- the transport --------------------------------------------------------------------------- */

#define AXLE_WAIT_RECEIVE 1u
#define AXLE_WAIT_SEND 2u
#define AXLE_TRANSPORT_CLOSED (-1)
/* For axle_client_wait and the transport's wait: no end. */
#define AXLE_FOREVER UINT64_MAX

/* An ordered and reliable stream of bytes, and a clock. Nothing but `wait` blocks. */
typedef struct axle_transport {
  void *context;
  /* Takes some of the bytes, 1 at least. Returns how many; 0: none now; AXLE_TRANSPORT_CLOSED. */
  int32_t (*send)(void *context, const void *data, uint32_t bytes);
  /* The same of what has come. 0: nothing now. */
  int32_t (*receive)(void *context, void *data, uint32_t capacity);
  /* Returns when something came (AXLE_WAIT_RECEIVE), when there may be room to send (AXLE_WAIT_SEND), or
   * when the clock shows `until_us`. It may return for no reason. */
  void (*wait)(void *context, uint32_t events, uint64_t until_us);
  /* Microseconds that only grow, from any start. */
  uint64_t (*now_us)(void *context);
  void (*close)(void *context);
} axle_transport;

/* ---- requests -------------------------------------------------------------------------------- */

#define AXLE_REQUEST_IDLE 0u
#define AXLE_REQUEST_PENDING 1u
#define AXLE_REQUEST_DONE 2u

typedef struct axle_client axle_client;
typedef struct axle_request axle_request;

/* A tensor to be sent, as its caller has it. */
typedef struct axle_input {
  const void *data;     /* NULL, and `bytes` not 0: the request's `source` has it */
  uint64_t bytes;       /* of the data */
  const uint64_t *dims; /* `rank` of them. NULL: rank 1, a dim of `bytes`, for types of one byte */
  uint64_t handle; /* not 0: instead of data, output `output` of a CALL with KEEP or of a PUT */
  uint16_t output;
  uint8_t dtype; /* AXLE_DTYPE_*; 0: UINT8 */
  uint8_t rank;
  uint8_t source; /* the client's: AXLE_SOURCE_* */
} axle_input;

/* An output, by its slot. */
typedef struct axle_output {
  void *data;        /* the caller's; NULL: the request's `sink` gets it */
  uint64_t capacity; /* of `data`, bytes */
  /* Set from the RESULT: */
  uint64_t bytes;
  uint64_t dims[AXLE_WIRE_RANK_MAX];
  uint8_t dtype; /* 0: the server sent none */
  uint8_t rank;
  uint8_t source; /* AXLE_SOURCE_* */
  uint64_t taken; /* bytes of it that came */
} axle_output;

/* Something that the server is asked for: one handle. All zeros but what the caller sets; the client has
 * it from start to done, also the arrays that it points to. */
struct axle_request {
  /* The caller's. Each may be NULL. */
  void *user;
  axle_output *outputs; /* of a CALL or READ; a STREAM writes to the first, or to `sink` */
  uint32_t output_count;
  /* The next bytes of input (or part of a model) `part` at `offset`. `*bytes` is how many are of use, and
   * becomes how many lie there, until the next call of `source` or the end of the request; 0: none yet.
   * NULL: of a STREAM, that was all; of others, there is none, and the request is cancelled. */
  const void *(*source)(axle_request *request, uint32_t part, uint64_t offset, size_t *bytes);
  /* Bytes of output `slot` that has no memory, in order. They count as used when it returns, unless
   * `holds_credit`: then axle_client_used says so, and the server stops after a stream window without. */
  void (*sink)(axle_request *request, uint32_t slot, const void *data, size_t bytes);
  uint8_t holds_credit;
  /* Every frame of the request's handle but DATA; what it points to is good until it returns. For names
   * of outputs, steps, and the answers of DESCRIBE, LIST, LOAD. */
  void (*on_frame)(axle_request *request, const axle_wire_frame *frame);
  void (*on_done)(axle_request *request);
  /* Of a MODEL whose files are longer than AXLE_WIRE_INLINE_MODEL_BYTES_MAX: for what the server lacks. */
  axle_wire_range *ranges;
  uint32_t range_capacity;

  /* To be read. What is used most comes first: it is reached by shorter instructions. */
  uint64_t handle;
  uint8_t state;           /* AXLE_REQUEST_* */
  uint8_t retryable;       /* the same may succeed later */
  uint8_t outcome_unknown; /* it may have run */

  /* The client's. */
  uint8_t kind; /* of frame */
  uint8_t call_flags;
  uint8_t is_sending, has_place;
  uint8_t is_cancelled;  /* CANCEL is to be written */
  uint8_t was_cancelled; /* it was */
  uint8_t has_result;
  uint8_t has_ended;      /* but a frame with its memory is being written */
  uint16_t local_failure; /* AXLE_STATUS_* that goes before the server's answer */
  axle_request *next;
  axle_input *inputs;
  uint32_t input_count;
  uint32_t part;        /* of what is sent */
  uint64_t part_at;     /* offset in it */
  uint64_t part_left;   /* bytes of it that are to be sent */
  uint32_t send_window; /* stream credit */
  uint32_t output_at;
  uint64_t drop_left;  /* of outputs that nobody takes */
  uint64_t waits_us;   /* since when it waits for credit; 0: it does not */
  uint32_t used_bytes; /* received, for which no credit was given back */
  uint32_t range_count, range_at;
  const axle_request *binding;
  uint64_t place; /* address of the output's memory, which the server writes to */

  /* To be read. */
  uint16_t status; /* AXLE_STATUS_*, once it is done */
  uint16_t device; /* that did the main work, in the order of DESCRIBE */
  uint16_t batch_size;
  uint16_t result_outputs;                              /* that the RESULT had */
  uint32_t queue_us, transfer_us, compute_us, total_us; /* in the server */
  uint32_t retry_after_us;
  uint32_t op_flags; /* AXLE_OP_FLAG_*, of a binding that is done */
  uint64_t cause;    /* the handle that failed first; 0: this one */
  char message[AXLE_CLIENT_MESSAGE_BYTES];
};

/* ---- the client ------------------------------------------------------------------------------ */

#define AXLE_CLIENT_GREETING 1u
#define AXLE_CLIENT_OPEN 2u
#define AXLE_CLIENT_DRAINING 3u /* the server takes nothing new */
#define AXLE_CLIENT_CLOSED 4u

typedef struct axle_client_options {
  axle_transport transport; /* copied */
  void *send_memory;
  size_t send_bytes;
  void *receive_memory;
  size_t receive_bytes;
  /* Each may be left out. */
  axle_wire_bytes agent;  /* program and version, for logs */
  axle_wire_bytes tenant; /* whom the credentials act for */
  axle_wire_bytes token;
  /* For a program whose host has the memory of its machine (docs/guests.md): the physical address of
   * `bytes` of its own, which lie there in one piece, or AXLE_NO_ADDRESS. Inputs and outputs of more than
   * AXLE_CLIENT_INLINE_BYTES_MAX that start at a multiple of AXLE_CLIENT_SHARED_ALIGNMENT are then read and
   * written where they lie, if the server does that, and stream otherwise. Of outputs, those of a request
   * that has one. */
  uint64_t (*guest_address)(const void *data, uint64_t bytes);
  uint32_t stream_window;     /* at least twice the receive buffer; 0: AXLE_CLIENT_STREAM_WINDOW */
  uint32_t connection_window; /* at least twice that; 0: AXLE_CLIENT_CONNECTION_WINDOW */
} axle_client_options;

struct axle_client {
  /* To be read. */
  uint8_t state;       /* AXLE_CLIENT_* */
  uint16_t status;     /* why it is closed or drains: AXLE_STATUS_* */
  uint16_t wire_error; /* AXLE_WIRE_ERROR_*: why a frame, or the connection, was refused; else 0 */

  /* The client's. */
  uint8_t is_entered;
  uint8_t is_refused;    /* the server took no greeting */
  uint8_t shares_memory; /* the server reads and writes the guest's */
  uint8_t has_heard;     /* since heard_us */
  uint8_t pong_count, ping_is_due, ping_is_out;
  axle_request *first, *last;
  uint8_t *send_memory, *receive_memory;
  uint32_t send_capacity, send_start, send_end;
  uint32_t receive_capacity, receive_start, receive_end;
  /* The frame that is being read in pieces. */
  uint8_t body_is_data;
  /* The DATA frame that is being written: its header, its bytes where they lie, its padding. */
  uint8_t bulk_header_at, bulk_padding;
  axle_request *bulk;
  axle_request *bulk_last; /* whose turn it was */
  const uint8_t *bulk_data;
  uint32_t bulk_left;
  axle_request *body_request;
  uint32_t body_left, body_padding, body_bytes;
  /* Credit of the connection. */
  uint32_t send_window;
  uint32_t used_bytes;
  uint64_t last_handle;
  axle_transport transport;
  uint32_t bulk_reserve;
  uint32_t payload_max, stream_window, connection_window;
  uint32_t server_stream_window, server_connection_window, server_payload_max;
  uint64_t waits_us;
  uint64_t heard_us, ping_us;
  uint64_t last_ping;
  uint64_t sent_handle; /* up to which all has left */
  uint64_t (*guest_address)(const void *data, uint64_t bytes);
  uint8_t bulk_header[AXLE_WIRE_HEADER_BYTES];

  /* To be read. From WELCOME; 0 before. */
  uint32_t calls_max, handles_max, idle_ms;
  uint64_t request_bytes_max, model_bytes_max;
  char message[AXLE_CLIENT_MESSAGE_BYTES];

  /* The client's: PONGs that are due. */
  uint64_t pongs[AXLE_WIRE_PONGS_PENDING_MAX];
};

/* Takes over the transport and writes the greeting. AXLE_STATUS_INVALID_ARGUMENT: see `client->message`. */
int32_t axle_client_init(axle_client *client, const axle_client_options *options);

/* Moves what can be moved without blocking. 0, or why the client is closed. */
int32_t axle_client_poll(axle_client *client);

/* Polls until the request is done: 0, whatever its status. AXLE_CLIENT_AGAIN: `timeout_us` are over and it
 * is still under way. */
int32_t axle_client_wait(axle_client *client, axle_request *request, uint64_t timeout_us);

/* What the transport's wait should wait for, and until when at most: for loops of one's own. */
uint32_t axle_client_events(const axle_client *client, uint64_t *until_us);

/* Says that it leaves, ends what is under way with AXLE_STATUS_CANCELLED, and closes the transport. */
void axle_client_close(axle_client *client);

typedef struct axle_bind {
  uint32_t op;         /* AXLE_OP_*, or 0 and a name: */
  uint32_t op_version; /* 0: 1 */
  axle_wire_bytes op_name;
  uint16_t first, last;   /* steps of a chain; classify: 0 and 3 */
  axle_wire_bytes device; /* preferred; with AXLE_FLAG_BIND_STRICT the only one */
  uint64_t model;         /* handle; 0: none */
  uint64_t output_bytes_max;
  const axle_wire_arg *args;
  const axle_wire_bytes *input_names; /* none: inputs go by position */
  uint16_t arg_count, input_count;
  uint8_t flags; /* AXLE_FLAG_BIND_* */
} axle_bind;

int32_t axle_client_bind(axle_client *client, axle_request *request, const axle_bind *bind);

typedef struct axle_call {
  axle_input *inputs;
  uint16_t input_count;
  uint32_t deadline_us; /* from when the frame is made; 0: none */
  int8_t priority;
  uint8_t flags; /* AXLE_FLAG_CALL_KEEP, AXLE_FLAG_CALL_OMIT */
  const axle_wire_trace *trace;
} axle_call;

/* `binding` need not be answered yet, and stays until the call is done. */
int32_t axle_client_call(axle_client *client, axle_request *request, const axle_request *binding,
                         const axle_call *call);

/* Input from the request's `source`, part 0. Of `call`, the inputs and flags do not count. */
int32_t axle_client_stream(axle_client *client, axle_request *request, const axle_request *binding,
                           const axle_call *call);

/* Keeps a tensor on the server as output 0 of its handle. */
int32_t axle_client_put(axle_client *client, axle_request *request, axle_input *input);

/* A model of the server's: `name` or `name:version`. */
int32_t axle_client_named_model(axle_client *client, axle_request *request, axle_wire_bytes name);

/* Sends a model: inputs[0] is its manifest, inputs[1] its content, both UINT8. `content_id` is the SHA-256
 * of the manifest, 32 bytes. */
int32_t axle_client_model(axle_client *client, axle_request *request, const uint8_t *content_id,
                          axle_wire_bytes name, axle_wire_bytes format, axle_wire_bytes entry,
                          axle_input *inputs);

/* LOAD, PUBLISH, REMOVE, LIST, DESCRIBE or READ, as `frame` says; its id is given by the client. */
int32_t axle_client_ask(axle_client *client, axle_request *request, axle_wire_frame *frame);

/* A round trip that does nothing (PING). It has no handle. */
int32_t axle_client_ping(axle_client *client, axle_request *request);

/* Asks for an early end; the request is answered all the same. */
void axle_client_cancel(axle_client *client, axle_request *request);

/* Lets go of what the handle holds on the server: bindings, models, tensors, a DESCRIBE with WATCH. */
int32_t axle_client_release(axle_client *client, axle_request *request);

/* Of a request with `holds_credit`: so many bytes more may come. */
void axle_client_used(axle_client *client, axle_request *request, uint64_t bytes);

/* ---- small things ---------------------------------------------------------------------------- */

/* Of a literal. */
#define AXLE_TEXT(literal) \
  { (const uint8_t *)(literal), (uint32_t)(sizeof(literal) - 1) }

/* An element of a tensor: 1, 2, 4 or 8 bytes, as bits. */
static inline uint64_t axle_load(const void *at, unsigned bytes) {
  uint64_t value = 0;
  for (unsigned i = 0; i < bytes; i++) value |= (uint64_t)((const uint8_t *)at)[i] << (8 * i);
  return value;
}

static inline void axle_store(void *at, unsigned bytes, uint64_t value) {
  for (unsigned i = 0; i < bytes; i++) ((uint8_t *)at)[i] = (uint8_t)(value >> (8 * i));
}

/* Element `index` of a BYTES tensor; `data` NULL where there is none, or where it is not what it says. */
static inline axle_wire_bytes axle_element(const void *data, uint64_t bytes, uint32_t index) {
  const uint8_t *at = (const uint8_t *)data;
  axle_wire_bytes element = {NULL, 0};
  for (;; index--) {
    if (bytes < 4) return element;
    const uint32_t length = (uint32_t)axle_load(at, 4);
    if (length > bytes - 4) return element;
    if (index == 0) {
      element.data = at + 4;
      element.bytes = length;
      return element;
    }
    at += 4 + length;
    bytes -= 4 + (uint64_t)length;
  }
}

#ifdef __cplusplus
}
#endif

#endif /* AXLE_CLIENT_H */
