// SPDX-License-Identifier: Apache-2.0
//
// The reader of ONNX files and what plans the networks in them: refuses with INVALID_ARGUMENT or UNIMPLEMENTED on one
// line, or plans a run of one row and of seven. libFuzzer drives it under ASan; the file ends where it is said to.
#include <cstdlib>
#include <string>
#include <vector>

#include "common/failure.h"
#include "model.h"

using axle::Failure;
using axle::cuda::Dims;
using axle::cuda::Model;

namespace {

void check(const Failure &failure) {
  const std::string message = failure.what();
  const int32_t status = failure.status();
  const bool refuses =
      status == AXLE_STATUS_INVALID_ARGUMENT || status == AXLE_STATUS_UNIMPLEMENTED;
  if (!refuses || message.empty() || message.find('\n') != std::string::npos) std::abort();
}

void plan(const Model &model, int64_t rows) {
  std::vector<Dims> inputs;
  for (const auto &port : model.network().inputs) {
    inputs.push_back(port.dims);
    for (int64_t &size : inputs.back()) size = size < 0 ? rows : size;
  }
  const auto plan = model.plan_for(inputs);
  for (const uint64_t offset : plan->offsets) {
    if (offset >= plan->arena_bytes) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  constexpr int64_t kRows = 7;
  const std::vector<uint8_t> exact(data, data + bytes);
  const axle_file file = {"model.onnx", exact.data(), bytes};
  axle_model_source source = {};
  source.struct_size = sizeof(source);
  source.name = "fuzz";
  source.format = "onnx";
  source.files = &file;
  source.file_count = 1;
  try {
    const auto model = Model::load(source);
    plan(*model, 1);
    plan(*model, kRows);
  } catch (const Failure &failure) {
    check(failure);
  }
  return 0;
}
