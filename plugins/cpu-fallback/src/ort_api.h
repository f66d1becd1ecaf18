// SPDX-License-Identifier: Apache-2.0
//
// The part of ONNX Runtime's C API that this plugin calls. ONNX Runtime is opened at run time and no
// header of it is needed to build: its function table only grows, so a function is known by its
// position and signature. test/ort_slots_test.cc calls every one of them.
#ifndef AXLE_CPU_ORT_API_H
#define AXLE_CPU_ORT_API_H

#include <cstddef>
#include <cstdint>

namespace axle::cpu {

// ONNX Runtime's own objects; only pointers to them are handled.
struct OrtEnv;
struct OrtStatus;
struct OrtMemoryInfo;
struct OrtSession;
struct OrtValue;
struct OrtRunOptions;
struct OrtTypeInfo;
struct OrtTensorTypeAndShapeInfo;
struct OrtSessionOptions;
struct OrtAllocator;

// What OrtGetApiBase() returns.
struct OrtApiBase {
  const void *const *(*get_api)(uint32_t version);
  const char *(*get_version)();
};

// The oldest version of the table that has every function below: that of ONNX Runtime 1.18.
constexpr uint32_t kOrtApiVersion = 18;

// Values of its enumerations.
enum OrtErrorCode : int {
  kOrtFail = 1,
  kOrtInvalidArgument = 2,
  kOrtNoModel = 4,
  kOrtRuntimeException = 6,
  kOrtInvalidProtobuf = 7,
  kOrtNotImplemented = 9,
  kOrtInvalidGraph = 10,
};
enum OrtLogLevel : int { kOrtInfo = 1, kOrtWarning = 2, kOrtError = 3 };
constexpr int kOrtSequential = 0;       // execution mode
constexpr int kOrtTypeTensor = 1;       // kind of a model's input or output
constexpr int kOrtDeviceAllocator = 0;  // kind of allocator
constexpr int kOrtMemoryDefault = 0;    // kind of memory

using OrtLogFunction = void (*)(void *param, int level, const char *category, const char *id,
                                const char *code_location, const char *message);

// X(position, name, result, parameters). A function that returns OrtStatus * returns NULL on success.
#define AXLE_ORT_FUNCTIONS(X)                                                                      \
  X(1, get_error_code, int, (const OrtStatus *))                                                   \
  X(2, get_error_message, const char *, (const OrtStatus *))                                       \
  X(4, create_env_with_logger, OrtStatus *,                                                        \
    (OrtLogFunction, void *param, int level, const char *id, OrtEnv **))                           \
  X(6, disable_telemetry, OrtStatus *, (const OrtEnv *))                                           \
  X(8, create_session_from_array, OrtStatus *,                                                     \
    (const OrtEnv *, const void *data, size_t bytes, const OrtSessionOptions *, OrtSession **))    \
  X(9, run, OrtStatus *,                                                                           \
    (OrtSession *, const OrtRunOptions *, const char *const *input_names,                          \
     const OrtValue *const *inputs, size_t input_count, const char *const *output_names,           \
     size_t output_count, OrtValue **outputs))                                                     \
  X(10, create_session_options, OrtStatus *, (OrtSessionOptions **))                               \
  X(13, set_execution_mode, OrtStatus *, (OrtSessionOptions *, int mode))                          \
  X(18, enable_cpu_arena, OrtStatus *, (OrtSessionOptions *))                                      \
  X(24, set_intra_op_threads, OrtStatus *, (OrtSessionOptions *, int threads))                     \
  X(30, get_input_count, OrtStatus *, (const OrtSession *, size_t *))                              \
  X(31, get_output_count, OrtStatus *, (const OrtSession *, size_t *))                             \
  X(33, get_input_type, OrtStatus *, (const OrtSession *, size_t index, OrtTypeInfo **))           \
  X(34, get_output_type, OrtStatus *, (const OrtSession *, size_t index, OrtTypeInfo **))          \
  X(36, get_input_name, OrtStatus *, (const OrtSession *, size_t index, OrtAllocator *, char **))  \
  X(37, get_output_name, OrtStatus *, (const OrtSession *, size_t index, OrtAllocator *, char **)) \
  X(48, create_tensor, OrtStatus *,                                                                \
    (OrtAllocator *, const int64_t *dims, size_t rank, int type, OrtValue **))                     \
  X(49, create_tensor_over, OrtStatus *,                                                           \
    (const OrtMemoryInfo *, void *data, size_t bytes, const int64_t *dims, size_t rank, int type,  \
     OrtValue **))                                                                                 \
  X(51, get_tensor_data, OrtStatus *, (OrtValue *, void **))                                       \
  X(53, get_strings_bytes, OrtStatus *, (const OrtValue *, size_t *))                              \
  X(54, get_strings, OrtStatus *,                                                                  \
    (const OrtValue *, void *text, size_t bytes, size_t *offsets, size_t count))                   \
  X(55, get_tensor_info, OrtStatus *, (const OrtTypeInfo *, const OrtTensorTypeAndShapeInfo **))   \
  X(56, get_type_kind, OrtStatus *, (const OrtTypeInfo *, int *))                                  \
  X(60, get_element_type, OrtStatus *, (const OrtTensorTypeAndShapeInfo *, int *))                 \
  X(61, get_rank, OrtStatus *, (const OrtTensorTypeAndShapeInfo *, size_t *))                      \
  X(62, get_dims, OrtStatus *, (const OrtTensorTypeAndShapeInfo *, int64_t *, size_t rank))        \
  X(63, get_dim_names, OrtStatus *,                                                                \
    (const OrtTensorTypeAndShapeInfo *, const char **, size_t rank))                               \
  X(65, get_tensor_shape, OrtStatus *, (const OrtValue *, OrtTensorTypeAndShapeInfo **))           \
  X(69, create_cpu_memory_info, OrtStatus *, (int allocator, int memory, OrtMemoryInfo **))        \
  X(76, allocator_free, OrtStatus *, (OrtAllocator *, void *))                                     \
  X(78, get_allocator, OrtStatus *, (OrtAllocator **))                                             \
  X(93, release_status, void, (OrtStatus *))                                                       \
  X(95, release_session, void, (OrtSession *))                                                     \
  X(96, release_value, void, (OrtValue *))                                                         \
  X(98, release_type_info, void, (OrtTypeInfo *))                                                  \
  X(99, release_tensor_info, void, (OrtTensorTypeAndShapeInfo *))                                  \
  X(100, release_session_options, void, (OrtSessionOptions *))                                     \
  X(130, add_session_config, OrtStatus *, (OrtSessionOptions *, const char *, const char *))       \
  X(252, get_string_buffer, OrtStatus *, (OrtValue *, size_t index, size_t bytes, char **))        \
  X(279, add_external_files, OrtStatus *,                                                          \
    (OrtSessionOptions *, const char *const *names, char *const *data, const size_t *bytes,        \
     size_t count))

struct OrtFunctions {
#define AXLE_ORT_MEMBER(position, name, result, parameters) result(*name) parameters = nullptr;
  AXLE_ORT_FUNCTIONS(AXLE_ORT_MEMBER)
#undef AXLE_ORT_MEMBER

  static OrtFunctions of_table(const void *const *table) {
    OrtFunctions functions;
#define AXLE_ORT_TAKE(position, name, result, parameters) \
  functions.name = reinterpret_cast<result(*) parameters>(const_cast<void *>(table[position]));
    AXLE_ORT_FUNCTIONS(AXLE_ORT_TAKE)
#undef AXLE_ORT_TAKE
    return functions;
  }
};

}  // namespace axle::cpu

#endif
