/* SPDX-License-Identifier: Apache-2.0
 * Tasks and writes that wait, and the thread that works them off. */
#include "fault.h"

/* Under the mutex. */
static int is_idle(const line *line) { return line->first == NULL && line->first_stream == NULL; }

static void *work(void *data) {
  axle_instance *instance = data;
  line *line = &instance->line;
  pthread_mutex_lock(&instance->mutex);
  for (;;) {
    while (is_idle(line) && !line->closing) pthread_cond_wait(&instance->changed, &instance->mutex);
    if (is_idle(line)) break;
    axle_task *task = line->first;
    axle_stream *stream = line->first_stream;
    if (task != NULL) {
      line->first = task->plugin_data;
    } else {
      line->first_stream = stream->next;
    }
    pthread_mutex_unlock(&instance->mutex);
    if (task != NULL) {
      copy_run(instance, task);
    } else {
      stream_run(instance, stream);
    }
    pthread_mutex_lock(&instance->mutex);
  }
  pthread_mutex_unlock(&instance->mutex);
  return NULL;
}

int line_start(axle_instance *instance) {
  pthread_mutex_init(&instance->mutex, NULL);
  pthread_cond_init(&instance->changed, NULL);
  return pthread_create(&instance->thread, NULL, work, instance);
}

void line_stop(axle_instance *instance) {
  pthread_mutex_lock(&instance->mutex);
  instance->line.closing = 1;
  pthread_mutex_unlock(&instance->mutex);
  pthread_cond_broadcast(&instance->changed);
  pthread_join(instance->thread, NULL);
  pthread_cond_destroy(&instance->changed);
  pthread_mutex_destroy(&instance->mutex);
}

void line_add(axle_instance *instance, axle_task *const *tasks, uint64_t n) {
  line *line = &instance->line;
  pthread_mutex_lock(&instance->mutex);
  for (uint64_t i = 0; i < n; i++) {
    tasks[i]->plugin_data = NULL;
    if (line->first == NULL) {
      line->first = tasks[i];
    } else {
      line->last->plugin_data = tasks[i];
    }
    line->last = tasks[i];
  }
  line->outstanding += n;
  pthread_mutex_unlock(&instance->mutex);
  pthread_cond_broadcast(&instance->changed);
}

void line_add_stream(axle_instance *instance, axle_stream *stream) {
  pthread_mutex_lock(&instance->mutex);
  axle_stream **at = &instance->line.first_stream;
  while (*at != NULL) at = &(*at)->next;
  stream->next = NULL;
  *at = stream;
  pthread_mutex_unlock(&instance->mutex);
  pthread_cond_broadcast(&instance->changed);
}

int line_remove(axle_instance *instance, const axle_task *task) {
  line *line = &instance->line;
  int found = 0;
  pthread_mutex_lock(&instance->mutex);
  axle_task *before = NULL;
  for (axle_task *each = line->first; each != NULL; each = each->plugin_data) {
    if (each == task) {
      if (before == NULL) {
        line->first = each->plugin_data;
      } else {
        before->plugin_data = each->plugin_data;
      }
      if (line->last == each) line->last = before;
      found = 1;
      break;
    }
    before = each;
  }
  pthread_mutex_unlock(&instance->mutex);
  return found;
}

axle_task *line_take(axle_instance *instance) {
  line *line = &instance->line;
  pthread_mutex_lock(&instance->mutex);
  axle_task *task = line->first;
  if (task != NULL) line->first = task->plugin_data;
  pthread_mutex_unlock(&instance->mutex);
  return task;
}

int line_is_empty(axle_instance *instance) {
  pthread_mutex_lock(&instance->mutex);
  const int empty = instance->line.first == NULL;
  pthread_mutex_unlock(&instance->mutex);
  return empty;
}

void line_wait(axle_instance *instance) {
  pthread_mutex_lock(&instance->mutex);
  while (instance->line.outstanding > 0) pthread_cond_wait(&instance->changed, &instance->mutex);
  pthread_mutex_unlock(&instance->mutex);
}
