// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CPU_ORT_RUNTIME_H
#define AXLE_CPU_ORT_RUNTIME_H

#include <axle/plugin.h>

#include <memory>
#include <string>

#include "ort_api.h"

namespace axle::cpu {

// ONNX Runtime, opened. There is one for each library of the process and it stays until the end:
// ONNX Runtime does not take being unloaded.
class OrtRuntime {
 public:
  // Opens the library at `path`, or the one that the system finds when it is empty. The first
  // instance to open it gets its log lines. Throws Failure (UNAVAILABLE) with the reason. Any thread.
  static const OrtRuntime &open(const std::string &path, const axle_host &host);

  const OrtFunctions &functions() const { return functions_; }
  const OrtEnv *env() const { return env_; }
  OrtAllocator *allocator() const { return allocator_; }
  const OrtMemoryInfo *cpu_memory() const { return cpu_memory_; }
  const std::string &version() const { return version_; }

  // Throws Failure, with the code that fits, when `status` is an error; takes it over. `what` begins
  // the message.
  void check(OrtStatus *status, const std::string &what) const;

 private:
  OrtRuntime(const std::string &path, const axle_host &host);

  OrtFunctions functions_;
  OrtEnv *env_ = nullptr;
  OrtAllocator *allocator_ = nullptr;
  OrtMemoryInfo *cpu_memory_ = nullptr;
  std::string version_;
};

// Objects of ONNX Runtime, released by their own function.
template <class T>
struct OrtReleaser {
  void (*release)(T *) = nullptr;
  void operator()(T *object) const { release(object); }
};
template <class T>
using OrtOwned = std::unique_ptr<T, OrtReleaser<T>>;

inline OrtOwned<OrtValue> own(const OrtRuntime &runtime, OrtValue *value) {
  return {value, {runtime.functions().release_value}};
}

// AXLE_DTYPE_* of ONNX's element type and back; 0 where there is none.
uint32_t dtype_of_onnx(int onnx_type);
int onnx_of_dtype(uint32_t dtype);

}  // namespace axle::cpu

#endif
