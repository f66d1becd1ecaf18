// SPDX-License-Identifier: Apache-2.0
// modelLoad, modelUnload.
#include <memory>

#include "description_js.h"
#include "device_argument.h"
#include "entry.h"
#include "model_files.h"
#include "plugin_call.h"
#include "resources.h"
#include "untouched.h"

namespace axle::host {
namespace {

struct Loading {
  ModelFiles files;
  ArgSet *settings = nullptr;
  std::shared_ptr<Model> model;
  ModelInfo info;

  ~Loading() {
    if (settings != nullptr) settings->release();
  }
};

// On a blocking thread. The reference to the plugin goes when nothing comes of it.
void load(Loading *loading) {
  Model &model = *loading->model;
  const PluginLibrary *library = model.instance->library;
  const axle_model_source source = loading->files.source(loading->settings);
  try {
    const ReadOnlyScope scope(library, "model_load", source.args, source.arg_count, &source);
    call_plugin_checked(library, "model_load", [&](axle_error *error) {
      return library->table.model_load(model.instance->handle, model.device, &source, &model.handle,
                                       error);
    });
    if (model.handle == nullptr) {
      plugin_fault(library, "model_load returned OK and no model");
      fail(AXLE_STATUS_INTERNAL, "plugin '%s' returned OK and no model", library->name.c_str());
    }
  } catch (...) {
    PluginTable::get().release(model.instance);
    throw;
  }
  try {
    loading->info = read_model(*library, model.instance->handle, model.handle);
  } catch (...) {
    unload_model(model);
    throw;
  }
}

// (pluginId, device, name, format, files, settings)
napi_value model_load(const Call &call) {
  const auto [instance, device] = read_device(call, call[0], call[1]);
  if (!instance->library->runs_models) {
    fail(AXLE_STATUS_UNIMPLEMENTED, "plugin '%s' runs no models", instance->library->name.c_str());
  }
  auto loading = std::make_shared<Loading>();
  loading->files.read(call.env, call[2], call[3], call[4]);
  loading->settings = ArgSet::read(call.env, call[5]);
  loading->model = std::make_shared<Model>(Model{instance, device, nullptr, 0, nullptr});
  Environment *environment = call.environment;

  auto job = std::make_unique<BlockingJob>();
  job->work = [loading] { load(loading.get()); };
  job->result = [loading, environment](napi_env env) {
    const uint64_t id = environment->models.add(loading->model);
    return make_model_info(env, id, loading->info);
  };
  job->abandon = [loading] { unload_model(*loading->model); };
  napi_value promise = environment->promise_of(job.get());
  job->pins = loading->files.pin(call.env, call[4]);
  PluginTable::get().retain(instance);
  environment->start_job(std::move(job));
  return promise;
}

napi_value model_unload(const Call &call) {
  const uint64_t id = read_integer(call.env, call[0], kSafeIntegerMax, "modelId");
  std::shared_ptr<Model> model = call.environment->models.remove(id, "model");
  auto job = std::make_unique<BlockingJob>();
  job->work = [model] { unload_model(*model); };
  napi_value promise = call.environment->promise_of(job.get());
  if (model->outstanding == 0) {
    call.environment->start_job(std::move(job));
  } else {
    model->closing = std::move(job);
  }
  return promise;
}

}  // namespace

void add_model_functions(Environment *environment, napi_value exports) {
  add_promise_function<model_load>(environment, exports, "modelLoad");
  add_promise_function<model_unload>(environment, exports, "modelUnload");
}

}  // namespace axle::host
