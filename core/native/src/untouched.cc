// SPDX-License-Identifier: Apache-2.0
#include "untouched.h"

#include <cstring>

#include "fence.h"
#include "log.h"

namespace axle::host {
namespace {

// Of bytes, one after another. It need not stand up to anybody: a plugin that writes somewhere by mistake does not
// choose what.
class Digest {
 public:
  void add(const void *data, uint64_t bytes) {
    const auto *at = static_cast<const uint8_t *>(data);
    for (; bytes >= sizeof(uint64_t); at += sizeof(uint64_t), bytes -= sizeof(uint64_t)) {
      uint64_t word;
      std::memcpy(&word, at, sizeof word);
      mix(word);
    }
    uint64_t last = bytes;
    for (uint64_t i = 0; i < bytes; ++i) last = last << 8 | at[i];
    mix(last);
  }
  uint64_t value() const { return value_; }

 private:
  void mix(uint64_t word) {
    value_ = (value_ ^ word) * 0x9e3779b97f4a7c15u;
    value_ ^= value_ >> 29;
  }

  uint64_t value_ = 1;
};

uint64_t fields_of(const axle_task &task) {
  axle_task fields = task;
  fields.plugin_data = nullptr;
  Digest digest;
  digest.add(&fields, sizeof fields);
  return digest.value();
}

uint64_t tensors_of(const axle_task &task) {
  Digest digest;
  digest.add(task.inputs, task.input_count * sizeof *task.inputs);
  return digest.value();
}

// What the tensors point to.
uint64_t shapes_of(const axle_task &task) {
  Digest digest;
  for (uint64_t i = 0; i < task.input_count; ++i) {
    const axle_tensor &tensor = task.inputs[i];
    if (tensor.name != nullptr) digest.add(tensor.name, std::strlen(tensor.name));
    digest.add(tensor.dims, tensor.rank * sizeof *tensor.dims);
    digest.add(tensor.segments, tensor.segment_count * sizeof *tensor.segments);
  }
  return digest.value();
}

uint64_t data_of(const axle_task &task) {
  Digest digest;
  for (uint64_t i = 0; i < task.input_count; ++i) {
    const axle_tensor &tensor = task.inputs[i];
    for (uint64_t k = 0; k < tensor.segment_count; ++k) {
      digest.add(tensor.segments[k].data, tensor.segments[k].bytes);
    }
  }
  return digest.value();
}

uint64_t arg_list_of(const axle_arg *args, uint64_t count) {
  Digest digest;
  digest.add(args, count * sizeof *args);
  return digest.value();
}

uint64_t arg_values_of(const axle_arg *args, uint64_t count) {
  Digest digest;
  for (uint64_t i = 0; i < count; ++i) {
    const axle_arg &arg = args[i];
    digest.add(arg.name, std::strlen(arg.name));
    if (arg.type == AXLE_ARG_STRING || arg.type == AXLE_ARG_BYTES) {
      digest.add(arg.value.data, arg.bytes);
    }
  }
  return digest.value();
}

uint64_t file_list_of(const axle_model_source *source) {
  Digest digest;
  if (source != nullptr) digest.add(source->files, source->file_count * sizeof *source->files);
  return digest.value();
}

uint64_t file_contents_of(const axle_model_source *source) {
  Digest digest;
  for (uint64_t i = 0; source != nullptr && i < source->file_count; ++i) {
    const axle_file &file = source->files[i];
    digest.add(file.name, std::strlen(file.name));
    digest.add(file.data, file.bytes);
  }
  return digest.value();
}

}  // namespace

ReadOnlyScope::ReadOnlyScope(const PluginLibrary *library, const char *slot, const axle_arg *args,
                             uint64_t arg_count, const axle_model_source *source) noexcept
    : library_(library), slot_(slot), args_(args), arg_count_(arg_count), source_(source) {
  if (!process_checks_rules()) return;
  arg_list_ = arg_list_of(args, arg_count);
  arg_values_ = arg_values_of(args, arg_count);
  file_list_ = file_list_of(source);
  file_contents_ = file_contents_of(source);
}

ReadOnlyScope::~ReadOnlyScope() {
  if (!process_checks_rules()) return;
  if (arg_list_ != arg_list_of(args_, arg_count_) ||
      arg_values_ != arg_values_of(args_, arg_count_)) {
    plugin_fault(library_, std::string(slot_) + " wrote to its arguments, which it may only read");
  }
  if (file_list_ != file_list_of(source_) || file_contents_ != file_contents_of(source_)) {
    plugin_fault(library_,
                 std::string(slot_) + " wrote to the files of a model, which it may only read");
  }
}

void note_untouched(Task *task, bool may_change) noexcept {
  Untouched &noted = task->untouched;
  noted = {};
  if (!process_checks_rules()) return;
  noted.is_noted = true;
  noted.data_may_change = may_change;
  noted.fields = fields_of(task->abi);
  noted.tensors = tensors_of(task->abi);
  noted.shapes = shapes_of(task->abi);
  noted.data = may_change ? 0 : data_of(task->abi);
  noted.arg_list = arg_list_of(task->abi.args, task->abi.arg_count);
  noted.arg_values = arg_values_of(task->abi.args, task->abi.arg_count);
}

const char *untouched_problem(const Task *task) noexcept {
  const Untouched &noted = task->untouched;
  if (!noted.is_noted) return nullptr;
  const axle_task &abi = task->abi;
  if (noted.fields != fields_of(abi)) return "wrote to a field of a task that it may only read";
  if (noted.tensors != tensors_of(abi) || noted.shapes != shapes_of(abi)) {
    return "wrote to the description of a task's inputs, which it may only read";
  }
  if (noted.arg_list != arg_list_of(abi.args, abi.arg_count) ||
      noted.arg_values != arg_values_of(abi.args, abi.arg_count)) {
    return "wrote to a task's arguments, which it may only read";
  }
  if (!noted.data_may_change && noted.data != data_of(abi)) {
    return "wrote to the bytes of a task's inputs, which it may only read";
  }
  return nullptr;
}

}  // namespace axle::host
