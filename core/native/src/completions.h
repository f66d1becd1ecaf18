// SPDX-License-Identifier: Apache-2.0
// Completions on their way into JavaScript. One call of Node-API for each value would cost more than
// many a task, so numbers, shapes and small outputs are written into three typed arrays that
// core/src/native-loader.ts made, and read there:
//
//   numbers  Float64Array, 8 for each completion: see CompletionField in native-binding.ts
//   shapes   Float64Array, for each OK completion: how many outputs, and for each of them
//              index, dtype, 1 if named, chunks, rank, the dimensions, and for each chunk
//              its bytes and its offset in `bytes`, or -1
//   bytes    Uint8Array, small chunks, each at a multiple of 8
//   values   a new array: for each failed completion its message; for each named output its name; for
//              each chunk that is not in `bytes` its Uint8Array; in the order in which they are met
#ifndef AXLE_HOST_COMPLETIONS_H
#define AXLE_HOST_COMPLETIONS_H

#include <node_api.h>

#include "limits.h"
#include "task.h"

namespace axle::host {

constexpr uint64_t kNumbersPerCompletion = 8;
constexpr uint64_t kScratchChunkBytesMax = kExternalBytesMin - 1;
constexpr uint64_t kScratchAlignment = 8;

class CompletionWriter {
 public:
  CompletionWriter(napi_env env, napi_value numbers, napi_value shapes, napi_value bytes);

  // Takes the task's outputs. False, with nothing taken, when the arrays have no room for it.
  bool write(Task *task);
  napi_value values() const { return values_; }

 private:
  bool has_room(const Task &task) const;
  void write_output(Task *task, Output *output);
  void write_chunk(Task *task, OutputChunk *chunk);
  void push_value(napi_value value);
  void number(double value) { shapes_[shapes_used_++] = value; }

  napi_env env_;
  double *numbers_ = nullptr;
  uint64_t numbers_room_ = 0;
  double *shapes_ = nullptr;
  uint64_t shapes_room_ = 0;
  uint64_t shapes_used_ = 0;
  uint8_t *bytes_ = nullptr;
  uint64_t bytes_room_ = 0;
  uint64_t bytes_used_ = 0;
  uint64_t count_ = 0;
  napi_value values_ = nullptr;
  uint32_t values_used_ = 0;
};

}  // namespace axle::host

#endif  // AXLE_HOST_COMPLETIONS_H
