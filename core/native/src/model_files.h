// SPDX-License-Identifier: Apache-2.0
// What a model is loaded from, as the plugin sees it.
#ifndef AXLE_HOST_MODEL_FILES_H
#define AXLE_HOST_MODEL_FILES_H

#include <axle/plugin.h>
#include <node_api.h>

#include <deque>
#include <string>
#include <vector>

#include "args.h"

namespace axle::host {

class ModelFiles {
 public:
  // Throws StatusError INVALID_ARGUMENT. The bytes stay where they are in JavaScript's memory.
  void read(napi_env env, napi_value name, napi_value format, napi_value files);
  // References that keep those bytes, for who uses them after the call.
  std::vector<napi_ref> pin(napi_env env, napi_value files) const;
  // Valid as long as this and `settings`, which may be nullptr.
  axle_model_source source(const ArgSet *settings) const;

 private:
  std::string name_;
  std::string format_;
  std::deque<std::string> names_;
  std::vector<axle_file> files_;
};

}  // namespace axle::host

#endif  // AXLE_HOST_MODEL_FILES_H
