// SPDX-License-Identifier: Apache-2.0
// Descriptions of plugins and models, for JavaScript.
#ifndef AXLE_HOST_DESCRIPTION_JS_H
#define AXLE_HOST_DESCRIPTION_JS_H

#include <node_api.h>

#include "plugin_table.h"

namespace axle::host {

napi_value make_plugin_info(napi_env env, uint64_t id, const PluginInstance &instance);
napi_value make_model_info(napi_env env, uint64_t id, const ModelInfo &model);

}  // namespace axle::host

#endif  // AXLE_HOST_DESCRIPTION_JS_H
