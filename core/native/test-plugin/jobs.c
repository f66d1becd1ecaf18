/* SPDX-License-Identifier: Apache-2.0
 * Threads that run tasks when their time has come. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "internal.h"

#define POLL_NS 2000000u

static uint64_t delay_ns(const axle_task *task) {
  int64_t ms = int_arg(task, "delay_ms", 0);
  if (task->op == OP_SLEEP || task->op == OP_PAUSE) ms = int_arg(task, "ms", 0);
  return (uint64_t)ms * 1000000u;
}

/* Under the mutex. What is due at once stays in order of arrival, and need not look for its place. */
static void insert(axle_instance *instance, job *added) {
  job **at = &instance->jobs;
  if (added->due_ns == 0) {
    at = instance->last_due_now == NULL ? at : &instance->last_due_now->next;
    instance->last_due_now = added;
  } else {
    while (*at != NULL && (*at)->due_ns <= added->due_ns) at = &(*at)->next;
  }
  added->next = *at;
  *at = added;
}

int jobs_add(axle_instance *instance, axle_task *const *tasks, uint64_t n) {
  uint64_t now = instance->host->now_ns();
  pthread_mutex_lock(&instance->mutex);
  for (uint64_t i = 0; i < n; ++i) {
    job *added = calloc(1, sizeof *added);
    if (added == NULL) abort();
    uint64_t delay = delay_ns(tasks[i]);
    added->task = tasks[i];
    added->due_ns = delay == 0 ? 0 : now + delay;
    added->batch_size = tasks[i]->op == OP_BATCHED ? (uint32_t)n : 1;
    added->polls = tasks[i]->op == OP_SLEEP && int_arg(tasks[i], "poll", 0) != 0;
    insert(instance, added);
  }
  pthread_cond_signal(&instance->changed);
  pthread_mutex_unlock(&instance->mutex);
  return 0;
}

void jobs_add_second(axle_instance *instance, axle_task *task, uint64_t due_ns) {
  job *added = calloc(1, sizeof *added);
  if (added == NULL) abort();
  added->task = task;
  added->due_ns = due_ns;
  added->is_second_completion = 1;
  pthread_mutex_lock(&instance->mutex);
  insert(instance, added);
  pthread_cond_signal(&instance->changed);
  pthread_mutex_unlock(&instance->mutex);
}

void jobs_cancel(axle_instance *instance, axle_task *task) {
  pthread_mutex_lock(&instance->mutex);
  for (job *each = instance->jobs; each != NULL; each = each->next) {
    if (each->task == task && task->op == OP_SLEEP && !each->polls) each->due_ns = 1;
  }
  pthread_cond_broadcast(&instance->changed);
  pthread_mutex_unlock(&instance->mutex);
}

/* Under the mutex. */
static int is_ready(axle_instance *instance, const job *each, uint64_t now) {
  if (each->due_ns <= now || instance->closing) return 1;
  return each->polls && instance->host->cancelled(each->task);
}

static job *take_ready(axle_instance *instance, uint64_t *wake_ns) {
  uint64_t now = instance->host->now_ns();
  *wake_ns = UINT64_MAX;
  for (job **at = &instance->jobs; *at != NULL; at = &(*at)->next) {
    job *each = *at;
    if (is_ready(instance, each, now)) {
      if (each == instance->last_due_now) instance->last_due_now = NULL;
      *at = each->next;
      return each;
    }
    uint64_t due = each->polls ? now + POLL_NS : each->due_ns;
    if (due < *wake_ns) *wake_ns = due;
  }
  return NULL;
}

static void wait_until(axle_instance *instance, uint64_t wake_ns) {
  if (wake_ns == UINT64_MAX) {
    pthread_cond_wait(&instance->changed, &instance->mutex);
    return;
  }
  struct timespec until = {(time_t)(wake_ns / 1000000000u), (long)(wake_ns % 1000000000u)};
  pthread_cond_timedwait(&instance->changed, &instance->mutex, &until);
}

static void *work(void *context) {
  axle_instance *instance = context;
  pthread_mutex_lock(&instance->mutex);
  for (;;) {
    uint64_t wake_ns = 0;
    job *ready = take_ready(instance, &wake_ns);
    if (ready == NULL) {
      if (instance->closing) break;
      wait_until(instance, wake_ns);
      continue;
    }
    if (!ready->is_second_completion) ++instance->tasks_completed;
    /* The others sleep until there is work for them too. */
    if (instance->jobs != NULL) pthread_cond_signal(&instance->changed);
    pthread_mutex_unlock(&instance->mutex);
    if (ready->is_second_completion) {
      complete(instance, ready->task, AXLE_STATUS_OK, NULL, 1);
    } else {
      run_task(instance, ready->task, ready->batch_size);
    }
    free(ready);
    pthread_mutex_lock(&instance->mutex);
  }
  pthread_mutex_unlock(&instance->mutex);
  return NULL;
}

int jobs_start(axle_instance *instance) {
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_mutex_init(&instance->mutex, NULL);
  pthread_cond_init(&instance->changed, &attributes);
  pthread_condattr_destroy(&attributes);
  for (int i = 0; i < 4; ++i) {
    if (pthread_create(&instance->threads[i], NULL, work, instance) != 0) abort();
  }
  return 0;
}

void jobs_stop(axle_instance *instance) {
  pthread_mutex_lock(&instance->mutex);
  instance->closing = 1;
  pthread_cond_broadcast(&instance->changed);
  pthread_mutex_unlock(&instance->mutex);
  for (int i = 0; i < 4; ++i) pthread_join(instance->threads[i], NULL);
  pthread_mutex_destroy(&instance->mutex);
  pthread_cond_destroy(&instance->changed);
}
