/* SPDX-License-Identifier: Apache-2.0
 * Of the test plugin alone. */
#ifndef AXLE_TEST_PLUGIN_INTERNAL_H
#define AXLE_TEST_PLUGIN_INTERNAL_H

#include <axle/plugin.h>
#include <pthread.h>

enum {
  OP_ECHO = AXLE_CUSTOM_OP_ID_FIRST, /* inputs -> the same outputs; args delay_ms, chunks */
  OP_MISBEHAVE,                      /* arg fault: see faults.c */
  OP_SLEEP,    /* arg ms; ends early when cancelled; arg poll: only by cancelled() */
  OP_ARGS,     /* -> its arguments as text */
  OP_DESCRIBE, /* -> its inputs as text */
  OP_BATCHED,  /* echo that computes together what was submitted together */
  OP_FILL,     /* args bytes, chunks, resize, waste: -> that many bytes, each its position % 251 */
  OP_PAUSE,    /* args ms: does not look at cancellation at all */
};

/* One task that waits for its time, or for its cancellation. */
typedef struct job {
  struct job *next;
  axle_task *task;
  uint64_t due_ns;
  uint32_t batch_size;
  int polls;
  int is_second_completion; /* the task is completed already, and is completed again */
} job;

struct axle_instance {
  const axle_host *host;
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  job *jobs;         /* by rising due_ns */
  job *last_due_now; /* the last with due_ns 0; NULL for none */
  pthread_t threads[4];
  int closing;
  uint64_t tasks_completed;
  uint64_t queues_open;
  uint64_t models_loaded;
  const char *broken; /* the rule to break in the description, or NULL */
};

struct axle_model {
  void *bytes;
  uint64_t byte_count;
};

/* jobs.c */
int jobs_start(axle_instance *instance);
void jobs_stop(axle_instance *instance); /* runs what is left first */
int jobs_add(axle_instance *instance, axle_task *const *tasks, uint64_t n);
void jobs_add_second(axle_instance *instance, axle_task *task, uint64_t due_ns);
void jobs_cancel(axle_instance *instance, axle_task *task);

/* ops.c */
void run_task(axle_instance *instance, axle_task *task, uint32_t batch_size);
void complete(axle_instance *instance, axle_task *task, int32_t status, const char *message,
              uint32_t batch_size);
const axle_arg *find_arg(const axle_task *task, const char *name);
int64_t int_arg(const axle_task *task, const char *name, int64_t otherwise);
int arg_is(const axle_task *task, const char *name, const char *value);
void gather(const axle_tensor *tensor, void *to);
int32_t emit(axle_instance *instance, axle_task *task, uint32_t output, const char *name,
             uint32_t dtype, uint32_t rank, const int64_t *dims, void *data, uint64_t bytes);

/* faults.c */
void misbehave(axle_instance *instance, axle_task *task);
int32_t misbehave_in_submit(axle_instance *instance, axle_task *const *tasks, uint64_t n,
                            axle_error *error);

/* models.c */
int32_t model_load(axle_instance *instance, uint32_t device, const axle_model_source *source,
                   axle_model **model, axle_error *error);
void model_unload(axle_instance *instance, axle_model *model);
void model_info(axle_instance *instance, axle_model *model, axle_model_info *info);

/* streams.c */
int32_t stream_open(axle_instance *instance, const axle_stream_config *config, axle_stream **stream,
                    axle_error *error);
int32_t stream_write(axle_instance *instance, axle_stream *stream, axle_task *task,
                     axle_error *error);
void stream_close(axle_instance *instance, axle_stream *stream);
void run_stream_task(axle_instance *instance, axle_task *task);

#endif
