// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CPU_ORT_VALUES_H
#define AXLE_CPU_ORT_VALUES_H

#include <axle/plugin.h>

#include <vector>

#include "common/task_run.h"
#include "ort_runtime.h"

namespace axle::cpu {

using OrtOwnedValue = OrtOwned<OrtValue>;

// Tensors of the tasks of a batch, concatenated on dimension 0, or one tensor alone, as one value.
// A single floating-point tensor that lies in one aligned piece is not copied; then and always, the
// value is valid as long as the tensors and until this thread takes `scratch_slot` again.
OrtOwnedValue make_value(const OrtRuntime &runtime, const std::vector<const axle_tensor *> &parts,
                         size_t scratch_slot);

// A value over memory of the caller, which must outlive it.
OrtOwnedValue make_value_over(const OrtRuntime &runtime, uint32_t dtype,
                              const std::vector<int64_t> &dims, void *data, uint64_t bytes);

std::vector<int64_t> shape_of(const OrtRuntime &runtime, const OrtValue *value);

// The value's elements. Not for BYTES. Valid as long as the value.
const void *data_of(const OrtRuntime &runtime, const OrtOwnedValue &value);

// Copies rows [row, row + rows) of dimension 0 of an output, or all of it, to the task's memory and
// emits it. `rows` < 0 stands for all.
struct OutputPart {
  uint32_t output;
  const char *name;
  uint32_t dtype;
  int64_t row = 0;
  int64_t rows = -1;
};
void emit_value(const OrtRuntime &runtime, const OrtOwnedValue &value, const OutputPart &part,
                TaskRun &run);

}  // namespace axle::cpu

#endif
