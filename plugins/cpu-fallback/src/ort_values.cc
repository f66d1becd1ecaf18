// SPDX-License-Identifier: Apache-2.0
#include "ort_values.h"

#include <cstring>

#include "bytes_elements.h"
#include "common/failure.h"
#include "scratch.h"
#include "tensor_data.h"

namespace axle::cpu {

namespace {

// Input memory may be shared with a guest that writes to it while we compute. Wrong numbers are then
// its own loss, but an index that changes after it was checked would be ours: whatever a kernel may
// use as an index is computed on from a private copy.
bool may_be_used_in_place(uint32_t dtype) {
  return dtype == AXLE_DTYPE_FP32 || dtype == AXLE_DTYPE_FP16 || dtype == AXLE_DTYPE_FP64 ||
         dtype == AXLE_DTYPE_BF16 || dtype == AXLE_DTYPE_UINT8;
}

const void *in_place(const axle_tensor &tensor) {
  if (!may_be_used_in_place(tensor.dtype)) return nullptr;
  const void *data = contiguous_data(tensor);
  const bool aligned = reinterpret_cast<uintptr_t>(data) % dtype_bytes(tensor.dtype) == 0;
  return aligned ? data : nullptr;
}

std::vector<int64_t> concatenated_shape(const std::vector<const axle_tensor *> &parts) {
  std::vector<int64_t> dims(parts[0]->dims, parts[0]->dims + parts[0]->rank);
  for (size_t i = 1; i < parts.size(); i++) dims[0] += parts[i]->dims[0];
  return dims;
}

void check(const OrtRuntime &runtime, OrtStatus *status) {
  runtime.check(status, "ONNX Runtime refuses a tensor");
}

OrtOwnedValue make_strings(const OrtRuntime &runtime,
                           const std::vector<const axle_tensor *> &parts) {
  const OrtFunctions &ort = runtime.functions();
  const std::vector<int64_t> dims = concatenated_shape(parts);
  OrtValue *made = nullptr;
  check(runtime, ort.create_tensor(runtime.allocator(), dims.data(), dims.size(),
                                   onnx_of_dtype(AXLE_DTYPE_BYTES), &made));
  OrtOwnedValue value = own(runtime, made);
  std::vector<unsigned char> bytes;
  size_t index = 0;
  for (const axle_tensor *part : parts) {
    bytes.resize(part->bytes);
    gather(*part, bytes.data());
    const std::vector<std::string_view> elements =
        split_elements(bytes.data(), bytes.size(), element_count(part->dims, part->rank));
    for (const std::string_view element : elements) {
      char *text = nullptr;
      check(runtime, ort.get_string_buffer(made, index++, element.size(), &text));
      std::memcpy(text, element.data(), element.size());
    }
  }
  return value;
}

struct Elements {
  uint64_t first;
  uint64_t count;
};

void emit_strings(const OrtRuntime &runtime, const OrtOwnedValue &value, uint64_t total,
                  const Elements &elements, const OutputPart &part,
                  const std::vector<int64_t> &dims, TaskRun &run) {
  const OrtFunctions &ort = runtime.functions();
  size_t text_bytes = 0;
  check(runtime, ort.get_strings_bytes(value.get(), &text_bytes));
  std::vector<char> text(text_bytes);
  std::vector<size_t> offsets(total + 1, text_bytes);
  if (total > 0) {
    check(runtime, ort.get_strings(value.get(), text.data(), text_bytes, offsets.data(), total));
  }
  const size_t first = elements.first;
  const size_t last = elements.first + elements.count;
  const uint64_t bytes = offsets[last] - offsets[first] + elements.count * sizeof(uint32_t);
  void *data = run.allocate(bytes);
  auto *next = static_cast<unsigned char *>(data);
  for (size_t i = first; i < last; i++) {
    next = append_element(next, {text.data() + offsets[i], offsets[i + 1] - offsets[i]});
  }
  run.emit(part.output, part.name, part.dtype, dims.data(), dims.size(), data, bytes);
}

}  // namespace

OrtOwnedValue make_value_over(const OrtRuntime &runtime, uint32_t dtype,
                              const std::vector<int64_t> &dims, void *data, uint64_t bytes) {
  OrtValue *value = nullptr;
  check(runtime,
        runtime.functions().create_tensor_over(runtime.cpu_memory(), data, bytes, dims.data(),
                                               dims.size(), onnx_of_dtype(dtype), &value));
  return own(runtime, value);
}

OrtOwnedValue make_value(const OrtRuntime &runtime, const std::vector<const axle_tensor *> &parts,
                         size_t scratch_slot) {
  const uint32_t dtype = parts[0]->dtype;
  if (dtype == AXLE_DTYPE_BYTES) return make_strings(runtime, parts);
  uint64_t bytes = 0;
  for (const axle_tensor *part : parts) bytes += part->bytes;
  const void *data = parts.size() == 1 ? in_place(*parts[0]) : nullptr;
  if (data == nullptr) {
    auto *copy = static_cast<unsigned char *>(Scratch::of_thread().take(scratch_slot, bytes));
    data = copy;
    for (const axle_tensor *part : parts) {
      gather(*part, copy);
      copy += part->bytes;
    }
  }
  // ONNX Runtime does not write to its inputs.
  return make_value_over(runtime, dtype, concatenated_shape(parts), const_cast<void *>(data),
                         bytes);
}

std::vector<int64_t> shape_of(const OrtRuntime &runtime, const OrtValue *value) {
  const OrtFunctions &ort = runtime.functions();
  OrtTensorTypeAndShapeInfo *made = nullptr;
  check(runtime, ort.get_tensor_shape(value, &made));
  const OrtOwned<OrtTensorTypeAndShapeInfo> info(made, {ort.release_tensor_info});
  size_t rank = 0;
  check(runtime, ort.get_rank(made, &rank));
  std::vector<int64_t> dims(rank);
  if (rank > 0) check(runtime, ort.get_dims(made, dims.data(), rank));
  return dims;
}

const void *data_of(const OrtRuntime &runtime, const OrtOwnedValue &value) {
  void *data = nullptr;
  check(runtime, runtime.functions().get_tensor_data(value.get(), &data));
  return data;
}

void emit_value(const OrtRuntime &runtime, const OrtOwnedValue &value, const OutputPart &part,
                TaskRun &run) {
  std::vector<int64_t> dims = shape_of(runtime, value.get());
  const uint64_t total = element_count(dims.data(), dims.size());
  Elements elements = {0, total};
  if (part.rows >= 0) {
    const uint64_t of_row = dims[0] == 0 ? 0 : total / static_cast<uint64_t>(dims[0]);
    elements = {of_row * static_cast<uint64_t>(part.row),
                of_row * static_cast<uint64_t>(part.rows)};
    dims[0] = part.rows;
  }
  if (part.dtype == AXLE_DTYPE_BYTES) {
    emit_strings(runtime, value, total, elements, part, dims, run);
    return;
  }
  const size_t element_bytes = dtype_bytes(part.dtype);
  const uint64_t bytes = elements.count * element_bytes;
  void *data = run.allocate(bytes);
  if (bytes > 0) {
    const auto *from = static_cast<const unsigned char *>(data_of(runtime, value));
    std::memcpy(data, from + elements.first * element_bytes, bytes);
  }
  run.emit(part.output, part.name, part.dtype, dims.data(), dims.size(), data, bytes);
}

}  // namespace axle::cpu
