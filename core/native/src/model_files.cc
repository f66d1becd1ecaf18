// SPDX-License-Identifier: Apache-2.0
#include "model_files.h"

#include <set>

#include "js.h"
#include "limits.h"
#include "names.h"
#include "status.h"

namespace axle::host {

void ModelFiles::read(napi_env env, napi_value name, napi_value format_name, napi_value files) {
  name_ = read_c_string(env, name, kFileNameBytesMax, "the model's name");
  format_ = read_c_string(env, format_name, AXLE_NAME_BYTES_MAX, "the model's format");
  const uint32_t count = read_array_length(env, files, kModelFilesMax, "the model's files");
  if (count == 0) fail(AXLE_STATUS_INVALID_ARGUMENT, "a model needs at least one file");
  std::set<std::string> seen;
  for (uint32_t i = 0; i < count; ++i) {
    napi_value file = read_element(env, files, i);
    std::string file_name = read_string(env, read_property(env, file, "name"), kFileNameBytesMax,
                                        "the name of a model's file");
    if (const char *problem = file_name_problem(file_name)) {
      fail(AXLE_STATUS_INVALID_ARGUMENT, "the name '%s' of a model's file %s", file_name.c_str(),
           problem);
    }
    if (!seen.insert(file_name).second) {
      fail(AXLE_STATUS_INVALID_ARGUMENT, "the model has two files '%s'", file_name.c_str());
    }
    const std::string what = format("the data of the model's file '%s'", file_name.c_str());
    const ByteSpan span = read_bytes(env, read_property(env, file, "data"), what.c_str());
    const std::string &kept = names_.emplace_back(std::move(file_name));
    files_.push_back({kept.c_str(), span.data, span.bytes});
  }
}

std::vector<napi_ref> ModelFiles::pin(napi_env env, napi_value files) const {
  std::vector<napi_ref> pins;
  pins.reserve(files_.size());
  for (uint32_t i = 0; i < files_.size(); ++i) {
    napi_value data = read_property(env, read_element(env, files, i), "data");
    // The same bytes as were read, whatever getters there may be.
    const ByteSpan span = read_bytes(env, data, "the data of a model's file");
    if (span.data != files_[i].data || span.bytes != files_[i].bytes) {
      for (napi_ref pin : pins) napi_delete_reference(env, pin);
      fail(AXLE_STATUS_INVALID_ARGUMENT, "the model's files changed while they were read");
    }
    pins.push_back(make_reference(env, data));
  }
  return pins;
}

axle_model_source ModelFiles::source(const ArgSet *settings) const {
  axle_model_source source{};
  source.struct_size = sizeof source;
  source.name = name_.c_str();
  source.format = format_.c_str();
  source.files = files_.data();
  source.file_count = files_.size();
  if (settings != nullptr) {
    source.args = settings->data();
    source.arg_count = settings->size();
  }
  return source;
}

}  // namespace axle::host
