/* SPDX-License-Identifier: Apache-2.0
 * A plugin with only the required slots; by VARIANT_*, one whose table is wrong in one way. */
#include <axle/plugin.h>
#include <string.h>

static int32_t open_instance(const axle_host *host, const axle_option *options, uint64_t count,
                             axle_instance **instance, axle_error *error) {
  (void)host, (void)options, (void)count, (void)instance, (void)error;
  return AXLE_STATUS_OK;
}
static void close_instance(axle_instance *instance) { (void)instance; }
static uint32_t device_count(axle_instance *instance) {
  (void)instance;
  return 1;
}
static void device_info(axle_instance *instance, uint32_t device, axle_device_info *info) {
  (void)instance, (void)device;
  info->id = "0";
  info->name = "nothing";
  info->kind = AXLE_DEVICE_KIND_OTHER;
  info->parallel = 1;
}
static uint32_t op_count(axle_instance *instance) {
  (void)instance;
  return 1;
}
static void op_info(axle_instance *instance, uint32_t index, axle_op_info *info) {
  (void)instance, (void)index;
  info->op = AXLE_OP_TOPK;
  info->version = AXLE_OP_TOPK_VERSION;
}
static uint32_t supports(axle_instance *instance, uint32_t device, const axle_op_query *query,
                         axle_error *why) {
  (void)instance, (void)device, (void)query;
  strcpy(why->message, "it does nothing");
  return 0;
}
static int32_t queue_open(axle_instance *instance, uint32_t device, axle_queue **queue,
                          axle_error *error) {
  (void)instance, (void)device, (void)queue, (void)error;
  return AXLE_STATUS_OK;
}
static void queue_close(axle_instance *instance, axle_queue *queue) { (void)instance, (void)queue; }
static int32_t submit(axle_instance *instance, axle_queue *queue, axle_task *const *tasks,
                      uint64_t n, axle_error *error) {
  (void)instance, (void)queue, (void)tasks, (void)n;
  strcpy(error->message, "it does nothing");
  return AXLE_STATUS_UNIMPLEMENTED;
}
#ifdef VARIANT_HALF_MODELS
static void model_unload(axle_instance *instance, axle_model *model) {
  (void)instance, (void)model;
}
#endif
#ifdef VARIANT_NEEDS_ABSENT
int axle_test_absent(void);
#endif

const axle_plugin *axle_plugin_query(uint32_t abi_major, uint32_t abi_minor) {
  static axle_plugin table = {
      .struct_size = sizeof table,
      .abi_major = AXLE_ABI_MAJOR,
      .abi_minor = AXLE_ABI_MINOR,
      .name = "minimal",
      .version = "1",
      .open = open_instance,
      .close = close_instance,
      .device_count = device_count,
      .device_info = device_info,
      .op_count = op_count,
      .op_info = op_info,
      .supports = supports,
      .queue_open = queue_open,
      .queue_close = queue_close,
      .submit = submit,
  };
  (void)abi_major, (void)abi_minor;
#if defined(VARIANT_ABI)
  table.abi_minor = AXLE_ABI_MINOR + 1;
#elif defined(VARIANT_SMALL_TABLE)
  table.struct_size = 64;
#elif defined(VARIANT_NO_SUBMIT)
  table.submit = NULL;
#elif defined(VARIANT_HALF_MODELS)
  table.model_unload = model_unload;
#elif defined(VARIANT_BAD_NAME)
  table.name = "\xff\xfe";
#elif defined(VARIANT_NULL_QUERY)
  return NULL;
#elif defined(VARIANT_NEEDS_ABSENT)
  table.abi_minor = AXLE_ABI_MINOR - 1 + (uint32_t)axle_test_absent();
#endif
  return &table;
}
