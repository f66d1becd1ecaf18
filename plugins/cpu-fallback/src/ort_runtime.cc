// SPDX-License-Identifier: Apache-2.0
#include "ort_runtime.h"

#include <dlfcn.h>
#include <stdlib.h>

#include <map>
#include <mutex>

#include "common/failure.h"

namespace axle::cpu {

namespace {

constexpr char kSoname[] = "libonnxruntime.so.1";

void log_to_host(void *param, int level, const char *, const char *, const char *,
                 const char *message) {
  const auto *host = static_cast<const axle_host *>(param);
  // Its errors also come back as a status to whoever caused them, and would flood the log.
  const uint32_t host_level = level > kOrtError      ? AXLE_LOG_ERROR
                              : level >= kOrtWarning ? AXLE_LOG_INFO
                                                     : AXLE_LOG_DEBUG;
  try {
    const std::string line = std::string("onnxruntime: ") + (message ? message : "");
    host->log(host_level, one_line(line).c_str());
  } catch (...) {
    host->log(host_level, "onnxruntime: a message was lost for want of memory");
  }
}

[[noreturn]] void refuse(const std::string &why) {
  throw Failure(
      AXLE_STATUS_UNAVAILABLE,
      one_line("ONNX Runtime cannot be used: " + why +
               "; install onnxruntime 1.18 or newer, or the npm package onnxruntime-node, "
               "and name its libonnxruntime.so.1 by the option onnxruntime=PATH"));
}

// From 1.29 on, official builds for Linux report each process and model to Microsoft from a thread of
// their own, and leave an identifier of the machine in the home folder, unless this is set before the
// first environment is made. An operator who wants that sets it to 0.
void refuse_telemetry() { setenv("ORT_DISABLE_TELEMETRY", "1", /*overwrite=*/0); }

int32_t status_of(int code, const std::string &message) {
  if (message.find("Failed to allocate memory") != std::string::npos ||
      message.find("bad_alloc") != std::string::npos) {
    return AXLE_STATUS_RESOURCE_EXHAUSTED;
  }
  switch (code) {
    case kOrtInvalidArgument:
    case kOrtNoModel:
    case kOrtInvalidProtobuf:
    case kOrtInvalidGraph:
      return AXLE_STATUS_INVALID_ARGUMENT;
    case kOrtNotImplemented:
      return AXLE_STATUS_UNIMPLEMENTED;
    default:
      return AXLE_STATUS_INTERNAL;
  }
}

// Messages may start with the place in ONNX Runtime's sources, which helps nobody here:
// "/onnxruntime_src/x.cc:12 signature Message".
std::string without_source_place(const std::string &message) {
  const size_t place = message.find("/onnxruntime_src/");
  if (place == std::string::npos) return message;
  const size_t end = message.find(") ", place);
  return end == std::string::npos ? message : message.substr(0, place) + message.substr(end + 2);
}

}  // namespace

const OrtRuntime &OrtRuntime::open(const std::string &path, const axle_host &host) {
  // Both are left to the end of the process on purpose.
  static auto &mutex = *new std::mutex;
  static auto &opened = *new std::map<std::string, std::unique_ptr<const OrtRuntime>>;
  std::lock_guard<std::mutex> lock(mutex);
  const auto found = opened.find(path);
  if (found != opened.end()) return *found->second;
  std::unique_ptr<const OrtRuntime> runtime(new OrtRuntime(path, host));
  return *opened.emplace(path, std::move(runtime)).first->second;
}

OrtRuntime::OrtRuntime(const std::string &path, const axle_host &host) {
  refuse_telemetry();
  const std::string file = path.empty() ? kSoname : path;
  void *library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char *reason = dlerror();
    refuse(reason == nullptr ? file : reason);
  }
  void *entry = dlsym(library, "OrtGetApiBase");
  if (entry == nullptr) refuse(file + " does not export OrtGetApiBase");
  const OrtApiBase *base = reinterpret_cast<const OrtApiBase *(*)()>(entry)();
  version_ = base->get_version();
  const void *const *table = base->get_api(kOrtApiVersion);
  if (table == nullptr) refuse(file + " is version " + version_);
  functions_ = OrtFunctions::of_table(table);

  // The host is valid for the life of the process, and so may be kept by the environment.
  check(functions_.create_env_with_logger(log_to_host, const_cast<axle_host *>(&host), kOrtWarning,
                                          "axle", &env_),
        "cannot start");
  // For an environment that something else in this process made before us.
  check(functions_.disable_telemetry(env_), "telemetry cannot be switched off");
  check(functions_.get_allocator(&allocator_), "no allocator");
  check(functions_.create_cpu_memory_info(kOrtDeviceAllocator, kOrtMemoryDefault, &cpu_memory_),
        "no CPU memory");
}

void OrtRuntime::check(OrtStatus *status, const std::string &what) const {
  if (status == nullptr) return;
  const OrtOwned<OrtStatus> owned(status, {functions_.release_status});
  const std::string message = functions_.get_error_message(status);
  throw Failure(status_of(functions_.get_error_code(status), message),
                one_line(what + ": " + without_source_place(message)));
}

namespace {

// TensorProto.DataType, which is also ONNX Runtime's element type.
struct OnnxType {
  int onnx;
  uint32_t dtype;
};
constexpr OnnxType kOnnxTypes[] = {
    {1, AXLE_DTYPE_FP32},    {2, AXLE_DTYPE_UINT8}, {3, AXLE_DTYPE_INT8},  {4, AXLE_DTYPE_UINT16},
    {5, AXLE_DTYPE_INT16},   {6, AXLE_DTYPE_INT32}, {7, AXLE_DTYPE_INT64}, {8, AXLE_DTYPE_BYTES},
    {9, AXLE_DTYPE_BOOL},    {10, AXLE_DTYPE_FP16}, {11, AXLE_DTYPE_FP64}, {12, AXLE_DTYPE_UINT32},
    {13, AXLE_DTYPE_UINT64}, {16, AXLE_DTYPE_BF16},
};

}  // namespace

uint32_t dtype_of_onnx(int onnx_type) {
  for (const OnnxType &type : kOnnxTypes) {
    if (type.onnx == onnx_type) return type.dtype;
  }
  return 0;
}

int onnx_of_dtype(uint32_t dtype) {
  for (const OnnxType &type : kOnnxTypes) {
    if (type.dtype == dtype) return type.onnx;
  }
  return 0;
}

}  // namespace axle::cpu
