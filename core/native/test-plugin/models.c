/* SPDX-License-Identifier: Apache-2.0
 * Models of the format "test": the bytes of all their files, after one another. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "internal.h"

static const axle_arg *find_setting(const axle_model_source *source, const char *name) {
  for (uint64_t i = 0; i < source->arg_count; ++i) {
    if (strcmp(source->args[i].name, name) == 0) return &source->args[i];
  }
  return NULL;
}

int32_t model_load(axle_instance *instance, uint32_t device, const axle_model_source *source,
                   axle_model **model, axle_error *error) {
  (void)device;
  if (strcmp(source->format, "test") != 0) {
    snprintf(error->message, sizeof error->message, "format '%s' is not known; use 'test'",
             source->format);
    return AXLE_STATUS_INVALID_ARGUMENT;
  }
  const axle_arg *delay = find_setting(source, "delay_ms");
  if (delay != NULL) {
    struct timespec time = {delay->value.i / 1000, delay->value.i % 1000 * 1000000};
    nanosleep(&time, NULL);
  }
  axle_model *loaded = calloc(1, sizeof *loaded);
  if (loaded == NULL) return AXLE_STATUS_RESOURCE_EXHAUSTED;
  for (uint64_t i = 0; i < source->file_count; ++i) loaded->byte_count += source->files[i].bytes;
  loaded->bytes = malloc(loaded->byte_count + 1);
  if (loaded->bytes == NULL) abort();
  char *at = loaded->bytes;
  for (uint64_t i = 0; i < source->file_count; ++i) {
    memcpy(at, source->files[i].data, source->files[i].bytes);
    at += source->files[i].bytes;
  }
  pthread_mutex_lock(&instance->mutex);
  ++instance->models_loaded;
  pthread_mutex_unlock(&instance->mutex);
  *model = loaded;
  return AXLE_STATUS_OK;
}

void model_unload(axle_instance *instance, axle_model *model) {
  pthread_mutex_lock(&instance->mutex);
  --instance->models_loaded;
  pthread_mutex_unlock(&instance->mutex);
  free(model->bytes);
  free(model);
}

void model_info(axle_instance *instance, axle_model *model, axle_model_info *info) {
  static const int64_t dims[2] = {-1, 2};
  static const axle_tensor_spec input = {
      .name = "x", .dtype = AXLE_DTYPE_FP32, .rank = 2, .dims = dims};
  static const int64_t any = -1;
  static const axle_tensor_spec output = {
      .name = "content", .dtype = AXLE_DTYPE_UINT8, .rank = 1, .dims = &any};
  static const axle_tensor_spec bad = {
      .name = "", .dtype = AXLE_DTYPE_UINT8, .rank = 1, .dims = &any};
  info->inputs = &input;
  info->input_count = 1;
  info->outputs =
      instance->broken != NULL && strcmp(instance->broken, "model") == 0 ? &bad : &output;
  info->output_count = 1;
  info->memory_bytes = model->byte_count;
}
