// SPDX-License-Identifier: Apache-2.0
#include "onnx_model.h"

#include "common/failure.h"
#include "onnx_tensor.h"
#include "protobuf_reader.h"

namespace axle::cuda {

namespace {

[[noreturn]] void refuse(const std::string &what) {
  throw Failure(AXLE_STATUS_INVALID_ARGUMENT, one_line(what));
}

class Reader {
 public:
  explicit Reader(const axle_model_source &source) : source_(source) {}

  OnnxModel read() {
    if (source_.file_count == 0 || source_.files[0].bytes == 0) {
      refuse("it has no bytes; give the .onnx file first");
    }
    const axle_file &file = source_.files[0];
    bool has_graph = false;
    ProtobufReader reader({static_cast<const char *>(file.data), file.bytes});
    for (ProtobufField field; reader.next(&field);) {
      if (field.number == 7) {
        if (has_graph) refuse("it has two graphs");
        has_graph = true;
        graph(bytes_of(field));
      } else if (field.number == 8) {
        operators(bytes_of(field));
      } else if (field.number == 25) {
        model_.has_functions = true;
      }
    }
    if (!has_graph) refuse("it is no ONNX model: it has no graph");
    if (model_.opset == 0) refuse("it is no ONNX model: it does not say which operators it uses");
    return std::move(model_);
  }

 private:
  // OperatorSetIdProto
  void operators(std::string_view message) {
    std::string_view domain;
    int64_t version = 0;
    ProtobufReader reader(message);
    for (ProtobufField field; reader.next(&field);) {
      if (field.number == 1) domain = bytes_of(field);
      if (field.number == 2) version = static_cast<int64_t>(varint_of(field));
    }
    if (domain.empty() || domain == "ai.onnx") model_.opset = version;
  }

  void graph(std::string_view message) {
    ProtobufReader reader(message);
    for (ProtobufField field; reader.next(&field);) {
      switch (field.number) {
        case 1:
          if (model_.nodes.size() == kOnnxNodesMax) refuse("it has more than 65536 nodes");
          model_.nodes.push_back(node(bytes_of(field)));
          break;
        case 5:
          if (model_.initializers.size() == kOnnxTensorsMax)
            refuse("it has more than 65536 tensors");
          model_.initializers.push_back(read_onnx_tensor(bytes_of(field), source_));
          break;
        case 11:
          add_value(model_.inputs, bytes_of(field));
          break;
        case 12:
          add_value(model_.outputs, bytes_of(field));
          break;
        case 15:
          model_.has_sparse = true;
          break;
        default:
          break;
      }
    }
  }

  OnnxNode node(std::string_view message) const {
    OnnxNode node;
    ProtobufReader reader(message);
    for (ProtobufField field; reader.next(&field);) {
      switch (field.number) {
        case 1:
          node.inputs.push_back(bytes_of(field));
          break;
        case 2:
          node.outputs.push_back(bytes_of(field));
          break;
        case 3:
          node.name = bytes_of(field);
          break;
        case 4:
          node.op = bytes_of(field);
          break;
        case 5:
          node.attributes.push_back(attribute(bytes_of(field)));
          break;
        case 7:
          node.domain = bytes_of(field);
          break;
        default:
          break;
      }
    }
    return node;
  }

  OnnxAttribute attribute(std::string_view message) const {
    OnnxAttribute attribute;
    ProtobufReader reader(message);
    for (ProtobufField field; reader.next(&field);) {
      switch (field.number) {
        case 1:
          attribute.name = bytes_of(field);
          break;
        case 2:
          attribute.f = float_of(field);
          break;
        case 3:
          attribute.i = static_cast<int64_t>(varint_of(field));
          break;
        case 4:
          attribute.s = bytes_of(field);
          break;
        case 5:
          attribute.has_tensor = true;
          attribute.tensor = read_onnx_tensor(bytes_of(field), source_);
          break;
        case 6:
        case 11:
          attribute.has_graph = true;
          break;
        case 7:
          add_floats(field, &attribute.floats);
          break;
        case 8:
          add_varints(field, &attribute.ints);
          break;
        default:
          break;
      }
    }
    return attribute;
  }

  static void add_value(std::vector<OnnxValue> &values, std::string_view message) {
    if (values.size() == kOnnxTensorsMax) refuse("it has more than 65536 inputs or outputs");
    OnnxValue value;
    ProtobufReader reader(message);
    for (ProtobufField field; reader.next(&field);) {
      if (field.number == 1) value.name = bytes_of(field);
      if (field.number == 2) type(value, bytes_of(field));
    }
    values.push_back(std::move(value));
  }

  // TypeProto, and of it the tensor_type
  static void type(OnnxValue &value, std::string_view message) {
    ProtobufReader reader(message);
    for (ProtobufField field; reader.next(&field);) {
      if (field.number != 1) continue;
      value.is_tensor = true;
      ProtobufReader inside(bytes_of(field));
      for (ProtobufField part; inside.next(&part);) {
        if (part.number == 1) value.type = static_cast<int32_t>(varint_of(part));
        if (part.number == 2) shape(value, bytes_of(part));
      }
    }
  }

  static void shape(OnnxValue &value, std::string_view message) {
    value.has_shape = true;
    ProtobufReader reader(message);
    for (ProtobufField field; reader.next(&field);) {
      if (field.number != 1) continue;
      if (value.dims.size() == AXLE_RANK_MAX) {
        refuse("\"" + std::string(value.name) + "\" has more than 16 dimensions");
      }
      int64_t size = -1;
      std::string_view name;
      ProtobufReader inside(bytes_of(field));
      for (ProtobufField part; inside.next(&part);) {
        if (part.number == 1) size = static_cast<int64_t>(varint_of(part));
        if (part.number == 2) name = bytes_of(part);
      }
      value.dims.push_back(size < 0 ? -1 : size);
      value.names.push_back(size < 0 ? name : std::string_view());
    }
  }

  const axle_model_source &source_;
  OnnxModel model_;
};

}  // namespace

const OnnxAttribute *OnnxNode::find(std::string_view attribute) const {
  for (const OnnxAttribute &one : attributes) {
    if (one.name == attribute) return &one;
  }
  return nullptr;
}

OnnxModel OnnxModel::read(const axle_model_source &source) { return Reader(source).read(); }

}  // namespace axle::cuda
