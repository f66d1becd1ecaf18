/* SPDX-License-Identifier: Apache-2.0
 * Of the fault plugin alone. */
#ifndef AXLE_FAULT_H
#define AXLE_FAULT_H

#include <axle/plugin.h>
#include <pthread.h>

#define OP_COPY AXLE_CUSTOM_OP_ID_FIRST

/* In the order of the names in faults.c. */
typedef enum fault {
  FAULT_NONE,
  /* of tasks */
  FAULT_COMPLETE_TWICE,
  FAULT_COMPLETE_IN_SUBMIT,
  FAULT_COMPLETE_ON_CANCEL,
  FAULT_NEVER_COMPLETE,
  FAULT_LOSE_TASKS,
  FAULT_LOSE_LAST,
  FAULT_REFUSE_ALL,
  FAULT_WRONG_SIZE,
  FAULT_WRONG_TYPE,
  FAULT_WRONG_OUTPUT,
  FAULT_EMIT_AFTER_COMPLETE,
  FAULT_WRITE_PAST_END,
  FAULT_WRITE_FAR_PAST_END,
  FAULT_WRITE_PAST_FENCE,
  FAULT_WRITE_PAST_BLOCK,
  FAULT_WRITE_BEFORE_START,
  FAULT_WRITE_INPUT,
  FAULT_WRITE_DIMS,
  FAULT_WRITE_TENSOR,
  FAULT_WRITE_SEGMENT,
  FAULT_WRITE_TASK,
  FAULT_WRITE_LIST,
  FAULT_WRITE_ARGUMENTS,
  FAULT_WRITE_ASKED_ARGUMENTS,
  FAULT_FIRST_SEGMENT_ONLY,
  FAULT_READ_TWICE,
  FAULT_READ_LATE,
  FAULT_CHANGING_OUTPUT,
  FAULT_PREVIOUS_OUTPUT,
  FAULT_BATCH_SIZE,
  FAULT_FAIL_TOGETHER,
  FAULT_IGNORE_CAP,
  FAULT_LATE_STATUS,
  FAULT_CANCEL_STATUS,
  FAULT_LOSE_CANCELLED,
  FAULT_NO_MESSAGE,
  FAULT_LEAK,
  FAULT_LEAK_LITTLE,
  FAULT_LEAK_MUCH,
  FAULT_LEAK_DESCRIPTORS,
  FAULT_LEAK_ON_ERROR,
  FAULT_LEAK_DESCRIPTORS_ON_ERROR,
  FAULT_LEAVE_UNWRITTEN,
  FAULT_READ_PAST_END,
  FAULT_CROSS_QUEUES,
  FAULT_WRONG_CLOCK,
  FAULT_CANCEL_ANOTHER,
  FAULT_ONE_THREAD,
  FAULT_STICKY_ARGUMENT,
  FAULT_LONG_TIMES,
  FAULT_CRASH_ON_ODD_VALUE,
  FAULT_CRASH,
  FAULT_CRASH_WHEN_LARGE,
  FAULT_CRASH_WHEN_EMPTY,
  FAULT_CRASH_WHEN_ONE,
  FAULT_NEEDS_ARGUMENT,
  FAULT_CRASH_ON_ARGUMENT,
  FAULT_CRASH_ON_ZERO,
  FAULT_SILENT_ARGUMENT,
  FAULT_EXIT,
  FAULT_MORE_AND_MORE,
  /* of the plugin */
  FAULT_CRASH_ON_CLOSE,
  FAULT_HANG_ON_CLOSE,
  FAULT_LEFT_THREAD,
  FAULT_FORK_ON_OPEN,
  FAULT_LEAK_ON_CLOSE,
  FAULT_LEAK_DESCRIPTORS_ON_CLOSE,
  FAULT_LEAK_ON_REFUSAL,
  FAULT_LOST,
  FAULT_ANY_OPTION,
  FAULT_SLOW_SUPPORTS,
  FAULT_SILENT_REFUSAL,
  FAULT_SLOW_HEALTH,
  FAULT_SILENT_HEALTH,
  FAULT_COUNT_TWICE,
  FAULT_COUNT_BACK,
  FAULT_COUNT_ON,
  FAULT_CHANGE_NAME,
  FAULT_CHANGE_DIRECTORY,
  FAULT_CHANGE_UMASK,
  FAULT_CHANGE_VARIABLE,
  FAULT_IGNORE_SIGNAL,
  FAULT_BLOCK_SIGNALS,
  FAULT_CLOSE_INPUT,
  FAULT_FLUSH_DENORMALS,
  FAULT_ROUND_UP,
  FAULT_FEW_QUEUES,
  FAULT_LEAK_QUEUE,
  FAULT_LEAK_DESCRIPTORS_QUEUE,
  FAULT_SLOW_QUEUE_OPEN,
  FAULT_SLOW_FIRST_QUEUE,
  FAULT_SLOW_SUBMIT,
  FAULT_SLOW_FIRST_SUBMIT,
  FAULT_SLOW_CANCEL,
  FAULT_SUBMIT_WHEN_IDLE,
  /* of streams */
  FAULT_STREAM_DROP,
  FAULT_STREAM_STUCK,
  FAULT_STREAM_OVER_CAP,
  FAULT_STREAM_NO_MORE,
  FAULT_STREAM_EMPTY,
  FAULT_STREAM_CANCEL_STATUS,
  FAULT_STREAM_CRASH_ON_CLOSE,
  FAULT_STREAM_SHARED,
  FAULT_STREAM_LEAK,
  FAULT_STREAM_LEAK_ON_ERROR,
  FAULT_STREAM_WRITE_ARGUMENTS,
  FAULT_SLOW_STREAM_OPEN,
  FAULT_SLOW_STREAM_WRITE,
  /* of what another plugin does */
  FAULT_WRONG_NUMBERS,
  FAULT_WRONG_RANGE,
  FAULT_FLIP_BYTE,
  FAULT_BLOAT,
  FAULT_SWALLOW_ERRORS,
  FAULT_MODEL_INFO,
  FAULT_MODEL_SHARED,
  FAULT_MODEL_BUSY,
  FAULT_MODEL_ONCE,
  FAULT_MODEL_ANY,
  FAULT_MODEL_STATUS,
  FAULT_MODEL_ANY_FORMAT,
  FAULT_MODEL_FIRST_FILE,
  FAULT_MODEL_ASSUMED,
  FAULT_MODEL_LEAK,
  FAULT_MODEL_LEAK_ON_ERROR,
  FAULT_MODEL_WRITE_FILE,
} fault;

/* As in the template: a line of tasks, linked by their plugin_data, and the thread that works it off. Writes
 * wait in a line of their own, linked by their streams. */
typedef struct line {
  axle_task *first;
  axle_task *last;
  axle_stream *first_stream;
  uint64_t outstanding; /* tasks that were added and have not ended */
  int closing;
} line;

/* What is remembered of a model of the wrapped plugin. */
typedef struct known_model {
  struct known_model *next;
  axle_model *handle;
  uint8_t *content; /* of its first file */
  uint64_t bytes;
  int is_unloaded; /* as far as the host knows */
} known_model;

/* Another plugin, which does all ops but copy on its first device. */
typedef struct wrapped {
  void *library;
  const axle_plugin *table;
  axle_instance *instance;
  axle_host host;        /* ours, spoilt as the fault has it */
  pthread_mutex_t mutex; /* guards what follows */
  known_model *models;
  int loading;
  int unloaded;
} wrapped;

struct axle_instance {
  const axle_host *host;
  fault fault;
  long delay_ms;
  int32_t status;
  wrapped *wrapped; /* NULL without the option wrap */

  /* Of the thread alone. */
  uint8_t runs;
  int broken;        /* rules, for one fault */
  uint8_t *previous; /* the last input */
  uint64_t previous_bytes;
  int64_t gain;      /* the last one given, for one fault */
  int32_t spreading; /* the status of a task that failed, while others wait behind it */

  pthread_t thread;
  pthread_mutex_t mutex; /* guards what follows */
  pthread_cond_t changed;
  line line;
  uint64_t tasks_ended;
  uint32_t asked; /* for its statistics */
  uint32_t queues;
};

#define STREAM_BYTES 4096u

/* What came in and has not gone out yet. */
typedef struct stream_buffer {
  uint8_t data[STREAM_BYTES];
  uint64_t bytes;
} stream_buffer;

struct axle_stream {
  axle_stream *inner; /* of the wrapped plugin; NULL for a stream of copy */
  axle_stream *next;  /* in line */
  axle_task *task;    /* the outstanding write */
  stream_buffer buffer;
  int has_begun;
};

/* faults.c */
int32_t read_options(axle_instance *instance, const axle_option *options, uint64_t option_count,
                     axle_error *error);
void pause_ms(long ms);
void lose_memory(uint64_t bytes);
void lose_descriptor(void);

/* copy.c: the op fault.axle/copy. Both run a task and end it. */
void copy_describe(const axle_instance *instance, axle_op_info *info);
void copy_run(axle_instance *instance, axle_task *task);
void end_task(axle_instance *instance, axle_task *task, const axle_completion *end);

/* arguments.c. `why` is set with a status other than OK, or there is nothing to say. */
void arguments_describe(const axle_instance *instance, axle_op_info *info);
int32_t arguments_check(axle_instance *instance, const axle_task *task, const char **why);

/* tamper.c */
void tamper_with(const axle_instance *instance, axle_task *task);
void tamper_with_arguments(const axle_arg *args, uint64_t count);

/* process.c: at open, and on the thread that submits */
void spoil_process(const axle_instance *instance);
void spoil_thread(const axle_instance *instance);

/* line.c */
int line_start(axle_instance *instance);
void line_stop(axle_instance *instance);
void line_add(axle_instance *instance, axle_task *const *tasks, uint64_t n);
void line_add_stream(axle_instance *instance, axle_stream *stream);
/* 1 when the task waited, and does no longer. */
int line_remove(axle_instance *instance, const axle_task *task);
/* The first that waited, and does no longer; or NULL. */
axle_task *line_take(axle_instance *instance);
int line_is_empty(axle_instance *instance);
/* Until all that waited and ran has ended. */
void line_wait(axle_instance *instance);

/* streams.c: streams of copy and of the wrapped plugin */
void stream_run(axle_instance *instance, axle_stream *stream);
int32_t stream_open(axle_instance *instance, const axle_stream_config *config, axle_stream **stream,
                    axle_error *error);
int32_t stream_write(axle_instance *instance, axle_stream *stream, axle_task *task,
                     axle_error *error);
void stream_close(axle_instance *instance, axle_stream *stream);

/* wrap.c. Options that begin with "wrap." are the wrapped plugin's, without that. */
int32_t wrap_open(axle_instance *instance, const char *path, const axle_option *options,
                  uint64_t option_count, axle_error *error);
void wrap_close(axle_instance *instance);

/* wrap_host.c: what the wrapped plugin's calls of the host do instead. */
void wrap_spoil_host(const axle_host *host, fault fault, axle_host *spoilt);

/* wrap_models.c: models of the wrapped plugin */
int32_t model_load(axle_instance *instance, uint32_t device, const axle_model_source *source,
                   axle_model **model, axle_error *error);
void model_unload(axle_instance *instance, axle_model *model);
void model_info(axle_instance *instance, axle_model *model, axle_model_info *info);
int32_t check_models(axle_instance *instance, axle_task *const *tasks, uint64_t n,
                     axle_error *error);
void forget_models(wrapped *wrapped);

#endif
