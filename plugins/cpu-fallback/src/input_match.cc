// SPDX-License-Identifier: Apache-2.0
#include "input_match.h"

#include "common/failure.h"
#include "tensor_data.h"

namespace axle::cpu {

namespace {

std::string known_inputs(const Model &model) {
  std::string text = "the inputs of model \"" + model.name() + "\" are ";
  if (model.inputs().empty()) return text + "none";
  for (size_t i = 0; i < model.inputs().size(); i++) {
    const ModelPort &port = model.inputs()[i];
    text += (i > 0 ? ", \"" : "\"") + port.name + "\" " + port.text();
  }
  return text;
}

[[noreturn]] void refuse(const std::string &what) {
  throw Failure(AXLE_STATUS_INVALID_ARGUMENT, one_line(what));
}

size_t position_of(const Model &model, const axle_tensor &tensor, uint64_t position) {
  if (tensor.name == nullptr) {
    if (position < model.inputs().size()) return position;
    refuse("input " + std::to_string(position) + " is one too many; " + known_inputs(model));
  }
  for (size_t i = 0; i < model.inputs().size(); i++) {
    if (model.inputs()[i].name == tensor.name) return i;
  }
  refuse(std::string("input \"") + tensor.name + "\" is not known; " + known_inputs(model));
}

bool shape_fits(const ModelPort &port, const int64_t *dims, size_t rank) {
  if (port.any_shape) return true;
  if (port.dims.size() != rank) return false;
  for (size_t i = 0; i < rank; i++) {
    if (port.dims[i] >= 0 && port.dims[i] != dims[i]) return false;
  }
  return true;
}

}  // namespace

void check_input(const Model &model, const ModelPort &port, uint32_t dtype, const int64_t *dims,
                 size_t rank) {
  if (port.dtype == dtype && shape_fits(port, dims, rank)) return;
  refuse("input \"" + port.name + "\" of model \"" + model.name() + "\" takes " + port.text() +
         ", not " + dtype_name(dtype) + " " + shape_text(dims, rank));
}

std::vector<const axle_tensor *> match_inputs(const Model &model, const axle_task &task) {
  std::vector<const axle_tensor *> matched(model.inputs().size(), nullptr);
  for (uint64_t i = 0; i < task.input_count; i++) {
    const axle_tensor &tensor = task.inputs[i];
    const size_t position = position_of(model, tensor, i);
    const ModelPort &port = model.inputs()[position];
    if (matched[position] != nullptr) {
      refuse("input \"" + port.name + "\" is given twice; give it once");
    }
    check_input(model, port, tensor.dtype, tensor.dims, tensor.rank);
    check_bytes(tensor, "input \"" + port.name + "\"");
    matched[position] = &tensor;
  }
  for (size_t i = 0; i < matched.size(); i++) {
    if (matched[i] != nullptr) continue;
    refuse("input \"" + model.inputs()[i].name + "\" is missing; " + known_inputs(model));
  }
  return matched;
}

}  // namespace axle::cpu
