// SPDX-License-Identifier: Apache-2.0
#include "description_js.h"

#include "js.h"

namespace axle::host {
namespace {

template <typename T, typename Make>
napi_value make_list(napi_env env, const std::vector<T> &all, Make make) {
  napi_value list = make_array(env, all.size());
  for (uint32_t i = 0; i < all.size(); ++i) set_element(env, list, i, make(env, all[i]));
  return list;
}

napi_value make_dim(napi_env env, int64_t dim) {
  return make_number(env, static_cast<double>(dim));
}

napi_value make_tensor_spec(napi_env env, const TensorSpec &spec) {
  return ObjectMaker(env)
      .text("name", spec.name)
      .number("dtype", spec.dtype)
      .set("dims", make_list(env, spec.dims, make_dim))
      .done();
}

napi_value make_arg_spec(napi_env env, const ArgSpec &spec) {
  return ObjectMaker(env)
      .text("name", spec.name)
      .text("doc", spec.doc)
      .number("type", spec.type)
      .boolean("required", spec.required)
      .done();
}

napi_value make_device(napi_env env, const DeviceInfo &device) {
  return ObjectMaker(env)
      .text("id", device.id)
      .text("name", device.name)
      .number("kind", device.kind)
      .number("flags", device.flags)
      .number("memoryBytes", static_cast<double>(device.memory_bytes))
      .number("parallel", device.parallel)
      .done();
}

napi_value make_op(napi_env env, const OpInfo &op) {
  return ObjectMaker(env)
      .number("op", op.op)
      .number("version", op.version)
      .text("name", op.name)
      .text("doc", op.doc)
      .number("flags", op.flags)
      .number("chainFirst", op.chain_first)
      .number("chainLast", op.chain_last)
      .number("batchMax", op.batch_max)
      .set("args", make_list(env, op.args, make_arg_spec))
      .set("inputs", make_list(env, op.inputs, make_tensor_spec))
      .set("outputs", make_list(env, op.outputs, make_tensor_spec))
      .done();
}

}  // namespace

napi_value make_plugin_info(napi_env env, uint64_t id, const PluginInstance &instance) {
  const PluginLibrary &library = *instance.library;
  return ObjectMaker(env)
      .number("pluginId", static_cast<double>(id))
      .text("name", library.name)
      .text("version", library.version)
      .number("abiMajor", library.table.abi_major)
      .number("abiMinor", library.table.abi_minor)
      .set("devices", make_list(env, instance.devices, make_device))
      .set("ops", make_list(env, instance.ops, make_op))
      .boolean("runsModels", library.runs_models)
      .boolean("runsStreams", library.runs_streams)
      .done();
}

napi_value make_model_info(napi_env env, uint64_t id, const ModelInfo &model) {
  return ObjectMaker(env)
      .number("modelId", static_cast<double>(id))
      .set("inputs", make_list(env, model.inputs, make_tensor_spec))
      .set("outputs", make_list(env, model.outputs, make_tensor_spec))
      .number("memoryBytes", static_cast<double>(model.memory_bytes))
      .done();
}

}  // namespace axle::host
