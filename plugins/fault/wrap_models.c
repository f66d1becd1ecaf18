/* SPDX-License-Identifier: Apache-2.0
 * Models of the wrapped plugin: its handles are the host's, as tasks carry them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"

#define LEAKED_BYTES 1048576u
#define BUSY_MS 20

/* Under the mutex. NULL for none. */
static known_model *find_content(const wrapped *wrapped, const axle_file *file) {
  for (known_model *each = wrapped->models; each != NULL; each = each->next) {
    if (!each->is_unloaded && each->bytes == file->bytes &&
        memcmp(each->content, file->data, file->bytes) == 0) {
      return each;
    }
  }
  return NULL;
}

/* Under the mutex. */
static known_model *find_handle(const wrapped *wrapped, const axle_model *handle) {
  known_model *each = wrapped->models;
  while (each != NULL && each->handle != handle) each = each->next;
  return each;
}

static void remember(wrapped *wrapped, const axle_file *file, axle_model *handle) {
  known_model *known = calloc(1, sizeof *known);
  uint8_t *content = malloc(file->bytes + 1);
  if (known == NULL || content == NULL) abort();
  memcpy(content, file->data, file->bytes);
  *known = (known_model){.handle = handle, .content = content, .bytes = file->bytes};
  pthread_mutex_lock(&wrapped->mutex);
  known->next = wrapped->models;
  wrapped->models = known;
  pthread_mutex_unlock(&wrapped->mutex);
}

static int32_t load_inner(const wrapped *wrapped, const axle_model_source *source,
                          axle_model **model, axle_error *error) {
  return wrapped->table->model_load(wrapped->instance, 0, source, model, error);
}

static int32_t load_shared(wrapped *wrapped, const axle_model_source *source, axle_model **model,
                           axle_error *error) {
  pthread_mutex_lock(&wrapped->mutex);
  const known_model *known = find_content(wrapped, &source->files[0]);
  if (known != NULL) *model = known->handle;
  pthread_mutex_unlock(&wrapped->mutex);
  if (known != NULL) return AXLE_STATUS_OK;
  const int32_t status = load_inner(wrapped, source, model, error);
  if (status == AXLE_STATUS_OK) remember(wrapped, &source->files[0], *model);
  return status;
}

/* In place of what cannot be loaded, the last model that could. */
static int32_t load_any(wrapped *wrapped, const axle_model_source *source, axle_model **model,
                        axle_error *error) {
  const int32_t status = load_inner(wrapped, source, model, error);
  if (status == AXLE_STATUS_OK) {
    remember(wrapped, &source->files[0], NULL);
    return status;
  }
  pthread_mutex_lock(&wrapped->mutex);
  const known_model *known = wrapped->models;
  pthread_mutex_unlock(&wrapped->mutex);
  if (known == NULL) return status;
  const axle_file file = {.name = "model.onnx", .data = known->content, .bytes = known->bytes};
  axle_model_source other = *source;
  other.files = &file;
  other.file_count = 1;
  return load_inner(wrapped, &other, model, error);
}

/* One at a time. */
static int32_t load_alone(wrapped *wrapped, const axle_model_source *source, axle_model **model,
                          axle_error *error) {
  pthread_mutex_lock(&wrapped->mutex);
  const int is_busy = wrapped->loading > 0;
  wrapped->loading++;
  pthread_mutex_unlock(&wrapped->mutex);
  int32_t status = AXLE_STATUS_RESOURCE_EXHAUSTED;
  if (is_busy) {
    snprintf(error->message, sizeof error->message, "another model is being loaded");
  } else {
    pause_ms(BUSY_MS);
    status = load_inner(wrapped, source, model, error);
  }
  pthread_mutex_lock(&wrapped->mutex);
  wrapped->loading--;
  pthread_mutex_unlock(&wrapped->mutex);
  return status;
}

static int has_unloaded(wrapped *wrapped) {
  pthread_mutex_lock(&wrapped->mutex);
  const int unloaded = wrapped->unloaded;
  pthread_mutex_unlock(&wrapped->mutex);
  return unloaded;
}

int32_t model_load(axle_instance *instance, uint32_t device, const axle_model_source *source,
                   axle_model **model, axle_error *error) {
  (void)device;
  wrapped *wrapped = instance->wrapped;
  if (wrapped == NULL) {
    snprintf(error->message, sizeof error->message, "there are models only with the option wrap");
    return AXLE_STATUS_UNIMPLEMENTED;
  }
  axle_model_source changed = *source;
  switch (instance->fault) {
    case FAULT_MODEL_SHARED:
      return load_shared(wrapped, source, model, error);
    case FAULT_MODEL_ANY:
      return load_any(wrapped, source, model, error);
    case FAULT_MODEL_BUSY:
      return load_alone(wrapped, source, model, error);
    case FAULT_MODEL_ONCE:
      if (!has_unloaded(wrapped)) break;
      snprintf(error->message, sizeof error->message, "a model was unloaded before");
      return AXLE_STATUS_RESOURCE_EXHAUSTED;
    case FAULT_MODEL_ANY_FORMAT:
      changed.format = "onnx";
      break;
    case FAULT_MODEL_FIRST_FILE:
      changed.file_count = 1;
      break;
    case FAULT_MODEL_LEAK:
      lose_memory(LEAKED_BYTES);
      break;
    default:
      break;
  }
  const int32_t status = load_inner(wrapped, &changed, model, error);
  if (instance->fault == FAULT_MODEL_LEAK_ON_ERROR && status != AXLE_STATUS_OK) {
    lose_memory(LEAKED_BYTES);
  }
  if (instance->fault == FAULT_MODEL_WRITE_FILE) {
    const axle_file *file = &source->files[0];
    if (file->bytes > 0) ((uint8_t *)file->data)[file->bytes - 1] ^= 1;
  }
  const int hides_status = instance->fault == FAULT_MODEL_STATUS && status != AXLE_STATUS_OK;
  return hides_status ? AXLE_STATUS_UNKNOWN : status;
}

void model_unload(axle_instance *instance, axle_model *model) {
  wrapped *wrapped = instance->wrapped;
  pthread_mutex_lock(&wrapped->mutex);
  wrapped->unloaded = 1;
  known_model *known = find_handle(wrapped, model);
  if (known != NULL) known->is_unloaded = 1;
  pthread_mutex_unlock(&wrapped->mutex);
  if (known == NULL) wrapped->table->model_unload(wrapped->instance, model);
}

void model_info(axle_instance *instance, axle_model *model, axle_model_info *info) {
  const wrapped *wrapped = instance->wrapped;
  wrapped->table->model_info(wrapped->instance, model, info);
  if (instance->fault == FAULT_MODEL_INFO) info->input_count = 0;
}

int32_t check_models(axle_instance *instance, axle_task *const *tasks, uint64_t n,
                     axle_error *error) {
  wrapped *wrapped = instance->wrapped;
  for (uint64_t i = 0; i < n; i++) {
    const axle_model *model = tasks[i]->model;
    const int runs_model = tasks[i]->op == AXLE_OP_INFER || tasks[i]->op == AXLE_OP_CLASSIFY;
    if (model == NULL && runs_model && instance->fault == FAULT_MODEL_ASSUMED) abort();
    pthread_mutex_lock(&wrapped->mutex);
    const known_model *known = model == NULL ? NULL : find_handle(wrapped, model);
    const int is_gone = known != NULL && known->is_unloaded;
    pthread_mutex_unlock(&wrapped->mutex);
    if (!is_gone) continue;
    snprintf(error->message, sizeof error->message, "the model is not there any more");
    return AXLE_STATUS_FAILED_PRECONDITION;
  }
  return AXLE_STATUS_OK;
}

/* Those that were kept past their unloading go now. */
void forget_models(wrapped *wrapped) {
  known_model *each = wrapped->models;
  while (each != NULL) {
    known_model *next = each->next;
    if (each->handle != NULL) wrapped->table->model_unload(wrapped->instance, each->handle);
    free(each->content);
    free(each);
    each = next;
  }
}
