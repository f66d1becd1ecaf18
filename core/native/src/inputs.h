// SPDX-License-Identifier: Apache-2.0
// Inputs of a task, read from JavaScript and checked.
#ifndef AXLE_HOST_INPUTS_H
#define AXLE_HOST_INPUTS_H

#include <node_api.h>

#include "task.h"

namespace axle::host {

// Numbers of a task come in one array of doubles, written by core/src/native-staging.ts:
//   op, opVersion, chainFirst, chainLast, modelId, argsId, outputBytesMax, deadlineMs, 1 if inputs are to
//   be copied, how many inputs,
//   and for each input: dtype, rank, the dimensions
// What was no number there is NaN here. Past a limit nothing more is written.
namespace staging {
constexpr size_t kOp = 0;
constexpr size_t kOpVersion = 1;
constexpr size_t kChainFirst = 2;
constexpr size_t kChainLast = 3;
constexpr size_t kModelId = 4;
constexpr size_t kArgsId = 5;
constexpr size_t kOutputBytesMax = 6;
constexpr size_t kDeadlineMs = 7;
constexpr size_t kCopiesInputs = 8;
constexpr size_t kInputCount = 9;
constexpr size_t kInputs = 10;
}  // namespace staging
constexpr size_t kStagingNumbers = staging::kInputs + AXLE_INPUTS_MAX * (2 + AXLE_RANK_MAX);

// An integer from 0 to `max`. Throws StatusError INVALID_ARGUMENT.
uint64_t checked_integer(double number, uint64_t max, const char *what);

// The inputs that the numbers describe. Names and data are in `list`: name (or null), dtype, dims, data
// (a Uint8Array, or a list of them), ... Small segments are copied, and all where the task says so; the
// memory of the others is pinned in task->pins. Throws StatusError INVALID_ARGUMENT that names the input and says what was expected;
// the caller drops the task then.
void read_inputs(napi_env env, const double *numbers, napi_value list, Task *task);
// The same where there is one input.
void read_one_input(napi_env env, const double *numbers, napi_value name, napi_value data,
                    Task *task);

// Where outputs may go. Throws StatusError INVALID_ARGUMENT.
void read_output_room(napi_env env, napi_value array, Task *task);

// One unnamed UINT8 [n] input: what a stream is written. `data` may be null.
void read_stream_input(napi_env env, napi_value data, Task *task);

}  // namespace axle::host

#endif  // AXLE_HOST_INPUTS_H
