// SPDX-License-Identifier: Apache-2.0
//
// Field numbers are those of onnx.proto (ONNX IR version 3 to 13). Whatever may hold a TensorProto is
// walked: graphs, nodes, attributes, functions, training graphs and sparse tensors, to any depth up to
// a limit.
#include "onnx_scan.h"

#include <charconv>
#include <cstring>
#include <string_view>
#include <vector>

#include "common/failure.h"
#include "protobuf_reader.h"

namespace axle::cpu {

namespace {

// Messages inside messages; protobuf's own limit is 100.
constexpr int kDepthMax = 100;

struct ExternalData {
  std::vector<std::string_view> locations;
  uint64_t offset = 0;
  uint64_t length = 0;
};

class Scanner {
 public:
  explicit Scanner(const axle_model_source &source) : source_(source) {}

  OnnxScan scan() {
    const axle_file &file = source_.files[0];
    model({static_cast<const char *>(file.data), file.bytes});
    return std::move(result_);
  }

 private:
  using Visitor = void (Scanner::*)(std::string_view message, int depth);
  struct Child {
    uint32_t number;
    Visitor visit;
  };

  template <size_t n>
  void walk(std::string_view message, int depth, const Child (&children)[n]) {
    if (depth > kDepthMax) fail("it is nested more than " + std::to_string(kDepthMax) + " deep");
    ProtobufReader reader(message);
    for (ProtobufField field; reader.next(&field);) {
      if (!field.is_bytes) continue;
      for (const Child &child : children) {
        if (child.number == field.number) (this->*child.visit)(field.bytes, depth + 1);
      }
    }
  }

  void model(std::string_view message) {
    bool has_graph = false;
    ProtobufReader reader(message);
    for (ProtobufField field; reader.next(&field);) {
      if (!field.is_bytes) continue;
      if (field.number == 7) {
        has_graph = true;
        main_graph(field.bytes);
      } else if (field.number == 20) {
        training(field.bytes, 1);
      } else if (field.number == 25) {
        function(field.bytes, 1);
      }
    }
    if (!has_graph) fail("it has no graph");
  }

  void main_graph(std::string_view message) {
    ProtobufReader reader(message);
    for (ProtobufField field; reader.next(&field);) {
      if (!field.is_bytes) continue;
      if (field.number == 5) {
        in_main_initializer_ = true;
        tensor(field.bytes, 2);
        in_main_initializer_ = false;
      } else if (field.number == 11 || field.number == 12) {
        value_info(field.bytes);
      } else if (field.number == 1) {
        node(field.bytes, 2);
      } else if (field.number == 15) {
        sparse_tensor(field.bytes, 2);
      }
    }
  }

  void graph(std::string_view message, int depth) {
    walk(message, depth,
         {{1, &Scanner::node}, {5, &Scanner::tensor}, {15, &Scanner::sparse_tensor}});
  }
  void node(std::string_view message, int depth) {
    walk(message, depth, {{5, &Scanner::attribute}});
  }
  void attribute(std::string_view message, int depth) {
    walk(message, depth,
         {{5, &Scanner::tensor},
          {6, &Scanner::graph},
          {10, &Scanner::tensor},
          {11, &Scanner::graph},
          {22, &Scanner::sparse_tensor},
          {23, &Scanner::sparse_tensor}});
  }
  void sparse_tensor(std::string_view message, int depth) {
    walk(message, depth, {{1, &Scanner::tensor}, {2, &Scanner::tensor}});
  }
  void training(std::string_view message, int depth) {
    walk(message, depth, {{1, &Scanner::graph}, {2, &Scanner::graph}});
  }
  void function(std::string_view message, int depth) {
    walk(message, depth, {{7, &Scanner::node}, {11, &Scanner::attribute}});
  }

  // ValueInfoProto: name 1, type 2 -> TypeProto: tensor_type 1 -> shape 2.
  void value_info(std::string_view message) {
    std::string_view name;
    bool has_shape = false;
    ProtobufReader reader(message);
    for (ProtobufField field; reader.next(&field);) {
      if (field.number == 1) name = field.bytes;
      if (field.number == 2) has_shape = has_child(field.bytes, 1, 2);
    }
    if (!has_shape) result_.without_shape.emplace(name);
  }

  static bool has_child(std::string_view message, uint32_t outer, uint32_t inner) {
    ProtobufReader reader(message);
    for (ProtobufField field; reader.next(&field);) {
      if (!field.is_bytes || field.number != outer) continue;
      ProtobufReader inside(field.bytes);
      for (ProtobufField child; inside.next(&child);) {
        if (child.number == inner) return true;
      }
    }
    return false;
  }

  // TensorProto: external_data 13. Whether data_location says that it counts is not asked.
  void tensor(std::string_view message, int) {
    ExternalData external;
    std::string_view name;
    bool found = false;
    ProtobufReader reader(message);
    for (ProtobufField field; reader.next(&field);) {
      if (field.number == 8 && field.is_bytes) name = field.bytes;
      if (field.number != 13 || !field.is_bytes) continue;
      found = true;
      external_entry(field.bytes, name, &external);
    }
    if (found) check_external(external, name);
  }

  void external_entry(std::string_view message, std::string_view tensor_name,
                      ExternalData *external) {
    std::string_view key;
    std::string_view value;
    ProtobufReader reader(message);
    for (ProtobufField field; reader.next(&field);) {
      if (field.number == 1) key = field.bytes;
      if (field.number == 2) value = field.bytes;
    }
    if (key == "location") external->locations.push_back(value);
    if (key == "offset") external->offset = number(value, tensor_name);
    if (key == "length") external->length = number(value, tensor_name);
  }

  uint64_t number(std::string_view text, std::string_view tensor_name) {
    uint64_t value = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || rest != text.data() + text.size()) {
      fail("the external data of tensor \"" + std::string(tensor_name) +
           "\" has an offset or length that is no number");
    }
    return value;
  }

  void check_external(const ExternalData &external, std::string_view name) {
    const std::string tensor = "tensor \"" + std::string(name) + "\"";
    if (external.locations.empty()) fail("the external data of " + tensor + " names no file");
    // ONNX Runtime takes data from memory only for the main graph's initializers, and would look for
    // any other on the host's disk.
    if (!in_main_initializer_) {
      fail(tensor + " has external data in \"" + std::string(external.locations.front()) +
           "\" but is no initializer of the main graph; store its data in the model itself");
    }
    for (const std::string_view location : external.locations) {
      const axle_file *file = find_file(location);
      if (file == nullptr) {
        fail(tensor + " has its data in \"" + std::string(location) +
             "\", which is not among the model's files; add that file to the model");
      }
      if (external.offset > file->bytes || external.length > file->bytes - external.offset) {
        fail(tensor + " has its data past the end of \"" + std::string(location) +
             "\", which has " + std::to_string(file->bytes) + " bytes");
      }
      result_.external_files.emplace(location);
    }
  }

  const axle_file *find_file(std::string_view name) const {
    for (uint64_t i = 1; i < source_.file_count; i++) {
      if (name == source_.files[i].name) return &source_.files[i];
    }
    return nullptr;
  }

  [[noreturn]] void fail(const std::string &what) const {
    throw Failure(AXLE_STATUS_INVALID_ARGUMENT, one_line(what));
  }

  const axle_model_source &source_;
  OnnxScan result_;
  bool in_main_initializer_ = false;
};

}  // namespace

OnnxScan scan_onnx(const axle_model_source &source) { return Scanner(source).scan(); }

}  // namespace axle::cpu
