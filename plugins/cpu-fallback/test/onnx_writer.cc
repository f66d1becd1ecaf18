// SPDX-License-Identifier: Apache-2.0
#include "onnx_writer.h"

namespace axle::test {

void Message::varint(uint64_t value) {
  while (value >= 0x80) {
    text_.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  text_.push_back(static_cast<char>(value));
}

Message &Message::number(uint32_t field, uint64_t value) {
  varint(static_cast<uint64_t>(field) << 3);
  varint(value);
  return *this;
}

Message &Message::bytes(uint32_t field, const std::string &value) {
  varint(static_cast<uint64_t>(field) << 3 | 2);
  varint(value.size());
  text_ += value;
  return *this;
}

namespace {

Message tensor_head(const std::string &name, int type, const std::vector<int64_t> &dims) {
  Message message;
  for (const int64_t dim : dims) message.number(1, static_cast<uint64_t>(dim));
  return message.number(2, static_cast<uint64_t>(type)).bytes(8, name);
}

Message pair(const std::string &key, const std::string &value) {
  return Message().bytes(1, key).bytes(2, value);
}

Message value_info(const std::string &name, int type, const std::vector<Dim> *dims) {
  Message tensor_type;
  tensor_type.number(1, static_cast<uint64_t>(type));
  if (dims != nullptr) {
    Message shape;
    for (const Dim &dim : *dims) {
      Message one;
      if (dim.size >= 0) {
        one.number(1, static_cast<uint64_t>(dim.size));
      } else if (!dim.name.empty()) {
        one.bytes(2, dim.name);
      }
      shape.message(1, one);
    }
    tensor_type.message(2, shape);
  }
  return Message().bytes(1, name).message(2, Message().message(1, tensor_type));
}

}  // namespace

Message tensor(const std::string &name, int type, const std::vector<int64_t> &dims,
               const std::string &raw) {
  return tensor_head(name, type, dims).bytes(9, raw);
}

Message external_tensor(const std::string &name, int type, const std::vector<int64_t> &dims,
                        const std::string &location, int64_t offset, int64_t length) {
  return tensor_head(name, type, dims)
      .message(13, pair("location", location))
      .message(13, pair("offset", std::to_string(offset)))
      .message(13, pair("length", std::to_string(length)))
      .number(14, 1);
}

Message int_attribute(const std::string &name, int64_t value) {
  return Message().bytes(1, name).number(3, static_cast<uint64_t>(value)).number(20, 2);
}

Message ints_attribute(const std::string &name, const std::vector<int64_t> &values) {
  Message message;
  message.bytes(1, name);
  for (const int64_t value : values) message.number(8, static_cast<uint64_t>(value));
  return message.number(20, 7);
}

Message tensor_attribute(const std::string &name, const Message &value) {
  return Message().bytes(1, name).message(5, value).number(20, 4);
}

Message graph_attribute(const std::string &name, const Message &value) {
  return Message().bytes(1, name).message(6, value).number(20, 5);
}

Graph::Graph() { graph_.bytes(2, "test"); }

Graph &Graph::input(const std::string &name, int type, const std::vector<Dim> &dims) {
  graph_.message(11, value_info(name, type, &dims));
  return *this;
}

Graph &Graph::input_without_shape(const std::string &name, int type) {
  graph_.message(11, value_info(name, type, nullptr));
  return *this;
}

Graph &Graph::output(const std::string &name, int type, const std::vector<Dim> &dims) {
  graph_.message(12, value_info(name, type, &dims));
  return *this;
}

Graph &Graph::output_without_shape(const std::string &name, int type) {
  graph_.message(12, value_info(name, type, nullptr));
  return *this;
}

Graph &Graph::node(const std::string &op, const std::vector<std::string> &inputs,
                   const std::vector<std::string> &outputs,
                   const std::vector<Message> &attributes) {
  Message node;
  for (const std::string &input : inputs) node.bytes(1, input);
  for (const std::string &output : outputs) node.bytes(2, output);
  node.bytes(4, op);
  for (const Message &attribute : attributes) node.message(5, attribute);
  graph_.message(1, node);
  return *this;
}

Graph &Graph::initializer(const Message &value) {
  graph_.message(5, value);
  return *this;
}

std::string Graph::model() const {
  return Message()
      .number(1, 8)  // IR version
      .message(7, graph_)
      .message(8, Message().bytes(1, "").number(2, 17))  // opset
      .text();
}

}  // namespace axle::test
