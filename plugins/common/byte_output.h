// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_PLUGINS_COMMON_BYTE_OUTPUT_H
#define AXLE_PLUGINS_COMMON_BYTE_OUTPUT_H

#include <cstdint>

#include "task_run.h"

namespace axle {

// The one output of an op that gives bytes, handed over piecemeal: large pieces as they come, small ones
// together, since a task may not emit any number of chunks.
class ByteOutput {
 public:
  // `bytes_expected` is a guess: so much memory is asked for at first.
  ByteOutput(TaskRun &run, uint64_t bytes_expected) : run_(run), bytes_expected_(bytes_expected) {}
  ByteOutput(const ByteOutput &) = delete;
  ByteOutput &operator=(const ByteOutput &) = delete;

  // Throws Failure (RESOURCE_EXHAUSTED) past the task's cap.
  void append(const void *data, uint64_t bytes);
  // Hands over what is left, if only an empty output. Nothing is called afterwards.
  void finish();

 private:
  void emit();

  TaskRun &run_;
  const uint64_t bytes_expected_;
  uint8_t *data_ = nullptr;  // freed by the host where the task fails
  uint64_t room_ = 0;
  uint64_t bytes_ = 0;
  bool emitted_ = false;
};

}  // namespace axle

#endif
