// SPDX-License-Identifier: Apache-2.0
#include "model.h"

#include <cstring>
#include <utility>

#include "common/abi_struct.h"
#include "common/failure.h"
#include "tensor_checks.h"

namespace axle::cuda {

namespace {

// dims is not NULL, also for a scalar; NULL with rank 0 stands for any shape.
std::vector<axle_tensor_spec> specs_of(const std::vector<NetworkPort> &ports) {
  static const int64_t scalar[1] = {0};
  std::vector<axle_tensor_spec> specs;
  for (const NetworkPort &port : ports) {
    axle_tensor_spec spec = {};
    spec.name = port.name.c_str();
    spec.dtype = AXLE_DTYPE_FP32;
    spec.rank = static_cast<uint32_t>(port.dims.size());
    spec.dims = port.dims.empty() ? scalar : port.dims.data();
    specs.push_back(spec);
  }
  return specs;
}

void check_format(const axle_model_source &source) {
  if (std::strcmp(source.format, "onnx") == 0) return;
  throw Failure(AXLE_STATUS_UNIMPLEMENTED,
                std::string("format \"") + source.format + "\" is not known; cuda runs \"onnx\"");
}

// Runs `body`; what it throws names the model.
template <class Body>
auto naming(const axle_model_source &source, Body body) {
  try {
    check_format(source);
    return body();
  } catch (const Failure &failure) {
    throw Failure(failure.status(),
                  one_line("model \"" + std::string(source.name) + "\": " + failure.what()));
  }
}

std::string port_text(const NetworkPort &port) { return "FP32 " + shape_text(port.dims); }

std::string known_inputs(const Model &model) {
  std::string text = "the inputs of model \"" + model.name() + "\" are ";
  bool first = true;
  for (const NetworkPort &port : model.network().inputs) {
    text += (first ? "\"" : ", \"") + port.name + "\" " + port_text(port);
    first = false;
  }
  return text;
}

[[noreturn]] void refuse(const std::string &what) {
  throw Failure(AXLE_STATUS_INVALID_ARGUMENT, one_line(what));
}

size_t position_of(const Model &model, const axle_tensor &tensor, uint64_t position) {
  const std::vector<NetworkPort> &ports = model.network().inputs;
  if (tensor.name == nullptr) {
    if (position < ports.size()) return position;
    refuse("input " + std::to_string(position) + " is one too many; " + known_inputs(model));
  }
  for (size_t i = 0; i < ports.size(); i++) {
    if (ports[i].name == tensor.name) return i;
  }
  refuse(std::string("input \"") + tensor.name + "\" is not known; " + known_inputs(model));
}

}  // namespace

std::unique_ptr<Model> Model::load(const axle_model_source &source) {
  return naming(source, [&] {
    const OnnxModel file = OnnxModel::read(source);
    return std::unique_ptr<Model>(new Model(source, read_network(file)));
  });
}

void Model::check(const axle_model_source &source) {
  naming(source, [&] {
    const OnnxModel file = OnnxModel::read(source);
    read_network(file);
  });
}

Model::Model(const axle_model_source &source, ReadNetwork &&read)
    : name_(source.name),
      network_(read.network),
      weights_(read.pack_weights()),
      input_specs_(specs_of(network_.inputs)),
      output_specs_(specs_of(network_.outputs)) {}

std::shared_ptr<const Plan> Model::plan_for(const std::vector<Dims> &inputs) const {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = plans_.find(inputs);
    if (found != plans_.end()) return found->second;
  }
  auto plan = std::make_shared<const Plan>(make_plan(network_, inputs));
  std::lock_guard<std::mutex> lock(mutex_);
  // A plan is cheap beside what it takes to run one that came so rarely that it fell out.
  if (plans_.size() >= kPlansMax) plans_.clear();
  plans_[inputs] = plan;
  return plan;
}

void Model::fill(axle_model_info *info) const {
  axle_model_info filled = {};
  filled.inputs = input_specs_.data();
  filled.input_count = input_specs_.size();
  filled.outputs = output_specs_.data();
  filled.output_count = output_specs_.size();
  filled.memory_bytes = weights_.size();
  fill_struct(info, filled);
}

void check_input(const Model &model, const NetworkPort &port, uint32_t dtype, const int64_t *dims,
                 size_t rank) {
  bool fits = dtype == AXLE_DTYPE_FP32 && rank == port.dims.size();
  for (size_t i = 0; fits && i < rank; i++) fits = port.dims[i] < 0 || port.dims[i] == dims[i];
  if (fits) return;
  refuse("input \"" + port.name + "\" of model \"" + model.name() + "\" takes " + port_text(port) +
         ", not " + dtype_name(dtype) + " " + shape_text(dims, rank));
}

std::vector<const axle_tensor *> match_inputs(const Model &model, const axle_task &task) {
  const std::vector<NetworkPort> &ports = model.network().inputs;
  std::vector<const axle_tensor *> matched(ports.size(), nullptr);
  for (uint64_t i = 0; i < task.input_count; i++) {
    const axle_tensor &tensor = task.inputs[i];
    const size_t position = position_of(model, tensor, i);
    const std::string what = "input \"" + ports[position].name + "\"";
    if (matched[position] != nullptr) refuse(what + " is given twice; give it once");
    check_input(model, ports[position], tensor.dtype, tensor.dims, tensor.rank);
    check_bytes(tensor, sizeof(float), what);
    matched[position] = &tensor;
  }
  for (size_t i = 0; i < matched.size(); i++) {
    if (matched[i] != nullptr) continue;
    refuse("input \"" + ports[i].name + "\" is missing; " + known_inputs(model));
  }
  return matched;
}

}  // namespace axle::cuda
