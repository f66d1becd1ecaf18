// SPDX-License-Identifier: Apache-2.0
#include "inputs.h"

#include "dtype.h"
#include "js.h"
#include "limits.h"
#include "names.h"
#include "status.h"

namespace axle::host {
namespace {

constexpr uint32_t kValuesPerInput = 4;
constexpr uint32_t kDataAt = 3;

using ull = unsigned long long;

// "input 0", or "input 0 ('image')".
std::string input_place(uint32_t index, const axle_tensor &tensor) {
  return tensor.name == nullptr ? format("input %u", index)
                                : format("input %u ('%s')", index, tensor.name);
}

[[noreturn]] void refuse(uint32_t index, const axle_tensor &tensor, const std::string &why) {
  fail(AXLE_STATUS_INVALID_ARGUMENT, "%s: %s", input_place(index, tensor).c_str(), why.c_str());
}

std::string dims_text(const axle_tensor &tensor) {
  std::string text = "[";
  for (uint32_t i = 0; i < tensor.rank; ++i) {
    text += format(i == 0 ? "%lld" : ", %lld", static_cast<long long>(tensor.dims[i]));
  }
  return text + "]";
}

const char *read_name(napi_env env, napi_value value, uint32_t index, const axle_tensor &tensor,
                      Arena *arena) {
  if (is_nullish(env, value)) return nullptr;
  char text[AXLE_NAME_BYTES_MAX + 2];
  size_t bytes = 0;
  if (napi_get_value_string_utf8(env, value, text, sizeof text, &bytes) != napi_ok) {
    refuse(index, tensor, "the name must be a string or null");
  }
  size_t name_bytes = 0;
  const char *problem = name_problem(text, &name_bytes);
  if (problem == nullptr && name_bytes != bytes) problem = "has a NUL";
  if (problem != nullptr) refuse(index, tensor, format("the name %s", problem));
  return arena->copy_text(text, bytes);
}

bool is_integer(double number, uint64_t max) {
  // False for NaN too.
  return number >= 0 && number <= static_cast<double>(max) &&
         static_cast<double>(static_cast<uint64_t>(number)) == number;
}

// Dtype and shape. Returns where the numbers of the next input start.
const double *read_shape(const double *numbers, uint32_t index, axle_tensor *tensor, Arena *arena) {
  const double dtype = *numbers++;
  if (!is_integer(dtype, AXLE_DTYPE_BF16) || dtype < AXLE_DTYPE_BOOL) {
    refuse(
        index, *tensor,
        format("the dtype must be one of AXLE_DTYPE_*, 1 to %u, not %g", AXLE_DTYPE_BF16, dtype));
  }
  tensor->dtype = static_cast<uint32_t>(dtype);
  const double rank = *numbers++;
  if (!(rank >= 0)) refuse(index, *tensor, "dims must be an array");
  if (rank > AXLE_RANK_MAX) {
    refuse(index, *tensor, format("the rank is %g, at most %u is allowed", rank, AXLE_RANK_MAX));
  }
  tensor->rank = static_cast<uint32_t>(rank);
  auto *dims = arena->array<int64_t>(tensor->rank);
  for (uint32_t i = 0; i < tensor->rank; ++i) {
    if (!is_integer(numbers[i], kSafeIntegerMax)) {
      refuse(index, *tensor, format("dimension %u must be a non-negative safe integer", i));
    }
    dims[i] = static_cast<int64_t>(numbers[i]);
  }
  tensor->dims = dims;
  return numbers + tensor->rank;
}

napi_ref pin(napi_env env, napi_value value, Task *task) {
  task->pins.reserve(task->pins.size() + 1);
  task->pins.push_back(make_reference(env, value));
  return task->pins.back();
}

axle_segment copy_segment(const ByteSpan &span, Task *task) {
  task->input_copies.reserve(task->input_copies.size() + 1);
  Block block;
  if (!MemoryPool::get().acquire(span.bytes, &block)) {
    fail(AXLE_STATUS_RESOURCE_EXHAUSTED, "there is no memory to copy an input of %llu bytes to",
         ull{span.bytes});
  }
  task->input_copies.push_back(block);
  std::memcpy(block.data, span.data, span.bytes);
  return {block.data, span.bytes};
}

// Sees to it that the memory is there until the task is done.
axle_segment keep_segment(napi_env env, napi_value value, const ByteSpan &span, Task *task) {
  if (span.bytes <= kCopiedInputBytesMax) {
    auto *copy = task->arena.array<uint8_t>(span.bytes);
    if (span.bytes > 0) std::memcpy(copy, span.data, span.bytes);
    return {copy, span.bytes};
  }
  if (task->copies_inputs) return copy_segment(span, task);
  pin(env, value, task);
  return {span.data, span.bytes};
}

void read_scatter_list(napi_env env, napi_value value, uint32_t index, axle_tensor *tensor,
                       Task *task, uint64_t segments_left) {
  uint32_t count = 0;
  if (napi_get_array_length(env, value, &count) != napi_ok) {
    refuse(index, *tensor, "data must be a Uint8Array or an array of them");
  }
  if (count > segments_left) {
    refuse(index, *tensor, format("the task has more than %llu segments", ull{kSegmentsMax}));
  }
  auto *segments = task->arena.array<axle_segment>(count);
  for (uint32_t i = 0; i < count; ++i) {
    napi_value element = read_element(env, value, i);
    ByteSpan span{};
    if (!try_read_bytes(env, element, &span)) {
      refuse(index, *tensor, format("data[%u] must be a Uint8Array", i));
    }
    segments[i] = keep_segment(env, element, span, task);
    tensor->bytes += span.bytes;
  }
  tensor->segments = segments;
  tensor->segment_count = count;
}

void read_data(napi_env env, napi_value value, uint32_t index, axle_tensor *tensor, Task *task,
               uint64_t segments_left) {
  ByteSpan span{};
  if (!try_read_bytes(env, value, &span)) {
    read_scatter_list(env, value, index, tensor, task, segments_left);
    return;
  }
  auto *segment = task->arena.array<axle_segment>(1);
  *segment = keep_segment(env, value, span, task);
  tensor->segments = segment;
  tensor->segment_count = 1;
  tensor->bytes = span.bytes;
}

void check_size(uint32_t index, const axle_tensor &tensor) {
  uint64_t elements = 0;
  if (!element_count(tensor.dims, tensor.rank, &elements)) {
    refuse(index, tensor, format("the shape %s overflows", dims_text(tensor).c_str()));
  }
  if (tensor.dtype == AXLE_DTYPE_BYTES) {
    bool exact = false;
    const uint64_t found =
        count_bytes_elements(tensor.segments, tensor.segment_count, elements, &exact);
    if (found == elements && exact) return;
    if (found > elements) {
      refuse(index, tensor,
             format("BYTES %s is %llu elements, and the data goes on after them",
                    dims_text(tensor).c_str(), ull{elements}));
    }
    refuse(index, tensor,
           format("BYTES %s is %llu elements, and the data %s after %llu of them",
                  dims_text(tensor).c_str(), ull{elements},
                  exact ? "ends" : "ends in the middle of one", ull{found}));
  }
  uint64_t expected = 0;
  if (__builtin_mul_overflow(elements, element_bytes(tensor.dtype), &expected)) {
    refuse(index, tensor, format("the shape %s overflows", dims_text(tensor).c_str()));
  }
  if (expected != tensor.bytes) {
    refuse(index, tensor,
           format("%s %s is %llu bytes, the data has %llu", dtype_name(tensor.dtype),
                  dims_text(tensor).c_str(), ull{expected}, ull{tensor.bytes}));
  }
}

}  // namespace

uint64_t checked_integer(double number, uint64_t max, const char *what) {
  if (is_integer(number, max)) return static_cast<uint64_t>(number);
  fail(AXLE_STATUS_INVALID_ARGUMENT, "%s must be an integer from 0 to %llu", what, ull{max});
}

void read_inputs(napi_env env, const double *numbers, napi_value list, Task *task) {
  const double given = numbers[staging::kInputCount];
  if (given > AXLE_INPUTS_MAX) {
    fail(AXLE_STATUS_INVALID_ARGUMENT, "the task has %g inputs, at most %u are allowed", given,
         AXLE_INPUTS_MAX);
  }
  if (!is_integer(given, AXLE_INPUTS_MAX)) {
    fail(AXLE_STATUS_INVALID_ARGUMENT, "inputs must be a list of name, dtype, dims, data, ...");
  }
  const auto count = static_cast<uint32_t>(given);
  auto *tensors = task->arena.array<axle_tensor>(count);
  const double *at = numbers + staging::kInputs;
  uint64_t segments_left = kSegmentsMax;
  for (uint32_t i = 0; i < count; ++i) {
    axle_tensor *tensor = &tensors[i];
    *tensor = {};
    napi_value name = read_element(env, list, i * kValuesPerInput);
    tensor->name = read_name(env, name, i, *tensor, &task->arena);
    at = read_shape(at, i, tensor, &task->arena);
    napi_value data = read_element(env, list, i * kValuesPerInput + kDataAt);
    read_data(env, data, i, tensor, task, segments_left);
    segments_left -= tensor->segment_count;
    check_size(i, *tensor);
  }
  task->abi.inputs = tensors;
  task->abi.input_count = count;
}

void read_one_input(napi_env env, const double *numbers, napi_value name, napi_value data,
                    Task *task) {
  auto *tensor = task->arena.array<axle_tensor>(1);
  *tensor = {};
  tensor->name = read_name(env, name, 0, *tensor, &task->arena);
  read_shape(numbers + staging::kInputs, 0, tensor, &task->arena);
  read_data(env, data, 0, tensor, task, kSegmentsMax);
  check_size(0, *tensor);
  task->abi.inputs = tensor;
  task->abi.input_count = 1;
}

void read_output_room(napi_env env, napi_value array, Task *task) {
  const ByteSpan span = read_bytes(env, array, "into");
  const auto start = reinterpret_cast<uintptr_t>(span.data);
  const uint64_t before = (kRoomAlignment - start % kRoomAlignment) % kRoomAlignment;
  if (span.bytes <= before) return;
  auto *data = static_cast<uint8_t *>(const_cast<void *>(span.data));
  task->room = {data, span.bytes, before, pin(env, array, task)};
}

void read_stream_input(napi_env env, napi_value data, Task *task) {
  auto *tensor = task->arena.array<axle_tensor>(1);
  *tensor = {};
  tensor->dtype = AXLE_DTYPE_UINT8;
  tensor->rank = 1;
  if (!is_nullish(env, data)) {
    ByteSpan span{};
    if (!try_read_bytes(env, data, &span)) {
      fail(AXLE_STATUS_INVALID_ARGUMENT, "data must be a Uint8Array or null");
    }
    auto *segment = task->arena.array<axle_segment>(1);
    *segment = keep_segment(env, data, span, task);
    tensor->segments = segment;
    tensor->segment_count = 1;
    tensor->bytes = span.bytes;
  }
  auto *dims = task->arena.array<int64_t>(1);
  dims[0] = static_cast<int64_t>(tensor->bytes);
  tensor->dims = dims;
  task->abi.inputs = tensor;
  task->abi.input_count = 1;
}

}  // namespace axle::host
