// SPDX-License-Identifier: Apache-2.0
// Whether a plugin left alone what it may only read: of a task its fields, its inputs and its arguments; of another call
// its arguments and a model's files. Looked at in processes that hold a plugin against its rules; elsewhere nothing is
// compared.
#ifndef AXLE_HOST_UNTOUCHED_H
#define AXLE_HOST_UNTOUCHED_H

#include "task.h"

namespace axle::host {

// Notes what the task is like before the plugin has it.
// may_change: others may write to the bytes of its inputs.
void note_untouched(Task *task, bool may_change) noexcept;
// The rule that the plugin broke since then, or nullptr. Follows no pointer that the plugin changed.
const char *untouched_problem(const Task *task) noexcept;

// Stands around a call of a slot that is handed arguments, or a model's source; nullptr: none.
class ReadOnlyScope {
 public:
  ReadOnlyScope(const PluginLibrary *library, const char *slot, const axle_arg *args,
                uint64_t arg_count, const axle_model_source *source = nullptr) noexcept;
  // Counts what the plugin wrote to as a fault of it.
  ~ReadOnlyScope();
  ReadOnlyScope(const ReadOnlyScope &) = delete;
  ReadOnlyScope &operator=(const ReadOnlyScope &) = delete;

 private:
  const PluginLibrary *library_;
  const char *slot_;
  const axle_arg *args_;
  uint64_t arg_count_;
  const axle_model_source *source_;
  uint64_t arg_list_ = 0;
  uint64_t arg_values_ = 0;
  uint64_t file_list_ = 0;
  uint64_t file_contents_ = 0;
};

}  // namespace axle::host

#endif  // AXLE_HOST_UNTOUCHED_H
