/* SPDX-License-Identifier: Apache-2.0
 *
 * axle/plugin.h - the contract between Axle (the host) and an accelerator plugin.
 *
 * A plugin is a shared library that exports one symbol, axle_plugin_query, and includes this header
 * and nothing else of Axle's. It describes devices, the ops that they run and the models that they
 * hold, and takes tasks from the host. It may be written in any language that can export a C
 * function. C11 or C++17.
 *
 * How a task goes
 *   host: submit(queue, tasks, n)          returns at once; the plugin works on its own threads
 *   plugin: host->alloc(task, ...)         output memory, under the task's cap
 *   plugin: host->emit(task, chunk)        up to AXLE_CHUNKS_MAX times
 *   plugin: host->complete(task, result)   exactly once for each task, never inside submit
 *
 * Rules that hold everywhere
 *   Versions   AXLE_ABI_MAJOR changes when a compiled plugin would break, AXLE_ABI_MINOR when
 *              something was appended. While the major number is 0 the minor one may break too, and
 *              a host takes only plugins of its own 0.x. Every struct that may grow starts with
 *              struct_size, set by whoever made it to the sizeof that it was compiled with; read no
 *              field past it. Structs that stand in arrays have no struct_size, and never grow.
 *              Reserved fields are zero.
 *   Strings    UTF-8, NUL-terminated unless a length stands beside them, never NULL unless a
 *              comment says so.
 *   Ownership  What a call is handed stays the caller's, and is valid until the call returns, unless
 *              a comment beside it says otherwise.
 *   Errors     A status is 0 (AXLE_STATUS_OK) or one of AXLE_STATUS_*. A function that takes an
 *              axle_error and returns a status fills the message when, and only when, that is not OK;
 *              the message says what was wrong and what to do. What counts is the status that was
 *              returned. supports() returns no status: see there.
 *   Waiting    queue_open, submit, stream_open and stream_write are called by a thread that serves
 *              many callers: they hand over and return, in microseconds rather than milliseconds.
 *              supports() and cancel() do so too. The others may block as their comments say.
 *   Threads    Each slot says from which threads it is called. host-> functions may be called from
 *              any thread; calls that name the same task must not overlap, except cancelled().
 *   Exceptions No C++ exception and no longjmp crosses this boundary, in either direction.
 *   Fork       A plugin is not used in a forked child.
 *   Process    It is shared with the host and with other plugins: a plugin leaves alone the working
 *              directory, umask, locale, signal handlers, environment variables that are set, and
 *              descriptors that it did not open. What it sets on a thread of the host's (blocked signals,
 *              rounding, denormals) it sets back before it returns.
 *   Instances  One plugin may be open several times at once, with other options each time: what belongs
 *              to one opening (tasks, counters, caches) is its instance's and no static's. It describes
 *              itself alike whenever it is opened with the same options.
 *
 * Changes
 *   0.1  first version.
 *   0.2  preprocess scales: its arguments width and height; images of one batch may differ in size.
 *        AXLE_OP_FLAG_INPUTS_MAY_CHANGE; what AXLE_MEMORY_SHARED means.
 */
#ifndef AXLE_PLUGIN_H
#define AXLE_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define AXLE_ABI_MAJOR 0u
#define AXLE_ABI_MINOR 2u

#if defined(_WIN32)
#define AXLE_EXPORT __declspec(dllexport)
#else
#define AXLE_EXPORT __attribute__((visibility("default")))
#endif

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

/* clang-format on */
/* END GENERATED */

/* Limits. The host refuses a plugin, or a call, that is past them. */
#define AXLE_NAME_BYTES_MAX 127u     /* device ids, op names, tensor names, argument names */
#define AXLE_MESSAGE_BYTES_MAX 1023u /* error messages; longer ones are cut */
#define AXLE_HEALTH_MESSAGE_BYTES_MAX 255u
#define AXLE_RANK_MAX 16u
#define AXLE_DEVICES_MAX 256u
#define AXLE_OPS_MAX 1024u
#define AXLE_INPUTS_MAX 256u /* tensors of one task */
#define AXLE_ARGS_MAX 64u
#define AXLE_SUBMIT_MAX 1024u      /* tasks of one submit */
#define AXLE_OUTPUTS_MAX 256u      /* outputs of one task */
#define AXLE_CHUNKS_MAX 16384u     /* chunks that one task emits */
#define AXLE_ALLOCATIONS_MAX 4096u /* of one task, not emitted or released yet */

/* The plugin's own types; the host only carries pointers to them. */
typedef struct axle_instance axle_instance; /* the opened plugin */
typedef struct axle_model axle_model;       /* a model loaded on one device */
typedef struct axle_queue axle_queue;       /* a way to one device for one user of it */
typedef struct axle_stream axle_stream;     /* one ordered stream on one device */

/* Why a call failed. The caller sets struct_size and zeroes the rest. `status` may be set to what the
 * function returns, or left 0: the host reads the message alone. */
typedef struct axle_error {
  uint64_t struct_size;
  int32_t status;
  uint32_t reserved;
  char message[AXLE_MESSAGE_BYTES_MAX + 1u];
} axle_error;

/* ---- data ------------------------------------------------------------------------------------ */

/* One contiguous piece of an input. May be empty, with any data pointer. */
typedef struct axle_segment {
  const void *data;
  uint64_t bytes;
} axle_segment;

/* One input tensor, as a scatter list that the plugin gathers on its own thread. Elements are
 * little-endian, row-major, unpadded; `bytes` is the sum of the segments and, but for BYTES tensors,
 * equals the element count times the element size (the host has checked both). A segment may end in
 * the middle of an element. Data has no alignment.
 *
 * Data stays as it is until the task completes, but for ops with AXLE_OP_FLAG_INPUTS_MAY_CHANGE: theirs
 * may lie in memory that another process, which may be hostile, writes to meanwhile. Only an op for which
 * no value that a byte takes between one read of it and the next can do harm may set the flag: one that
 * copies, or does arithmetic on numbers. An op that parses, or reads an index or a length, reads a copy. */
typedef struct axle_tensor {
  const char *name; /* the model's or op's name of this input; NULL where it is positional */
  uint32_t dtype;   /* AXLE_DTYPE_* */
  uint32_t rank;    /* at most AXLE_RANK_MAX; 0 is a scalar */
  const int64_t *dims;
  const axle_segment *segments;
  uint64_t segment_count;
  uint64_t bytes;
  uint64_t reserved[2];
} axle_tensor;

/* One named argument of an op, or setting of a model. */
typedef struct axle_arg {
  const char *name;
  uint32_t type; /* AXLE_ARG_*: which member of `value` counts */
  uint32_t reserved;
  union {
    int64_t i;        /* AXLE_ARG_INT; AXLE_ARG_BOOL as 0 or 1 */
    double f;         /* AXLE_ARG_FLOAT */
    const void *data; /* AXLE_ARG_STRING, AXLE_ARG_BYTES: `bytes` long, not terminated */
  } value;
  uint64_t bytes;
} axle_arg;

/* One unit of work. Made by the host; everything that it points to is valid from submit until
 * complete() for it returns, so a plugin may keep the pointer and copies nothing that it does not
 * want to. A plugin changes no field but plugin_data. */
typedef struct axle_task {
  uint64_t struct_size;
  void *host_data;   /* the host's */
  void *plugin_data; /* the plugin's, NULL at submit; freed by nobody */
  uint32_t op;       /* AXLE_OP_*, or from AXLE_CUSTOM_OP_ID_FIRST the id given in axle_op_info */
  uint32_t op_version;
  uint32_t chain_first; /* a fused range of a semantic op: see axle_op_info */
  uint32_t chain_last;
  axle_model *model; /* NULL unless the op runs one */
  const axle_arg *args;
  uint64_t arg_count;
  const axle_tensor *inputs;
  uint64_t input_count;
  uint64_t output_bytes_max; /* alloc refuses more than this in all */
  uint64_t deadline_ns;      /* on host->now_ns(); 0 for none. Work not begun by then may be dropped
                                with AXLE_STATUS_DEADLINE_EXCEEDED */
  uint32_t stream_flags;     /* AXLE_STREAM_*, only in stream_write */
  uint32_t reserved;
} axle_task;

/* A piece of output. Chunks of one output are concatenated by the host in the order of emission, so
 * an op with byte output may emit it piecemeal; a tensor is emitted whole, in one chunk. Several chunks
 * of one output have rank 1 and the same dtype and name. */
typedef struct axle_chunk {
  uint64_t struct_size;
  uint32_t output; /* 0-based position among the op's or the model's outputs */
  uint32_t dtype;
  const char *name;    /* of the output, or NULL; copied */
  const int64_t *dims; /* copied */
  uint32_t rank;
  uint32_t reserved;
  void *data;     /* from host->alloc for this task; emit takes it over. NULL will do for 0 bytes */
  uint64_t bytes; /* how much of it counts, from its start; at most what was allocated */
} axle_chunk;

/* How a task ended. Zero is a good default for every field but struct_size. */
typedef struct axle_completion {
  uint64_t struct_size;
  int32_t status;
  uint32_t batch_size; /* tasks of its submit that were computed together, itself included */
  const char
      *message; /* for a status other than OK: what was wrong and what to do; copied; or NULL */
  /* None of them is longer than from submit to complete. */
  uint64_t queue_ns;       /* from submit until work on it began */
  uint64_t transfer_ns;    /* gathering, copying to the device and back; of the whole batch */
  uint64_t compute_ns;     /* of the whole batch */
  uint64_t consumed_bytes; /* stream_write: how much of input 0 was used up */
  uint32_t stream_more;    /* stream_write: 1 = more output waits, write again before new input */
  uint32_t reserved;
} axle_completion;

/* ---- what the host offers -------------------------------------------------------------------- */

/* Levels of host->log. */
#define AXLE_LOG_DEBUG 1u
#define AXLE_LOG_INFO 2u
#define AXLE_LOG_WARN 3u
#define AXLE_LOG_ERROR 4u

/* Valid for the life of the process. */
typedef struct axle_host {
  uint64_t struct_size;
  uint32_t abi_major;
  uint32_t abi_minor;
  const void *extensions; /* NULL in 0.x */

  /* Output memory of `bytes` (0 too) for `task`, aligned to 64, uninitialised; kind is AXLE_MEMORY_* and
   * is a wish. NULL when the task's cap or the host's memory would be passed: complete the task with
   * AXLE_STATUS_RESOURCE_EXHAUSTED. Memory that was not emitted when the task completes is freed.
   * AXLE_MEMORY_SHARED may lie where the caller wants its result, which saves a copy: another process may
   * read and write it from now on, so it is for output that the plugin writes and does not read back. */
  void *(*alloc)(axle_task *task, uint64_t bytes, uint32_t kind);
  /* Changes the size of memory from alloc, keeping its content; NULL as for alloc, and then the old
   * memory stays valid. The memory may move. */
  void *(*resize)(axle_task *task, void *data, uint64_t bytes);
  /* Gives memory from alloc back early, and its share of the cap. */
  void (*release)(axle_task *task, void *data);
  /* Hands a piece of output over; the plugin must not touch chunk->data afterwards. Returns
   * AXLE_STATUS_INVALID_ARGUMENT, and takes nothing, when the chunk breaks a rule. */
  int32_t (*emit)(axle_task *task, const axle_chunk *chunk);
  /* Ends the task. The plugin must not touch it afterwards. Must not be called inside submit or
   * stream_write, on any task of that call. */
  void (*complete)(axle_task *task, const axle_completion *completion);
  /* 1 when nobody waits for this task any more: long work asks now and then, stops, and completes
   * with AXLE_STATUS_CANCELLED. May be called from any thread until complete() is called. */
  int32_t (*cancelled)(const axle_task *task);
  /* A monotonic clock, the one of deadline_ns. */
  uint64_t (*now_ns)(void);
  /* One line, no newline, no payload bytes and no secrets. */
  void (*log)(uint32_t level, const char *message);
} axle_host;

/* ---- what a plugin describes ----------------------------------------------------------------- */

typedef struct axle_device_info {
  uint64_t struct_size;
  const char *id;   /* stable over restarts and unique in the plugin: a PCI address, a UUID, "0" */
  const char *name; /* for people: "AMD EPYC 7B13, 2 threads" */
  uint32_t kind;    /* AXLE_DEVICE_KIND_* */
  uint32_t flags;   /* AXLE_DEVICE_FLAG_* */
  uint64_t memory_bytes; /* that models and buffers share; 0 = not known */
  /* Submits that make progress at once, at least 1: the host keeps so many going, and hands over as
   * many again ahead of time while they are expected to take less than a millisecond. */
  uint32_t parallel;
  uint32_t reserved;
} axle_device_info;

/* A tensor of a model or a custom op. rank 0 is a scalar: there is no word for a rank that is not
 * known. Where a model's file leaves it open, the host knows that, and goes by no rank told here. */
typedef struct axle_tensor_spec {
  const char *name;
  uint32_t dtype;
  uint32_t rank;
  const int64_t *dims; /* -1 = any */
  uint64_t reserved[2];
} axle_tensor_spec;

/* An argument of a custom op. */
typedef struct axle_arg_spec {
  const char *name;
  const char *doc;
  uint32_t type; /* AXLE_ARG_* */
  uint32_t required;
  uint64_t reserved[2];
} axle_arg_spec;

/* An op that the plugin runs. A semantic op is a chain of steps (classify = decode, preprocess,
 * infer, topk, numbered from 0). A plugin that does several of them in one task says so by an entry
 * with the semantic op and the contiguous range chain_first..chain_last of it; such a task has the
 * inputs of the first step and the outputs of the last. Both are 0 for every other op. */
typedef struct axle_op_info {
  uint64_t struct_size;
  uint32_t op; /* AXLE_OP_*, or a number from AXLE_CUSTOM_OP_ID_FIRST that this plugin chooses */
  uint32_t version; /* of the op's contract; AXLE_OP_*_VERSION for those below */
  const char *name; /* custom ops: "vendor.example/blur", unique; else NULL */
  const char *doc;  /* one line, or NULL */
  uint32_t flags;   /* AXLE_OP_FLAG_*: replay, hedging and batching go by these and nothing else */
  uint32_t chain_first;
  uint32_t chain_last;
  uint32_t batch_max; /* BATCHABLE: most tasks computed together; 0 = no limit of its own */
  /* Custom ops only; NULL and 0 otherwise. */
  const axle_arg_spec *args;
  uint64_t arg_count;
  const axle_tensor_spec *inputs;
  uint64_t input_count;
  const axle_tensor_spec *outputs;
  uint64_t output_count;
} axle_op_info;

/* One file of a model, by its name relative to the model's folder ("model.onnx", "weights/0.bin"). */
typedef struct axle_file {
  const char *name;
  const void *data;
  uint64_t bytes;
} axle_file;

/* What a model is loaded from: bytes, never a path. files[0] is the model itself; others are named by
 * it, and it may name no file outside this list. Valid until model_load returns. */
typedef struct axle_model_source {
  uint64_t struct_size;
  const char *name;   /* for messages */
  const char *format; /* "onnx" */
  const axle_file *files;
  uint64_t file_count;
  const axle_arg *args; /* settings of the model's owner; unknown ones are ignored */
  uint64_t arg_count;
} axle_model_source;

/* Valid until the model is unloaded. Dimension 0 of an input is -1 where the model takes a batch. */
typedef struct axle_model_info {
  uint64_t struct_size;
  const axle_tensor_spec *inputs;
  uint64_t input_count;
  const axle_tensor_spec *outputs;
  uint64_t output_count;
  uint64_t memory_bytes; /* on the device, as well as it is known; 0 = not known */
} axle_model_info;

/* What supports() is asked about. */
typedef struct axle_op_query {
  uint64_t struct_size;
  uint32_t op;
  uint32_t op_version;
  uint32_t chain_first;
  uint32_t chain_last;
  const axle_model_source *source; /* the model that it would run, not loaded yet; or NULL */
  const axle_arg *args;
  uint64_t arg_count;
} axle_op_query;

typedef struct axle_health {
  uint64_t struct_size;
  uint32_t state; /* AXLE_HEALTH_* */
  uint32_t reserved;
  char message[AXLE_HEALTH_MESSAGE_BYTES_MAX + 1u]; /* why it is not OK */
} axle_health;

/* Counters since open, which never go back, and how things are now; 0 where a plugin does not know. */
typedef struct axle_statistics {
  uint64_t struct_size;
  uint64_t tasks_completed;
  uint64_t tasks_failed;
  uint64_t batches;
  uint64_t compute_ns;
  uint64_t memory_used_bytes;
  uint32_t utilization_percent;
  uint32_t temperature_celsius;
} axle_statistics;

/* An option at open: key=value, as the operator wrote it. */
typedef struct axle_option {
  const char *key;
  const char *value;
} axle_option;

/* What a stream does. */
typedef struct axle_stream_config {
  uint64_t struct_size;
  uint32_t device;
  uint32_t op; /* one with AXLE_OP_FLAG_STREAMABLE */
  uint32_t op_version;
  uint32_t reserved;
  const axle_arg *args; /* valid until stream_open returns */
  uint64_t arg_count;
} axle_stream_config;

#define AXLE_STREAM_END 1u /* task->stream_flags: no input comes after this task's */

/* ---- the plugin's table ---------------------------------------------------------------------- */

/* Devices and ops are named by their index, 0 .. count - 1, fixed from open to close: at least one
 * device, ops with a version of at least 1, custom names with a '/' in them. Slots marked optional may be
 * NULL. The table is valid for the life of the process. */
typedef struct axle_plugin {
  uint64_t struct_size;
  uint32_t abi_major; /* AXLE_ABI_MAJOR and AXLE_ABI_MINOR that it was compiled with */
  uint32_t abi_minor;
  const void *extensions; /* NULL in 0.x */
  const char *name;       /* "cpu-fallback" */
  const char *version;    /* of the plugin */

  /* Opens the plugin. Called once for each distinct set of options, from a thread of the host that
   * may block. An option that is not known, or has a bad value, is AXLE_STATUS_INVALID_ARGUMENT. A
   * machine that lacks the hardware, driver or library is AXLE_STATUS_UNAVAILABLE with the reason:
   * the plugin is then listed as unavailable, which is not an error. */
  int32_t (*open)(const axle_host *host, const axle_option *options, uint64_t option_count,
                  axle_instance **instance, axle_error *error);
  /* Closes it. No queue, model or stream is open then. May block. */
  void (*close)(axle_instance *instance);

  uint32_t (*device_count)(axle_instance *instance);
  /* These fill `info`, which comes zeroed but for struct_size; its strings and arrays stay valid until
   * close. Any thread. */
  void (*device_info)(axle_instance *instance, uint32_t device, axle_device_info *info);
  uint32_t (*op_count)(axle_instance *instance);
  void (*op_info)(axle_instance *instance, uint32_t index, axle_op_info *info);

  /* How well `device` runs this: 0 = not at all, higher is better among equals; a plain software path
   * is 1, hardware made for it 100. With 0, and only then, why->message says why, for people to read; it
   * is an answer and no error, so why->status counts for nothing. Must be quick and must not touch the
   * device: who asks serves callers meanwhile. Any thread. */
  uint32_t (*supports)(axle_instance *instance, uint32_t device, const axle_op_query *query,
                       axle_error *why);

  /* Optional: health is OK, statistics are 0. Any thread; may block for milliseconds. */
  void (*health)(axle_instance *instance, uint32_t device, axle_health *health);
  void (*statistics)(axle_instance *instance, uint32_t device, axle_statistics *statistics);

  /* Optional, for plugins that run models. Both may block and are called from a thread of the host,
   * several at once. Unload comes when no task that uses the model is outstanding. */
  int32_t (*model_load)(axle_instance *instance, uint32_t device, const axle_model_source *source,
                        axle_model **model, axle_error *error);
  void (*model_unload)(axle_instance *instance, axle_model *model);
  void (*model_info)(axle_instance *instance, axle_model *model, axle_model_info *info);

  /* A queue belongs to one user of a device; a device has many. Calls on one queue never overlap.
   * Open comes from a thread that must not wait: reserve in open() or model_load() what takes time.
   * Close comes when none of its tasks is outstanding, and may block. */
  int32_t (*queue_open)(axle_instance *instance, uint32_t device, axle_queue **queue,
                        axle_error *error);
  void (*queue_close)(axle_instance *instance, axle_queue *queue);

  /* Takes all n tasks (1 .. AXLE_SUBMIT_MAX) and returns OK, or takes none and returns why. The tasks
   * are of one op, version and range; tasks of a BATCHABLE op also share model, arguments, and the
   * type and shape of every input but for dimension 0 (images before preprocess differ in height and
   * width too), and are offered to be computed together. Must not wait for the device, and must not
   * call complete() itself; another thread of the plugin may, from the moment that it has the task.
   * `tasks` itself is valid only during the call. Input that is wrong in itself is an error of its own
   * task, by complete(), and harms no other task of the batch. */
  int32_t (*submit)(axle_instance *instance, axle_queue *queue, axle_task *const *tasks, uint64_t n,
                    axle_error *error);
  /* Optional. Best effort; the task is still completed, once. From any thread, at any time after
   * submit's return; it may overlap complete() of the same task, which stays allocated until cancel
   * returns, and may call complete() itself. Not called for stream writes, whose cancellation, like
   * any other, shows in host->cancelled(): most plugins only poll that. */
  void (*cancel)(axle_instance *instance, axle_queue *queue, axle_task *task);

  /* Optional, for ops with AXLE_OP_FLAG_STREAMABLE: input in order, at most one task outstanding on a
   * stream. Open must not wait, as queue_open must not, nor may a write, as submit. A write's task has the next bytes as input 0
   * (perhaps none) and is completed like any other. The plugin need not use all of them, nor emit more
   * than task->output_bytes_max: it says in the completion how much it consumed and whether more output
   * waits, and is called again with the rest. The last write carries AXLE_STREAM_END; with everything
   * consumed and no more output the stream is finished. After a failed write only close follows. Close
   * comes when no task is outstanding, finished or not. Calls on one stream never overlap. */
  int32_t (*stream_open)(axle_instance *instance, const axle_stream_config *config,
                         axle_stream **stream, axle_error *error);
  int32_t (*stream_write)(axle_instance *instance, axle_stream *stream, axle_task *task,
                          axle_error *error);
  void (*stream_close)(axle_instance *instance, axle_stream *stream);
} axle_plugin;

/* The one exported symbol. Returns the table for that version of the ABI, or NULL when the plugin
 * does not speak it; a host asks for its newest first. Any thread; no side effects. */
AXLE_EXPORT const axle_plugin *axle_plugin_query(uint32_t abi_major, uint32_t abi_minor);

/* ---- what the ops mean ------------------------------------------------------------------------
 *
 * Arguments are by name; one that is absent has the default given. Unknown ones are ignored.
 *
 * decode      in 0: UINT8 [n], an encoded image; out 0: UINT8 [height, width, channels], sRGB or grey,
 *             turned upright, transparency laid on white
 *     width, height  INT   of the output, required
 *     fit          STRING  as in CSS object-fit: "fill" (default), "cover" (what sticks out at both
 *                          ends is cut off) or "contain" (white at both ends)
 *     channels     INT     3 (default) or 1
 *     unscaled_pixels_max  INT  default 0: with "fill", an image of at most so many pixels may be
 *                          given in its own size, when that is quicker, for preprocess to scale
 * preprocess  in 0: UINT8 [height, width, channels]
 *             out 0: FP32 [1, channels, height, width], or [1, height, width, channels]
 *     width, height  INT   scale to this size with an antialiasing filter of Lanczos's quality, before
 *                          all else. Default: the size of the image
 *     layout       STRING  "nchw" (default) or "nhwc"
 *     mean, std    BYTES   FP32 little-endian, one for each channel, in units of 0..255;
 *                          y = (x - mean[c]) / std[c]. Defaults 0 and 1
 *     standardize  STRING  "none" (default), or "image": y = (x - m) / max(s, 1 / sqrt(n)) with m and
 *                          s the mean and standard deviation of all n values of the image, before
 *                          mean and std are applied (as tf.image.per_image_standardization)
 * infer       in: the model's inputs by name, dimension 0 being the batch where the model has one
 *             out: the model's outputs, in the model's order, named
 * topk        in 0: FP32 [n] or [1, n]
 *             out 0: INT32 [k] indices; out 1: FP32 [k] scores; best first, equal scores by lower
 *             index, NaN last
 *     k            INT     default 1; more than n counts as n
 *     softmax      BOOL    default 0: 1 = the input is logits, the scores are softmax of them
 *                          (NaN stays NaN and takes no part in the sum)
 * classify    steps 0 decode, 1 preprocess, 2 infer, 3 topk; a fused range takes the arguments of all
 *             its steps. The model has one input; scores are its output named by
 *     output       STRING  default: the model's first
 * compress    in 0: UINT8 [n]; out 0: UINT8 [m], a whole stream that the codec's own tools read;
 *             several members or frames one after another are one stream
 *     codec        INT     AXLE_CODEC_*, required
 *     level        INT     default and range AXLE_CODEC_*_LEVEL_*
 * decompress  in 0: UINT8 [n]; out 0: UINT8 [m]. All members or frames; checksums are verified.
 *             Truncated input, and bytes after the end that are no member, are
 *             AXLE_STATUS_INVALID_ARGUMENT; a checksum that does not match is AXLE_STATUS_DATA_LOSS;
 *             more than output_bytes_max is AXLE_STATUS_RESOURCE_EXHAUSTED
 *     codec        INT     AXLE_CODEC_*; default 0 = by the first bytes
 *
 * decode is done by the host in this version: a plugin may fuse it, and none has to.
 */

/* ---- layout ---------------------------------------------------------------------------------- */

#ifdef __cplusplus
#define AXLE_STATIC_ASSERT(condition, message) static_assert(condition, message)
#else
#define AXLE_STATIC_ASSERT(condition, message) _Static_assert(condition, message)
#endif

/* 64-bit targets only, in this version. */
AXLE_STATIC_ASSERT(sizeof(void *) == 8, "axle/plugin.h needs 64-bit pointers");
AXLE_STATIC_ASSERT(sizeof(axle_error) == 1040, "axle_error");
AXLE_STATIC_ASSERT(sizeof(axle_segment) == 16, "axle_segment");
AXLE_STATIC_ASSERT(sizeof(axle_tensor) == 64, "axle_tensor");
AXLE_STATIC_ASSERT(sizeof(axle_arg) == 32, "axle_arg");
AXLE_STATIC_ASSERT(sizeof(axle_task) == 104, "axle_task");
AXLE_STATIC_ASSERT(sizeof(axle_chunk) == 56, "axle_chunk");
AXLE_STATIC_ASSERT(sizeof(axle_completion) == 64, "axle_completion");
AXLE_STATIC_ASSERT(sizeof(axle_host) == 88, "axle_host");
AXLE_STATIC_ASSERT(sizeof(axle_device_info) == 48, "axle_device_info");
AXLE_STATIC_ASSERT(sizeof(axle_tensor_spec) == 40, "axle_tensor_spec");
AXLE_STATIC_ASSERT(sizeof(axle_arg_spec) == 40, "axle_arg_spec");
AXLE_STATIC_ASSERT(sizeof(axle_op_info) == 96, "axle_op_info");
AXLE_STATIC_ASSERT(sizeof(axle_file) == 24, "axle_file");
AXLE_STATIC_ASSERT(sizeof(axle_model_source) == 56, "axle_model_source");
AXLE_STATIC_ASSERT(sizeof(axle_model_info) == 48, "axle_model_info");
AXLE_STATIC_ASSERT(sizeof(axle_op_query) == 48, "axle_op_query");
AXLE_STATIC_ASSERT(sizeof(axle_health) == 272, "axle_health");
AXLE_STATIC_ASSERT(sizeof(axle_statistics) == 56, "axle_statistics");
AXLE_STATIC_ASSERT(sizeof(axle_option) == 16, "axle_option");
AXLE_STATIC_ASSERT(sizeof(axle_stream_config) == 40, "axle_stream_config");
AXLE_STATIC_ASSERT(sizeof(axle_plugin) == 192, "axle_plugin");

#ifdef __cplusplus
}
#endif

#endif /* AXLE_PLUGIN_H */
