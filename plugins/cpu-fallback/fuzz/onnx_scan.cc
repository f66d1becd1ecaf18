// SPDX-License-Identifier: Apache-2.0
//
// The reader of ONNX files: refuses with INVALID_ARGUMENT on one line or says which of the files that it
// was given hold data, and reads nothing outside its input.
#include "../src/onnx_scan.h"

#include <cstdlib>
#include <cstring>
#include <string>

#include "../test/onnx_writer.h"
#include "common/failure.h"
#include "guarded_memory.h"
#include "target.h"

using namespace axle::cpu;
using namespace axle::cpu::fuzz;
using namespace axle::test;

namespace {

constexpr char kWeightsName[] = "weights.bin";
constexpr uint64_t kWeightsBytes = 16;

void check(bool holds) {
  if (!holds) std::abort();
}

std::vector<uint8_t> bytes_of(const std::string &text) { return {text.begin(), text.end()}; }

Graph sum_with(const Message &weights) {
  return Graph()
      .input("x", kFloat, {"n", 2})
      .output("y", kFloat, {"n", 2})
      .initializer(weights)
      .node("Add", {"x", "w"}, {"y"});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  const GuardedMemory input(bytes);
  if (bytes > 0) std::memcpy(input.data(), data, bytes);
  const uint8_t weights[kWeightsBytes] = {};
  const axle_file files[] = {{"model.onnx", input.data(), bytes},
                             {kWeightsName, weights, sizeof(weights)}};
  axle_model_source source = {};
  source.struct_size = sizeof(source);
  source.name = "fuzz";
  source.format = "onnx";
  source.files = files;
  source.file_count = 2;
  try {
    for (const std::string &name : scan_onnx(source).external_files) check(name == kWeightsName);
  } catch (const axle::Failure &failure) {
    const std::string message = failure.what();
    check(failure.status() == AXLE_STATUS_INVALID_ARGUMENT);
    check(!message.empty() && message.find('\n') == std::string::npos);
  }
  return 0;
}

std::vector<std::vector<uint8_t>> axle::cpu::fuzz::seeds() {
  const Message inside = tensor("w", kFloat, {2}, raw<float>({1, 2}));
  Graph inner;
  inner.initializer(inside).node("Relu", {"w"}, {"y"});
  return {
      bytes_of(sum_with(inside).model()),
      bytes_of(sum_with(external_tensor("w", kFloat, {2}, kWeightsName, 0, 8)).model()),
      bytes_of(sum_with(external_tensor("w", kFloat, {2}, "../secret", 0, 8)).model()),
      bytes_of(Graph()
                   .input_without_shape("x", kFloat)
                   .output_without_shape("y", kFloat)
                   .node("If", {"x"}, {"y"},
                         {graph_attribute("then_branch", inner.message()),
                          tensor_attribute("value", inside), int_attribute("axis", 1)})
                   .model()),
  };
}
