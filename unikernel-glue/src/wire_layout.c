// SPDX-License-Identifier: Apache-2.0
#include "wire_layout.h"

// The place of a member, which must be `size` bytes long: what is read is stored as so many. Where it
// is not, the array has a negative length and does not compile.
#define AT(type, member, size)                    \
  (uint16_t)(offsetof(axle_wire_##type, member) + \
             0 * sizeof(char[sizeof(((axle_wire_##type *)0)->member) == (size) ? 1 : -1]))

#define UINT(type, member, bytes, min, max) \
  { KIND_UINT, bytes, AT(type, member, bytes), min, max }
#define U8(type, member, min, max) UINT(type, member, 1, min, max)
#define U16(type, member, min, max) UINT(type, member, 2, min, max)
#define U32(type, member, min, max) UINT(type, member, 4, min, max)
#define U64(type, member, min, max) UINT(type, member, 8, min, max)
#define PRIORITY(type) \
  { KIND_INT8, 1, AT(type, priority, 1), 0, 0 }
#define DEVICE(type) \
  { KIND_DEVICE, 2, AT(type, device, 2), 0, 0 }
#define ZERO(bytes) \
  { KIND_ZERO, bytes, 0, 0, 0 }
#define MAGIC \
  { KIND_MAGIC, 8, 0, 0, 0 }
#define RAW(type, member, bytes) \
  { KIND_RAW, bytes, AT(type, member, sizeof(const uint8_t *)), 0, 0 }
#define VARIABLE(kind, type, member, max) \
  { kind, 2, AT(type, member, sizeof(axle_wire_bytes)), 0, max }
#define NAME(type, member, max) VARIABLE(KIND_NAME, type, member, max)
#define LINES(type, member) VARIABLE(KIND_LINES, type, member, AXLE_WIRE_MESSAGE_BYTES_MAX)
#define BLOB(type, member, max) VARIABLE(KIND_BLOB, type, member, max)
#define COUNT(type, member, bytes, max, record) \
  { KIND_COUNT, bytes, AT(type, member, sizeof(axle_wire_records)), record, max }

#define NAME_MAX AXLE_WIRE_NAME_BYTES_MAX
#define TENSORS_MAX AXLE_WIRE_TENSORS_MAX
#define VERSIONS(type)                                                                        \
  U16(type, greeting.version, 1, UINT16_MAX), U16(type, greeting.version_min, 1, UINT16_MAX), \
      U16(type, greeting.version_max, 1, UINT16_MAX)
#define WINDOWS(type, payload_min, stream_min, connection_min)               \
  U32(type, greeting.payload_max, payload_min, AXLE_WIRE_PAYLOAD_BYTES_MAX), \
      U32(type, greeting.stream_window, stream_min, AXLE_WIRE_WINDOW_MAX),   \
      U32(type, greeting.connection_window, connection_min, AXLE_WIRE_WINDOW_MAX)
#define PAYLOAD_MIN AXLE_WIRE_PAYLOAD_BYTES_MIN
// A name that there must be.
#define GIVEN_NAME(type, member) \
  { KIND_NAME, 2, AT(type, member, sizeof(axle_wire_bytes)), 1, NAME_MAX }

static const axle_field hello_fields[] = {
    MAGIC,
    VERSIONS(hello),
    U8(hello, credential, AXLE_CREDENTIAL_NONE, AXLE_CREDENTIAL_TOKEN),
    ZERO(1),
    U64(hello, greeting.features, 0, ANY),
    RAW(hello, greeting.nonce, 16),
    WINDOWS(hello, PAYLOAD_MIN, PAYLOAD_MIN, PAYLOAD_MIN),
    NAME(hello, greeting.tenant, NAME_MAX),
    BLOB(hello, token, AXLE_WIRE_TOKEN_BYTES_MAX),
    NAME(hello, greeting.agent, NAME_MAX),
    ZERO(6),
};
static const axle_field welcome_fields[] = {
    MAGIC,
    VERSIONS(welcome),
    ZERO(2),
    U64(welcome, greeting.features, 0, ANY),
    RAW(welcome, greeting.nonce, 16),
    WINDOWS(welcome, AXLE_WIRE_PAYLOAD_BYTES_MAX, AXLE_WIRE_SERVER_STREAM_WINDOW_MIN,
            AXLE_WIRE_SERVER_CONNECTION_WINDOW_MIN),
    U32(welcome, calls_max, 1, ANY),
    U32(welcome, handles_max, 1, ANY),
    U32(welcome, idle_ms, 0, ANY),
    U64(welcome, request_bytes_max, 0, ANY),
    U64(welcome, model_bytes_max, 0, ANY),
    U64(welcome, last_handle, 0, ANY),
    U32(welcome, resume_ms, 0, ANY),
    NAME(welcome, greeting.tenant, NAME_MAX),
    NAME(welcome, greeting.agent, NAME_MAX),
};
static const axle_field goaway_fields[] = {
    U16(goaway, code, 0, UINT16_MAX),
    U16(goaway, wire_error, 0, UINT16_MAX),
    U16(goaway, version_min, 0, UINT16_MAX),
    U16(goaway, version_max, 0, UINT16_MAX),
    U64(goaway, last, 0, ANY),
    U32(goaway, grace_ms, 0, ANY),
    NAME(goaway, alternate, AXLE_WIRE_ENDPOINT_BYTES_MAX),
    LINES(goaway, message),
};
static const axle_field credit_fields[] = {U64(credit, bytes, 1, AXLE_WIRE_WINDOW_MAX)};
static const axle_field health_fields[] = {
    U16(health, device, 0, AXLE_WIRE_DEVICES_MAX - 1),
    U8(health, state, AXLE_HEALTH_OK, AXLE_HEALTH_LOST),
    ZERO(1),
    U32(health, wait_us, 0, ANY),
    LINES(health, message),
    ZERO(6),
};
static const axle_field bind_fields[] = {
    U32(bind, op, 0, ANY),
    U32(bind, op_version, 1, ANY),
    U16(bind, first, 0, UINT16_MAX),
    U16(bind, last, 0, UINT16_MAX),
    NAME(bind, op_name, NAME_MAX),
    NAME(bind, device, NAME_MAX),
    U64(bind, model, 0, ANY),
    U64(bind, output_bytes_max, 0, ANY),
    COUNT(bind, args, 2, AXLE_WIRE_ARGS_MAX, RECORD_ARG),
    COUNT(bind, input_names, 2, TENSORS_MAX, RECORD_NAME),
    ZERO(4),
};
static const axle_field call_fields[] = {
    U64(call, binding, 1, ANY),
    U32(call, deadline_us, 0, ANY),
    PRIORITY(call),
    ZERO(1),
    COUNT(call, inputs, 2, TENSORS_MAX, RECORD_INPUT),
};
static const axle_field stream_fields[] = {
    U64(call, binding, 1, ANY),
    U32(call, deadline_us, 0, ANY),
    PRIORITY(call),
    ZERO(3),
};
static const axle_field model_fields[] = {
    RAW(model, content_id, 32),
    U64(model, bytes, 0, ANY),
    U32(model, manifest_bytes, 0, AXLE_WIRE_MANIFEST_BYTES_MAX),
    NAME(model, name, NAME_MAX),
    NAME(model, format, NAME_MAX),
    NAME(model, entry, AXLE_WIRE_FILE_NAME_BYTES_MAX),
    ZERO(6),
};
static const axle_field load_fields[] = {
    U64(load, model, 1, ANY),     U32(load, deadline_us, 0, ANY), PRIORITY(load), ZERO(1),
    NAME(load, device, NAME_MAX),
};
static const axle_field publish_fields[] = {
    U64(publish, model, 1, ANY),
    GIVEN_NAME(publish, name),
    NAME(publish, version, NAME_MAX),
    ZERO(4),
};
static const axle_field remove_fields[] = {
    GIVEN_NAME(publish, name),
    NAME(publish, version, NAME_MAX),
    ZERO(4),
};
static const axle_field read_fields[] = {
    U64(read, model, 1, ANY),
    NAME(read, file, AXLE_WIRE_FILE_NAME_BYTES_MAX),
    ZERO(6),
};
static const axle_field result_fields[] = {
    U32(result, queue_us, 0, ANY),
    U32(result, transfer_us, 0, ANY),
    U32(result, compute_us, 0, ANY),
    U32(result, total_us, 0, ANY),
    U16(result, batch_size, 1, UINT16_MAX),
    DEVICE(result),
    COUNT(result, outputs, 2, TENSORS_MAX, RECORD_OUTPUT),
    COUNT(result, steps, 1, AXLE_WIRE_STEPS_MAX, RECORD_STEP),
    COUNT(result, fallbacks, 1, AXLE_WIRE_FALLBACKS_MAX, RECORD_FALLBACK),
};
static const axle_field error_fields[] = {
    U16(failure, code, 1, UINT16_MAX),
    DEVICE(failure),
    U32(failure, retry_after_us, 0, ANY),
    U64(failure, cause, 0, ANY),
    LINES(failure, message),
    LINES(failure, detail),
    ZERO(4),
};
static const axle_field bound_fields[] = {
    U32(bound, score, 1, ANY),
    U32(bound, op_flags, 0, ANY),
    DEVICE(bound),
    ZERO(6),
};
static const axle_field loaded_fields[] = {
    U64(loaded, memory_bytes, 0, ANY),
    DEVICE(loaded),
    U16(loaded, input_count, 0, TENSORS_MAX),
    U16(loaded, output_count, 0, TENSORS_MAX),
    ZERO(2),
};
static const axle_field need_fields[] = {COUNT(need, ranges, 2, AXLE_WIRE_RANGES_MAX, RECORD_RANGE),
                                         ZERO(6)};
static const axle_field device_fields[] = {
    U16(device, index, 0, AXLE_WIRE_DEVICES_MAX - 1),
    U8(device, kind, AXLE_DEVICE_KIND_CPU, AXLE_DEVICE_KIND_OTHER),
    U8(device, health, AXLE_HEALTH_OK, AXLE_HEALTH_LOST),
    U32(device, device_flags, 0, ANY),
    U64(device, memory_bytes, 0, ANY),
    U32(device, parallel, 1, ANY),
    U32(device, wait_us, 0, ANY),
    NAME(device, device, NAME_MAX),
    LINES(device, name),
    NAME(device, backend, NAME_MAX),
    NAME(device, backend_version, NAME_MAX),
    LINES(device, message),
    ZERO(6),
};
static const axle_field op_fields[] = {
    U32(op, op, 0, ANY),
    U32(op, op_version, 1, ANY),
    U16(op, first, 0, UINT16_MAX),
    U16(op, last, 0, UINT16_MAX),
    U32(op, op_flags, 0, ANY),
    U32(op, batch_max, 0, ANY),
    U16(op, arg_count, 0, AXLE_WIRE_ARGS_MAX),
    U16(op, input_count, 0, TENSORS_MAX),
    U16(op, output_count, 0, TENSORS_MAX),
    NAME(op, name, NAME_MAX),
    LINES(op, doc),
    ZERO(2),
    RAW(op, devices, 32),
};
static const axle_field arg_spec_fields[] = {
    U8(arg_spec, arg_type, AXLE_ARG_BOOL, AXLE_ARG_BYTES),
    U8(arg_spec, required, 0, 1),
    U16(arg_spec, index, 0, AXLE_WIRE_ARGS_MAX - 1),
    NAME(arg_spec, name, NAME_MAX),
    LINES(arg_spec, doc),
};
static const axle_field tensor_spec_fields[] = {
    U8(tensor_spec, role, AXLE_ROLE_INPUT, AXLE_ROLE_OUTPUT),
    U8(tensor_spec, dtype, AXLE_DTYPE_BOOL, AXLE_DTYPE_BF16),
    COUNT(tensor_spec, dims, 1, AXLE_WIRE_RANK_MAX, RECORD_DIM),
    ZERO(1),
    U16(tensor_spec, index, 0, TENSORS_MAX - 1),
    NAME(tensor_spec, name, NAME_MAX),
};
static const axle_field model_entry_fields[] = {
    RAW(model_entry, content_id, 32),
    U64(model_entry, bytes, 0, ANY),
    U32(model_entry, batch_max, 0, ANY),
    U32(model_entry, labels, 0, ANY),
    NAME(model_entry, name, NAME_MAX),
    NAME(model_entry, version, NAME_MAX),
    NAME(model_entry, format, NAME_MAX),
    LINES(model_entry, problem),
    U16(model_entry, input_count, 0, TENSORS_MAX),
    U16(model_entry, output_count, 0, TENSORS_MAX),
    ZERO(4),
};
#define ARENA_NUMBER U32(arena, arena, 1, AXLE_WIRE_ARENAS_MAX), ZERO(4)
static const axle_field arena_fields[] = {
    ARENA_NUMBER,
    U64(arena, bytes, 1, ANY),
    RAW(arena, ticket, 16),
};
static const axle_field arena_ready_fields[] = {ARENA_NUMBER};
static const axle_field attach_fields[] = {MAGIC, RAW(arena, ticket, 16)};
static const axle_field attached_fields[] = {ARENA_NUMBER, U64(arena, bytes, 1, ANY)};
static const axle_field used_fields[] = {
    U16(used, device, 0, AXLE_WIRE_DEVICES_MAX - 1),
    ZERO(2),
    U32(used, used_us, 0, ANY),
};

static const axle_field tensor_fields[] = {
    U16(tensor, slot, 0, TENSORS_MAX - 1),
    U8(tensor, dtype, 0, AXLE_DTYPE_BF16),
    U8(tensor, rank, 0, UINT8_MAX),
    U8(tensor, source, 0, UINT8_MAX),
    {KIND_NAME, 1, AT(tensor, name, sizeof(axle_wire_bytes)), 0, NAME_MAX},
    U16(tensor, output, 0, UINT16_MAX),
    U64(tensor, bytes, 0, ANY),
};
static const axle_field arg_fields[] = {
    U8(arg, type, AXLE_ARG_BOOL, AXLE_ARG_BYTES),
    ZERO(1),
    GIVEN_NAME(arg, name),
    U32(arg, value.bytes, 0, ANY),
};
static const axle_field name_fields[] = {{KIND_NAME, 2, 0, 1, NAME_MAX}, ZERO(6)};
static const axle_field range_fields[] = {
    U64(range, offset, 0, ANY),
    U64(range, bytes, 1, ANY),
};
static const axle_field step_fields[] = {
    U8(step, first, 0, UINT8_MAX),
    U8(step, last, 0, UINT8_MAX),
    U16(step, batch_size, 1, UINT16_MAX),
    DEVICE(step),
    ZERO(2),
    U32(step, queue_us, 0, ANY),
    U32(step, transfer_us, 0, ANY),
    U32(step, compute_us, 0, ANY),
    ZERO(4),
};
static const axle_field fallback_fields[] = {
    U16(fallback, code, 1, UINT16_MAX),
    DEVICE(fallback),
    LINES(fallback, message),
    ZERO(2),
};
static const axle_field place_fields[] = {
    U32(place, arena, 0, AXLE_WIRE_ARENAS_MAX),
    ZERO(4),
    U64(place, offset, 0, ANY),
    U64(place, bytes, 0, ANY),
};
static const axle_field trace_fields[] = {
    RAW(trace, trace_id, 16),
    RAW(trace, parent_id, 8),
    U8(trace, trace_flags, 0, UINT8_MAX),
    ZERO(7),
};

#define CLIENT AXLE_WIRE_CLIENT
#define SERVER AXLE_WIRE_SERVER
#define BOTH (CLIENT | SERVER)

#define FIELDS(name) name##_fields, (uint8_t)(sizeof(name##_fields) / sizeof(axle_field))
#define NO_FIELDS NULL, 0

static const axle_layout layouts[] = {
    {FIELDS(hello), AXLE_FRAME_HELLO, CLIENT, ID_ZERO, 0},
    {FIELDS(welcome), AXLE_FRAME_WELCOME, SERVER, ID_ZERO, 0},
    {FIELDS(goaway), AXLE_FRAME_GOAWAY, BOTH, ID_ZERO, 0},
    {NO_FIELDS, AXLE_FRAME_PING, BOTH, ID_ANY, 0},
    {NO_FIELDS, AXLE_FRAME_PONG, BOTH, ID_ANY, 0},
    {FIELDS(credit), AXLE_FRAME_CREDIT, BOTH, ID_ANY, 0},
    {NO_FIELDS, AXLE_FRAME_CANCEL, CLIENT, ID_HANDLE, 0},
    {NO_FIELDS, AXLE_FRAME_ACK, CLIENT, ID_HANDLE, 0},
    {FIELDS(health), AXLE_FRAME_HEALTH, SERVER, ID_HANDLE, 0},
    {FIELDS(bind), AXLE_FRAME_BIND, CLIENT, ID_HANDLE,
     AXLE_FLAG_BIND_STRICT | AXLE_FLAG_BIND_NAMES | AXLE_FLAG_BIND_LABELS | AXLE_FLAG_BIND_STEPS},
    {FIELDS(call), AXLE_FRAME_CALL, CLIENT, ID_HANDLE,
     AXLE_FLAG_CALL_KEEP | AXLE_FLAG_CALL_OMIT | AXLE_FLAG_CALL_REPLAY | AXLE_FLAG_CALL_TRACE |
         AXLE_FLAG_CALL_PLACE},
    {FIELDS(stream), AXLE_FRAME_STREAM, CLIENT, ID_HANDLE, AXLE_FLAG_STREAM_TRACE},
    {NO_FIELDS, AXLE_FRAME_PUT, CLIENT, ID_HANDLE, 0},
    {FIELDS(model), AXLE_FRAME_MODEL, CLIENT, ID_HANDLE,
     AXLE_FLAG_MODEL_MANIFEST | AXLE_FLAG_MODEL_CONTENT | AXLE_FLAG_MODEL_NAMED},
    {FIELDS(load), AXLE_FRAME_LOAD, CLIENT, ID_HANDLE, AXLE_FLAG_LOAD_STRICT},
    {FIELDS(publish), AXLE_FRAME_PUBLISH, CLIENT, ID_HANDLE, AXLE_FLAG_PUBLISH_REPLACE},
    {FIELDS(remove), AXLE_FRAME_REMOVE, CLIENT, ID_HANDLE, 0},
    {NO_FIELDS, AXLE_FRAME_LIST, CLIENT, ID_HANDLE, 0},
    {NO_FIELDS, AXLE_FRAME_DESCRIBE, CLIENT, ID_HANDLE, AXLE_FLAG_DESCRIBE_WATCH},
    {FIELDS(read), AXLE_FRAME_READ, CLIENT, ID_HANDLE, 0},
    {NO_FIELDS, AXLE_FRAME_RELEASE, CLIENT, ID_HANDLE, 0},
    {FIELDS(result), AXLE_FRAME_RESULT, SERVER, ID_HANDLE, 0},
    {FIELDS(error), AXLE_FRAME_ERROR, SERVER, ID_HANDLE,
     AXLE_FLAG_ERROR_RETRYABLE | AXLE_FLAG_ERROR_OUTCOME_UNKNOWN},
    {NO_FIELDS, AXLE_FRAME_DONE, SERVER, ID_HANDLE, 0},
    {FIELDS(bound), AXLE_FRAME_BOUND, SERVER, ID_HANDLE, 0},
    {FIELDS(loaded), AXLE_FRAME_LOADED, SERVER, ID_HANDLE, 0},
    {FIELDS(need), AXLE_FRAME_NEED, SERVER, ID_HANDLE, AXLE_FLAG_NEED_MANIFEST},
    {FIELDS(device), AXLE_FRAME_DEVICE, SERVER, ID_HANDLE, 0},
    {FIELDS(op), AXLE_FRAME_OP, SERVER, ID_HANDLE, 0},
    {FIELDS(arg_spec), AXLE_FRAME_ARG_SPEC, SERVER, ID_HANDLE, 0},
    {FIELDS(tensor_spec), AXLE_FRAME_TENSOR_SPEC, SERVER, ID_HANDLE,
     AXLE_FLAG_TENSOR_SPEC_ANY_RANK},
    {FIELDS(model_entry), AXLE_FRAME_MODEL_ENTRY, SERVER, ID_HANDLE, 0},
    {NO_FIELDS, AXLE_FRAME_DATA, BOTH, ID_HANDLE, AXLE_FLAG_DATA_END},
    {FIELDS(arena), AXLE_FRAME_ARENA, SERVER, ID_ZERO, 0},
    {FIELDS(arena_ready), AXLE_FRAME_ARENA_READY, CLIENT, ID_ZERO, 0},
    {FIELDS(attach), AXLE_FRAME_ATTACH, CLIENT, ID_ZERO, 0},
    {FIELDS(attached), AXLE_FRAME_ATTACHED, SERVER, ID_ZERO, 0},
    {FIELDS(used), AXLE_FRAME_USED, CLIENT, ID_ZERO, 0},
};

static const axle_layout record_layouts[] = {
    [RECORD_INPUT] = {FIELDS(tensor), 0, 0, 0, 0},
    [RECORD_OUTPUT] = {FIELDS(tensor), 0, 0, 0, 0},
    [RECORD_ARG] = {FIELDS(arg), 0, 0, 0, 0},
    [RECORD_NAME] = {FIELDS(name), 0, 0, 0, 0},
    [RECORD_RANGE] = {FIELDS(range), 0, 0, 0, 0},
    [RECORD_STEP] = {FIELDS(step), 0, 0, 0, 0},
    [RECORD_FALLBACK] = {FIELDS(fallback), 0, 0, 0, 0},
    [RECORD_PLACE] = {FIELDS(place), 0, 0, 0, 0},
    [RECORD_TRACE] = {FIELDS(trace), 0, 0, 0, 0},
};

const axle_layout *axle_wire_record_layout(enum axle_record kind) { return &record_layouts[kind]; }

const axle_layout *axle_wire_layout(uint8_t type) {
  for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
    if (layouts[i].type == type) return &layouts[i];
  }
  return NULL;
}
