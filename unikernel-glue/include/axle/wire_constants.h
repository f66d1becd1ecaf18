/* SPDX-License-Identifier: Apache-2.0
 *
 * axle/wire_constants.h - the numbers of the Axle wire protocol (proto/PROTOCOL.md) and those that all
 * of Axle shares. Needs nothing; C11 or C++17.
 */
#ifndef AXLE_WIRE_CONSTANTS_H
#define AXLE_WIRE_CONSTANTS_H

/* BEGIN GENERATED: proto/registry.json */
/* clang-format off */
/* Status: how a call ended. */
#define AXLE_STATUS_OK                   0 /* Success. */
#define AXLE_STATUS_CANCELLED            1 /* The caller cancelled the call. */
#define AXLE_STATUS_UNKNOWN              2 /* A failure that carries no better code. */
#define AXLE_STATUS_INVALID_ARGUMENT     3 /* The request is wrong in itself: name, shape, type, level, corrupt bytes. */
#define AXLE_STATUS_DEADLINE_EXCEEDED    4 /* The deadline passed before a result was there. */
#define AXLE_STATUS_NOT_FOUND            5 /* The named model, device, file or op does not exist. */
#define AXLE_STATUS_ALREADY_EXISTS       6 /* The name is taken. */
#define AXLE_STATUS_PERMISSION_DENIED    7 /* The caller may not do this. */
#define AXLE_STATUS_RESOURCE_EXHAUSTED   8 /* A limit was reached: queue, memory, quota, output size. */
#define AXLE_STATUS_FAILED_PRECONDITION  9 /* The system is not in the state that the call needs. */
#define AXLE_STATUS_ABORTED             10 /* Stopped by a conflict; the same call may pass later. */
#define AXLE_STATUS_OUT_OF_RANGE        11 /* A read or write past the valid range. */
#define AXLE_STATUS_UNIMPLEMENTED       12 /* No device here can run this. */
#define AXLE_STATUS_INTERNAL            13 /* An invariant was broken: a fault of Axle or of a plugin. */
#define AXLE_STATUS_UNAVAILABLE         14 /* The device or server is not there now. */
#define AXLE_STATUS_DATA_LOSS           15 /* Bytes were damaged: a checksum does not match. */
#define AXLE_STATUS_UNAUTHENTICATED     16 /* The caller did not prove who it is. */

/* Element types of tensors. */
#define AXLE_DTYPE_BOOL    1u /* One byte an element, 0 or 1. */
#define AXLE_DTYPE_UINT8   2u
#define AXLE_DTYPE_UINT16  3u
#define AXLE_DTYPE_UINT32  4u
#define AXLE_DTYPE_UINT64  5u
#define AXLE_DTYPE_INT8    6u
#define AXLE_DTYPE_INT16   7u
#define AXLE_DTYPE_INT32   8u
#define AXLE_DTYPE_INT64   9u
#define AXLE_DTYPE_FP16   10u /* IEEE 754 binary16. */
#define AXLE_DTYPE_FP32   11u
#define AXLE_DTYPE_FP64   12u
#define AXLE_DTYPE_BYTES  13u /* Each element is a 32-bit little-endian length, then that many bytes (KServe v2 raw form). */
#define AXLE_DTYPE_BF16   14u /* bfloat16: the upper half of an IEEE 754 binary32. */

/* Op flags, combined with OR. */
#define AXLE_OP_FLAG_PURE               1u /* Same input, same output, no effect: may run again anywhere. */
#define AXLE_OP_FLAG_IDEMPOTENT         2u /* Running it twice leaves the same state as once. */
#define AXLE_OP_FLAG_BATCHABLE          4u /* Tasks of one submit may be computed together. */
#define AXLE_OP_FLAG_STATEFUL           8u /* The result depends on earlier calls of the session. */
#define AXLE_OP_FLAG_STREAMABLE        16u /* Also offered as an ordered stream. */
#define AXLE_OP_FLAG_INPUTS_MAY_CHANGE 32u /* Does no harm when another process writes to its inputs while it reads them. */

/* Ops: id and version. */
#define AXLE_OP_DECODE                 1u /* Encoded image -> UINT8 pixels [height, width, channels]. */
#define AXLE_OP_DECODE_VERSION         1u
#define AXLE_OP_PREPROCESS             2u /* UINT8 pixels -> the model's input tensor. */
#define AXLE_OP_PREPROCESS_VERSION     1u
#define AXLE_OP_INFER                  3u /* Named input tensors -> named output tensors of a loaded model. */
#define AXLE_OP_INFER_VERSION          1u
#define AXLE_OP_TOPK                   4u /* FP32 scores -> the k best: INT32 indices [k] and FP32 scores [k], best first. */
#define AXLE_OP_TOPK_VERSION           1u
#define AXLE_OP_CLASSIFY               5u /* Encoded image -> the k best labels. */
#define AXLE_OP_CLASSIFY_VERSION       1u
#define AXLE_OP_COMPRESS               6u /* Bytes -> one zstd, lz4 or gzip stream. */
#define AXLE_OP_COMPRESS_VERSION       1u
#define AXLE_OP_DECOMPRESS             7u /* A zstd, lz4 or gzip stream -> bytes. */
#define AXLE_OP_DECOMPRESS_VERSION     1u
#define AXLE_CUSTOM_OP_ID_FIRST    65536u /* Ids from here on are given to named custom ops. */

/* Codecs: id and range of levels. */
#define AXLE_CODEC_ZSTD               1u
#define AXLE_CODEC_ZSTD_LEVEL_MIN      1
#define AXLE_CODEC_ZSTD_LEVEL_MAX     22
#define AXLE_CODEC_ZSTD_LEVEL_DEFAULT  3
#define AXLE_CODEC_LZ4                2u
#define AXLE_CODEC_LZ4_LEVEL_MIN       1
#define AXLE_CODEC_LZ4_LEVEL_MAX      12
#define AXLE_CODEC_LZ4_LEVEL_DEFAULT   1
#define AXLE_CODEC_GZIP               3u
#define AXLE_CODEC_GZIP_LEVEL_MIN      1
#define AXLE_CODEC_GZIP_LEVEL_MAX     12
#define AXLE_CODEC_GZIP_LEVEL_DEFAULT  6

/* Types of op arguments. */
#define AXLE_ARG_BOOL   1u
#define AXLE_ARG_INT    2u /* 64-bit signed. */
#define AXLE_ARG_FLOAT  3u /* IEEE 754 binary64. */
#define AXLE_ARG_STRING 4u /* UTF-8, length given, not terminated. */
#define AXLE_ARG_BYTES  5u

/* Kinds of device. */
#define AXLE_DEVICE_KIND_CPU   1u
#define AXLE_DEVICE_KIND_GPU   2u
#define AXLE_DEVICE_KIND_FPGA  3u
#define AXLE_DEVICE_KIND_OTHER 4u

/* Device flags, combined with OR. */
#define AXLE_DEVICE_FLAG_EMULATED      1u /* Not the hardware that it stands for; shown wherever the device is named. */
#define AXLE_DEVICE_FLAG_SHARED_MEMORY 2u /* Reads inputs and writes outputs in host memory without a copy. */

/* Health of a device. */
#define AXLE_HEALTH_OK       1u
#define AXLE_HEALTH_DEGRADED 2u /* Works, slower or with fewer resources. */
#define AXLE_HEALTH_LOST     3u /* Gone until it is opened again. */

/* Kinds of output memory. */
#define AXLE_MEMORY_HOST   1u /* Plain memory of the process. */
#define AXLE_MEMORY_PINNED 2u /* Page-locked for device transfers; HOST where the host has none. */
#define AXLE_MEMORY_SHARED 3u /* Another process may read and write it at any time; HOST where the host has none. */

/* The wire protocol. */
#define AXLE_WIRE_VERSION                                              1u
#define AXLE_WIRE_MAGIC                "\x41\x58\x4c\x45\x0d\x0a\x1a\x0a" /* 8 bytes, not terminated. */
#define AXLE_WIRE_IGNORABLE_TYPE_FIRST                               128u
#define AXLE_WIRE_DEVICE_NONE                                      65535u

/* Types of frame. */
#define AXLE_FRAME_HELLO         1u /* Greets: version, who, windows. */
#define AXLE_FRAME_WELCOME       2u /* Takes the client in. */
#define AXLE_FRAME_GOAWAY        3u /* Ends the connection in order, or says why it ends at once. */
#define AXLE_FRAME_PING          4u
#define AXLE_FRAME_PONG          5u
#define AXLE_FRAME_CREDIT        6u /* Adds to a window. */
#define AXLE_FRAME_CANCEL        7u /* Asks for an early end. */
#define AXLE_FRAME_ACK           8u /* Answers up to this handle have come. */
#define AXLE_FRAME_HEALTH        9u /* The state of a device changed. */
#define AXLE_FRAME_BIND         16u /* What many calls have in common. */
#define AXLE_FRAME_CALL         17u
#define AXLE_FRAME_STREAM       18u
#define AXLE_FRAME_PUT          19u /* Keeps a tensor on the server. */
#define AXLE_FRAME_MODEL        20u
#define AXLE_FRAME_LOAD         21u /* Puts a model on a device. */
#define AXLE_FRAME_PUBLISH      22u /* Gives a model a name. */
#define AXLE_FRAME_REMOVE       23u /* Takes a name away. */
#define AXLE_FRAME_LIST         24u /* Asks for the names of models. */
#define AXLE_FRAME_DESCRIBE     25u /* Asks for devices and ops. */
#define AXLE_FRAME_READ         26u /* Asks for a file of a model. */
#define AXLE_FRAME_RELEASE      27u /* Lets go of what a handle holds. */
#define AXLE_FRAME_RESULT       32u
#define AXLE_FRAME_ERROR        33u
#define AXLE_FRAME_DONE         34u
#define AXLE_FRAME_BOUND        35u /* Answer to BIND. */
#define AXLE_FRAME_LOADED       36u /* Answer to LOAD. */
#define AXLE_FRAME_NEED         37u /* What of a model the server lacks. */
#define AXLE_FRAME_DEVICE       38u
#define AXLE_FRAME_OP           39u
#define AXLE_FRAME_ARG_SPEC     40u
#define AXLE_FRAME_TENSOR_SPEC  41u
#define AXLE_FRAME_MODEL_ENTRY  42u
#define AXLE_FRAME_DATA         48u /* The next bytes of what its handle sends. */
#define AXLE_FRAME_ARENA        56u /* Offers shared memory. */
#define AXLE_FRAME_ARENA_READY  57u
#define AXLE_FRAME_ATTACH       58u /* Fetches the descriptor of an arena, on a connection of its own. */
#define AXLE_FRAME_ATTACHED     59u
#define AXLE_FRAME_USED        128u /* Device time that the client's tenant had elsewhere in a pool. */

/* Flags of frames. */
#define AXLE_FLAG_BIND_STRICT            1u
#define AXLE_FLAG_BIND_NAMES             2u
#define AXLE_FLAG_BIND_LABELS            4u
#define AXLE_FLAG_BIND_STEPS             8u
#define AXLE_FLAG_CALL_KEEP              1u
#define AXLE_FLAG_CALL_OMIT              2u
#define AXLE_FLAG_CALL_REPLAY            4u
#define AXLE_FLAG_CALL_TRACE             8u
#define AXLE_FLAG_CALL_PLACE            16u
#define AXLE_FLAG_STREAM_TRACE           8u
#define AXLE_FLAG_MODEL_MANIFEST         1u
#define AXLE_FLAG_MODEL_CONTENT          2u
#define AXLE_FLAG_MODEL_NAMED            4u
#define AXLE_FLAG_LOAD_STRICT            1u
#define AXLE_FLAG_PUBLISH_REPLACE        1u
#define AXLE_FLAG_DESCRIBE_WATCH         1u
#define AXLE_FLAG_ERROR_RETRYABLE        1u
#define AXLE_FLAG_ERROR_OUTCOME_UNKNOWN  2u
#define AXLE_FLAG_NEED_MANIFEST          1u
#define AXLE_FLAG_TENSOR_SPEC_ANY_RANK   1u
#define AXLE_FLAG_DATA_END               1u

/* Features, combined with OR. */
#define AXLE_FEATURE_SHARED_MEMORY 1u /* Arenas of the server's, over a unix socket. */
#define AXLE_FEATURE_GUEST_MEMORY  2u /* Arena 0 is the memory of the guest. */

/* Credentials of HELLO. */
#define AXLE_CREDENTIAL_NONE  0u /* The transport says who it is. */
#define AXLE_CREDENTIAL_TOKEN 1u

/* Where the bytes of a tensor are. */
#define AXLE_SOURCE_INLINE  1u /* In the frame. */
#define AXLE_SOURCE_FOLLOWS 2u /* In DATA frames. */
#define AXLE_SOURCE_SHARED  3u /* In an arena. */
#define AXLE_SOURCE_HANDLE  4u /* An output of another handle. */
#define AXLE_SOURCE_OMITTED 5u /* Not sent, as asked. */

/* What a TENSOR_SPEC is of. */
#define AXLE_ROLE_INPUT  1u
#define AXLE_ROLE_OUTPUT 2u

/* Wire errors: a frame that ... */
#define AXLE_WIRE_ERROR_PAYLOAD_TOO_LONG   1 /* has a longer payload than the receiver takes */
#define AXLE_WIRE_ERROR_PAYLOAD_UNALIGNED  2 /* has a payload that is no multiple of 8 */
#define AXLE_WIRE_ERROR_UNKNOWN_TYPE       3 /* is of a type that must be understood and is not */
#define AXLE_WIRE_ERROR_UNKNOWN_FLAG       4 /* has a flag that its type does not have */
#define AXLE_WIRE_ERROR_RESERVED_NOT_ZERO  5 /* has something in reserved bytes or padding */
#define AXLE_WIRE_ERROR_BAD_ID             6 /* has an id where there is none, or none where there is one */
#define AXLE_WIRE_ERROR_PAYLOAD_TRUNCATED  7 /* ends before its last field */
#define AXLE_WIRE_ERROR_PAYLOAD_OVERLONG   8 /* goes on after its last field */
#define AXLE_WIRE_ERROR_NUMBER_TOO_LARGE   9 /* has a number past 2^53 - 1 */
#define AXLE_WIRE_ERROR_BAD_MAGIC         10 /* does not greet as Axle does */
#define AXLE_WIRE_ERROR_BAD_VALUE         11 /* has a value that its field cannot have */
#define AXLE_WIRE_ERROR_TOO_LONG          12 /* has a text or blob past its limit */
#define AXLE_WIRE_ERROR_TOO_MANY          13 /* has a count past its limit */
#define AXLE_WIRE_ERROR_BAD_TEXT          14 /* has text that is not clean UTF-8 */
#define AXLE_WIRE_ERROR_SIZE_MISMATCH     15 /* has a tensor whose bytes do not fit its type and dims */
#define AXLE_WIRE_ERROR_BAD_ORDER         16 /* has slots or ranges that do not rise */
#define AXLE_WIRE_ERROR_EMPTY_DATA        17 /* is DATA without data or END */
#define AXLE_WIRE_ERROR_WRONG_STATE       32 /* may not be sent by this side, or not now */
#define AXLE_WIRE_ERROR_HANDLE_REUSED     33 /* makes a handle that does not rise */
#define AXLE_WIRE_ERROR_HANDLE_UNKNOWN    34 /* is about a handle that was never made */
#define AXLE_WIRE_ERROR_CREDIT_EXCEEDED   35 /* does not fit a window */
#define AXLE_WIRE_ERROR_CREDIT_OVERFLOW   36 /* makes a window too large */
#define AXLE_WIRE_ERROR_CREDIT_STALL      37 /* (no credit came for too long) */
#define AXLE_WIRE_ERROR_DATA_UNEXPECTED   38 /* brings bytes that nothing announced */
#define AXLE_WIRE_ERROR_PING_FLOOD        39 /* is one PING too many */
#define AXLE_WIRE_ERROR_HANDSHAKE_TIMEOUT 40 /* (no HELLO came) */

/* Limits. */
#define AXLE_WIRE_PAYLOAD_BYTES_MAX                         65536u /* Of any frame. */
#define AXLE_WIRE_PAYLOAD_BYTES_MIN                          4096u /* The least that a side may take. */
#define AXLE_WIRE_IGNORABLE_PAYLOAD_BYTES_MAX                4096u
#define AXLE_WIRE_PRE_AUTH_BYTES_MAX                        65536u /* Read from a client before it is authenticated. */
#define AXLE_WIRE_HANDSHAKE_MS                              10000u
#define AXLE_WIRE_TOKEN_BYTES_MAX                            8192u
#define AXLE_WIRE_NAME_BYTES_MAX                              127u /* Devices, ops, tensors, arguments, models, tenants, agents. */
#define AXLE_WIRE_MESSAGE_BYTES_MAX                          1023u /* Messages, details, docs. */
#define AXLE_WIRE_FILE_NAME_BYTES_MAX                        1023u
#define AXLE_WIRE_ENDPOINT_BYTES_MAX                         1023u
#define AXLE_WIRE_HANDLE_MAX                   9007199254740991ull /* 2^53 - 1: of every 64-bit number. */
#define AXLE_WIRE_RANK_MAX                                     16u
#define AXLE_WIRE_TENSORS_MAX                                 256u /* Of one frame. */
#define AXLE_WIRE_ARGS_MAX                                     64u
#define AXLE_WIRE_STEPS_MAX                                    16u
#define AXLE_WIRE_FALLBACKS_MAX                                16u
#define AXLE_WIRE_RANGES_MAX                                  240u /* Of one NEED. */
#define AXLE_WIRE_PRIORITY_MAX                                100u /* And its negative. */
#define AXLE_WIRE_DEVICES_MAX                                 256u
#define AXLE_WIRE_SERVER_CONNECTION_WINDOW_MIN            1048576u /* What a client may count on before WELCOME. */
#define AXLE_WIRE_SERVER_STREAM_WINDOW_MIN                 524288u /* What a client may count on before WELCOME. */
#define AXLE_WIRE_WINDOW_MAX                           1073741824u
#define AXLE_WIRE_BULK_AHEAD_BYTES_MAX                     262144u /* Handed to the operating system ahead of what it has sent. */
#define AXLE_WIRE_STALL_MS                                  30000u /* Without credit for what waits. */
#define AXLE_WIRE_PONG_MS                                   15000u
#define AXLE_WIRE_PONGS_PENDING_MAX                            16u
#define AXLE_WIRE_INLINE_MODEL_BYTES_MAX                   262144u /* Manifest and files that are sent unasked. */
#define AXLE_WIRE_MANIFEST_BYTES_MAX                       524288u
#define AXLE_WIRE_MODEL_FILES_MAX                             256u
#define AXLE_WIRE_ARENAS_MAX                                   16u /* Arenas are numbered 0..16. */
#define AXLE_WIRE_TICKET_MS                                 10000u

/* clang-format on */
/* END GENERATED */

#endif /* AXLE_WIRE_CONSTANTS_H */
