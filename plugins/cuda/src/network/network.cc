// SPDX-License-Identifier: Apache-2.0
#include "network.h"

#include <cstring>
#include <unordered_map>

#include "common/failure.h"
#include "operators.h"
#include "planner.h"

namespace axle::cuda {

namespace {

constexpr uint64_t kAlignment = 256;
// Most of a constant that is not numbers to compute with, but a shape or axes.
constexpr uint64_t kIntegersMax = 1024;

[[noreturn]] void wrong(const std::string &what) {
  throw Failure(AXLE_STATUS_INVALID_ARGUMENT, one_line(what));
}
[[noreturn]] void unsupported(const std::string &what) {
  throw Failure(AXLE_STATUS_UNIMPLEMENTED, one_line("cuda does not run " + what));
}

std::string quoted(std::string_view name) { return "\"" + std::string(name) + "\""; }

class Builder {
 public:
  explicit Builder(const OnnxModel &model) : model_(model) {}

  ReadNetwork build() {
    network().opset = model_.opset;
    if (model_.opset < kOpsetMin || model_.opset > kOpsetMax) {
      unsupported("operators of version " + std::to_string(model_.opset) + "; " +
                  std::to_string(kOpsetMin) + " to " + std::to_string(kOpsetMax) + " are known");
    }
    if (model_.has_sparse) unsupported("sparse constants");
    for (const OnnxTensor &tensor : model_.initializers) add_constant(tensor.name, tensor);
    for (const OnnxValue &input : model_.inputs) {
      // Old files list constants among the inputs.
      if (values_.count(input.name) == 0) add_input(input);
    }
    for (const OnnxNode &node : model_.nodes) add_node(node);
    for (const OnnxValue &output : model_.outputs) add_output(output);
    if (network().inputs.empty()) unsupported("a model without inputs");
    if (network().outputs.empty()) wrong("it has no outputs");
    network().takes_batches = has_common_batch();
    fuse(network());
    probe();
    return std::move(read_);
  }

 private:
  Network &network() { return read_.network; }

  size_t add_value(std::string_view name, NetworkValue value) {
    if (name.empty()) wrong("a value has no name");
    value.name = std::string(name);
    network().values.push_back(std::move(value));
    const size_t index = network().values.size() - 1;
    if (!values_.emplace(name, index).second) wrong("the name " + quoted(name) + " is given twice");
    return index;
  }

  void add_constant(std::string_view name, const OnnxTensor &tensor) {
    NetworkValue value;
    value.dims = tensor.dims;
    if (tensor.type == kOnnxFloat) {
      value.kind = NetworkValue::Kind::kWeight;
      value.weight_at = network().weight_bytes;
      const uint64_t bytes = uint64_t{elements_of(tensor.dims)} * sizeof(float);
      network().weight_bytes += (bytes + kAlignment - 1) / kAlignment * kAlignment;
      if (tensor.count == 1) {
        float scalar = 0;
        tensor.read_floats(&scalar);
        value.scalar = scalar;
      }
      read_.weights.push_back({&tensor, value.weight_at});
    } else if (tensor.type == kOnnxInt64 && tensor.count <= kIntegersMax) {
      value.kind = NetworkValue::Kind::kIntegers;
      value.integers = tensor.integers();
    } else {
      value.kind = NetworkValue::Kind::kAbsent;
      value.why = "a constant of ONNX type " + std::to_string(tensor.type);
    }
    add_value(name, std::move(value));
  }

  NetworkPort port_of(const OnnxValue &value, const char *what) {
    if (!value.is_tensor || value.type != kOnnxFloat) {
      unsupported(std::string(what) + " " + quoted(value.name) + " of another type than FP32");
    }
    NetworkPort port;
    port.name = std::string(value.name);
    port.dims = value.dims;
    if (!value.names.empty() && value.dims[0] < 0) port.batch_name = std::string(value.names[0]);
    return port;
  }

  void add_input(const OnnxValue &input) {
    NetworkPort port = port_of(input, "an input");
    if (!input.has_shape) unsupported("input " + quoted(input.name) + ", which declares no shape");
    for (size_t i = 1; i < port.dims.size(); i++) {
      if (port.dims[i] < 0) {
        unsupported("input " + quoted(input.name) + ", whose dimension " + std::to_string(i) +
                    " is open; dimension 0 alone may be");
      }
    }
    port.value = add_value(input.name, NetworkValue());
    network().inputs.push_back(std::move(port));
  }

  void add_output(const OnnxValue &output) {
    NetworkPort port = port_of(output, "an output");
    if (!output.has_shape)
      unsupported("output " + quoted(output.name) + ", which declares no shape");
    port.value = find(output.name);
    if (network().values[port.value].kind == NetworkValue::Kind::kIntegers) {
      unsupported("output " + quoted(output.name) + ", which is a constant of INT64");
    }
    network().outputs.push_back(std::move(port));
  }

  size_t find(std::string_view name) {
    const auto found = values_.find(name);
    if (found == values_.end())
      wrong("the value " + quoted(name) + " is used, but nothing makes it");
    const NetworkValue &value = network().values[found->second];
    if (value.kind == NetworkValue::Kind::kAbsent) unsupported(value.why + ", " + quoted(name));
    return found->second;
  }

  void add_node(const OnnxNode &node) {
    const bool standard = node.domain.empty() || node.domain == "ai.onnx";
    if (!standard) {
      unsupported("operator " + quoted(node.op) + " of the domain " + quoted(node.domain));
    }
    if (node.outputs.empty()) wrong("operator " + quoted(node.op) + " makes nothing");
    if (node.op == "Constant") {
      const OnnxAttribute *value = node.find("value");
      if (value == nullptr || !value->has_tensor) unsupported("a Constant that is no tensor");
      add_constant(node.outputs[0], value->tensor);
      return;
    }
    const Operator *op = find_operator(node.op);
    if (op == nullptr) {
      if (!is_onnx_operator(node.op))
        wrong("operator " + quoted(node.op) + " does not exist in ONNX");
      unsupported("the operator " + std::string(node.op));
    }
    add_known_node(node, *op);
  }

  void add_known_node(const OnnxNode &node, const Operator &op) {
    if (node.inputs.size() < op.inputs_min) {
      wrong("operator " + std::string(node.op) + " lacks inputs");
    }
    NetworkNode made;
    made.op = &op;
    made.name = std::string(node.name);
    for (size_t i = 0; i < node.inputs.size(); i++) {
      const bool given = !node.inputs[i].empty();
      if (given && i >= op.inputs_max) {
        unsupported("operator " + std::string(node.op) + " with " +
                    std::to_string(node.inputs.size()) + " inputs");
      }
      if (!given && i < op.inputs_min) wrong("operator " + std::string(node.op) + " lacks inputs");
      made.inputs.push_back(given ? find(node.inputs[i]) : kNoValue);
    }
    for (const OnnxAttribute &attribute : node.attributes) {
      made.attributes.push_back({std::string(attribute.name), attribute.f, attribute.i,
                                 std::string(attribute.s), attribute.ints});
    }
    made.output = add_value(node.outputs[0], NetworkValue());
    for (size_t i = 1; i < node.outputs.size(); i++) {
      if (node.outputs[i].empty()) continue;
      NetworkValue absent;
      absent.kind = NetworkValue::Kind::kAbsent;
      absent.why = "output " + std::to_string(i) + " of operator " + std::string(node.op);
      add_value(node.outputs[i], std::move(absent));
    }
    network().nodes.push_back(std::move(made));
  }

  bool has_common_batch() {
    const std::string *name = nullptr;
    for (const auto *ports : {&network().inputs, &network().outputs}) {
      for (const NetworkPort &port : *ports) {
        if (port.dims.empty() || port.dims[0] >= 0) return false;
        if (name == nullptr) name = &port.batch_name;
        if (port.batch_name != *name) return false;
      }
    }
    return true;
  }

  // A plan for one row, which looks at everything that nodes say.
  void probe() {
    std::vector<Dims> dims;
    for (const NetworkPort &port : network().inputs) {
      dims.push_back(port.dims);
      for (int64_t &size : dims.back()) size = size < 0 ? 1 : size;
    }
    make_plan(network(), dims);
  }

  const OnnxModel &model_;
  ReadNetwork read_;
  std::unordered_map<std::string_view, size_t> values_;
};

}  // namespace

const NetworkAttribute *NetworkNode::find(const char *attribute) const {
  for (const NetworkAttribute &one : attributes) {
    if (one.name == attribute) return &one;
  }
  return nullptr;
}

std::vector<uint8_t> ReadNetwork::pack_weights() const {
  std::vector<uint8_t> packed(network.weight_bytes);
  for (const Weight &weight : weights) {
    weight.tensor->read_floats(reinterpret_cast<float *>(packed.data() + weight.at));
  }
  return packed;
}

ReadNetwork read_network(const OnnxModel &model) { return Builder(model).build(); }

}  // namespace axle::cuda
