/* SPDX-License-Identifier: Apache-2.0
 * Opens another plugin, whose ops are then offered beside copy. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"

#define PREFIX "wrap."
#define PREFIX_BYTES (sizeof PREFIX - 1)

typedef const axle_plugin *(*query_function)(uint32_t abi_major, uint32_t abi_minor);

static const axle_plugin *find_table(void *library) {
  query_function query = NULL;
  /* ISO C has no cast from an object's pointer to a function's. */
  *(void **)&query = dlsym(library, "axle_plugin_query");
  return query == NULL ? NULL : query(AXLE_ABI_MAJOR, AXLE_ABI_MINOR);
}

/* Those of the wrapped plugin, under the names that it knows. */
static uint64_t select_options(const axle_option *options, uint64_t option_count,
                               axle_option *selected) {
  uint64_t count = 0;
  for (uint64_t i = 0; i < option_count; i++) {
    if (strncmp(options[i].key, PREFIX, PREFIX_BYTES) != 0) continue;
    selected[count].key = options[i].key + PREFIX_BYTES;
    selected[count++].value = options[i].value;
  }
  return count;
}

static int32_t open_wrapped(axle_instance *instance, wrapped *wrapped, const char *path,
                            const axle_option *options, uint64_t option_count, axle_error *error) {
  wrapped->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  wrapped->table = wrapped->library == NULL ? NULL : find_table(wrapped->library);
  if (wrapped->table == NULL) {
    snprintf(error->message, sizeof error->message, "'%s' is no plugin of this ABI", path);
    return AXLE_STATUS_INVALID_ARGUMENT;
  }
  const axle_plugin *table = wrapped->table;
  if (table->model_load == NULL || table->stream_open == NULL || table->cancel != NULL) {
    snprintf(error->message, sizeof error->message,
             "only a plugin with models and streams, and without cancel, can be wrapped");
    return AXLE_STATUS_INVALID_ARGUMENT;
  }
  wrap_spoil_host(instance->host, instance->fault, &wrapped->host);
  axle_option *selected = calloc(option_count + 1, sizeof *selected);
  if (selected == NULL) return AXLE_STATUS_RESOURCE_EXHAUSTED;
  const uint64_t count = select_options(options, option_count, selected);
  const int32_t status = table->open(&wrapped->host, selected, count, &wrapped->instance, error);
  free(selected);
  return status;
}

/* The library stays loaded, as the host keeps plugins. */
int32_t wrap_open(axle_instance *instance, const char *path, const axle_option *options,
                  uint64_t option_count, axle_error *error) {
  wrapped *wrapped = calloc(1, sizeof *wrapped);
  if (wrapped == NULL) return AXLE_STATUS_RESOURCE_EXHAUSTED;
  const int32_t status = open_wrapped(instance, wrapped, path, options, option_count, error);
  if (status != AXLE_STATUS_OK) {
    free(wrapped);
    return status;
  }
  pthread_mutex_init(&wrapped->mutex, NULL);
  instance->wrapped = wrapped;
  return AXLE_STATUS_OK;
}

void wrap_close(axle_instance *instance) {
  wrapped *wrapped = instance->wrapped;
  if (wrapped == NULL) return;
  forget_models(wrapped);
  wrapped->table->close(wrapped->instance);
  pthread_mutex_destroy(&wrapped->mutex);
  free(wrapped);
}
