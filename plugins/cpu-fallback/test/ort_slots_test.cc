// SPDX-License-Identifier: Apache-2.0
//
// Calls every function that src/ort_api.h names by its position, so that a wrong number or signature
// shows here first.
#include "ort_api.h"

#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "common/test/harness.h"
#include "onnx_writer.h"
#include "ort_runtime.h"
#include "test_host.h"

using axle::cpu::OrtFunctions;
using axle::cpu::OrtRuntime;
using namespace axle::test;

namespace {

// Names of the functions that the test has called.
std::set<std::string> called;
#define CALL(name) (called.insert(#name), ort.name)

std::set<std::string> declared() {
  std::set<std::string> names;
#define AXLE_TEST_NAME(position, name, result, parameters) names.insert(#name);
  AXLE_ORT_FUNCTIONS(AXLE_TEST_NAME)
#undef AXLE_TEST_NAME
  return names;
}

void ok(axle::cpu::OrtStatus *status) { CHECK(status == nullptr); }

// Two inputs: floats with weights in a file, and strings. y = x + w; t = s.
std::string two_input_model() {
  return Graph()
      .input("x", kFloat, {"n", 2})
      .input("s", kString, {"n"})
      .output("y", kFloat, {"n", 2})
      .output("t", kString, {"n"})
      .initializer(external_tensor("w", kFloat, {2}, "weights.bin", 4, 8))
      .node("Add", {"x", "w"}, {"y"})
      .node("Identity", {"s"}, {"t"})
      .model();
}

}  // namespace

TEST(ort_slots_are_what_they_are_called) {
  need_onnxruntime();
  const OrtRuntime &runtime = OrtRuntime::open(onnxruntime_path(), *test_host());
  const OrtFunctions &ort = runtime.functions();

  static int log_lines = 0;
  // Static, for they are not released: the plugin keeps its own to the end, too.
  static axle::cpu::OrtEnv *env = nullptr;
  static axle::cpu::OrtMemoryInfo *memory = nullptr;
  ok(CALL(create_env_with_logger)(
      [](void *, int, const char *, const char *, const char *, const char *) { log_lines++; },
      nullptr, axle::cpu::kOrtWarning, "test", &env));
  ok(CALL(disable_telemetry)(env));
  axle::cpu::OrtAllocator *allocator = nullptr;
  ok(CALL(get_allocator)(&allocator));
  ok(CALL(create_cpu_memory_info)(axle::cpu::kOrtDeviceAllocator, axle::cpu::kOrtMemoryDefault,
                                  &memory));

  axle::cpu::OrtSessionOptions *options = nullptr;
  ok(CALL(create_session_options)(&options));
  ok(CALL(set_execution_mode)(options, axle::cpu::kOrtSequential));
  ok(CALL(enable_cpu_arena)(options));
  ok(CALL(set_intra_op_threads)(options, 1));
  ok(CALL(add_session_config)(options, "session.load_model_format", "ONNX"));
  std::string weights = raw<float>({-1, 10, 20});
  const char *names[] = {"weights.bin"};
  char *data[] = {weights.data()};
  const size_t sizes[] = {weights.size()};
  ok(CALL(add_external_files)(options, names, data, sizes, 1));

  const std::string bad = "this is no model";
  axle::cpu::OrtSession *session = nullptr;
  axle::cpu::OrtStatus *status =
      CALL(create_session_from_array)(env, bad.data(), bad.size(), options, &session);
  CHECK(status != nullptr);
  CHECK_EQ(CALL(get_error_code)(status), static_cast<int>(axle::cpu::kOrtInvalidProtobuf));
  CHECK(std::strlen(CALL(get_error_message)(status)) > 0);
  CALL(release_status)(status);

  const std::string model = two_input_model();
  ok(ort.create_session_from_array(env, model.data(), model.size(), options, &session));
  CALL(release_session_options)(options);
  size_t count = 0;
  ok(CALL(get_input_count)(session, &count));
  CHECK_EQ(count, 2u);
  ok(CALL(get_output_count)(session, &count));
  CHECK_EQ(count, 2u);
  char *name = nullptr;
  ok(CALL(get_input_name)(session, 1, allocator, &name));
  CHECK_EQ(std::string(name), "s");
  ok(CALL(allocator_free)(allocator, name));
  ok(CALL(get_output_name)(session, 1, allocator, &name));
  CHECK_EQ(std::string(name), "t");
  ok(ort.allocator_free(allocator, name));

  axle::cpu::OrtTypeInfo *type = nullptr;
  ok(CALL(get_output_type)(session, 1, &type));
  CALL(release_type_info)(type);
  ok(CALL(get_input_type)(session, 0, &type));
  int kind = 0;
  ok(CALL(get_type_kind)(type, &kind));
  CHECK_EQ(kind, axle::cpu::kOrtTypeTensor);
  const axle::cpu::OrtTensorTypeAndShapeInfo *info = nullptr;
  ok(CALL(get_tensor_info)(type, &info));
  int element = 0;
  ok(CALL(get_element_type)(info, &element));
  CHECK_EQ(element, static_cast<int>(kFloat));
  size_t rank = 0;
  ok(CALL(get_rank)(info, &rank));
  CHECK_EQ(rank, 2u);
  int64_t dims[2] = {};
  ok(CALL(get_dims)(info, dims, 2));
  CHECK_EQ(dims[0], -1);
  CHECK_EQ(dims[1], 2);
  const char *dim_names[2] = {};
  ok(CALL(get_dim_names)(info, dim_names, 2));
  CHECK_EQ(std::string(dim_names[0]), "n");
  ort.release_type_info(type);

  float x[] = {1, 2};
  const int64_t x_dims[] = {1, 2};
  axle::cpu::OrtValue *inputs[2] = {};
  ok(CALL(create_tensor_over)(memory, x, sizeof(x), x_dims, 2, kFloat, &inputs[0]));
  ok(CALL(create_tensor)(allocator, x_dims, 1, kString, &inputs[1]));
  char *text = nullptr;
  ok(CALL(get_string_buffer)(inputs[1], 0, 3, &text));
  std::memcpy(text, "a\0b", 3);

  const char *input_names[] = {"x", "s"};
  const char *output_names[] = {"y", "t"};
  axle::cpu::OrtValue *outputs[2] = {};
  ok(CALL(run)(session, nullptr, input_names, inputs, 2, output_names, 2, outputs));
  void *y = nullptr;
  ok(CALL(get_tensor_data)(outputs[0], &y));
  CHECK_EQ(static_cast<float *>(y)[0], 11.0f);
  CHECK_EQ(static_cast<float *>(y)[1], 22.0f);
  size_t bytes = 0;
  ok(CALL(get_strings_bytes)(outputs[1], &bytes));
  CHECK_EQ(bytes, 3u);
  char copy[3] = {};
  size_t offset = 9;
  ok(CALL(get_strings)(outputs[1], copy, 3, &offset, 1));
  CHECK_EQ(std::string(copy, 3), std::string("a\0b", 3));
  CHECK_EQ(offset, 0u);
  axle::cpu::OrtTensorTypeAndShapeInfo *shape = nullptr;
  ok(CALL(get_tensor_shape)(outputs[0], &shape));
  ok(ort.get_rank(shape, &rank));
  CHECK_EQ(rank, 2u);
  CALL(release_tensor_info)(shape);

  for (axle::cpu::OrtValue *value : inputs) CALL(release_value)(value);
  for (axle::cpu::OrtValue *value : outputs) ort.release_value(value);
  CALL(release_session)(session);

  for (const std::string &function : declared()) {
    if (called.count(function) == 0) fail(__FILE__, __LINE__, function + " is not called here");
  }
}
