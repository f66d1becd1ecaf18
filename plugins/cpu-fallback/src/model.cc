// SPDX-License-Identifier: Apache-2.0
#include "model.h"

#include <cstring>
#include <string_view>
#include <utility>

#include "common/abi_struct.h"
#include "common/failure.h"
#include "onnx_scan.h"
#include "tensor_data.h"

namespace axle::cpu {

namespace {

// A name that can only mean a file of the bundle. ONNX Runtime gives names with '*' a meaning of its
// own: an address in this process.
bool is_plain_name(std::string_view name) {
  if (name.empty() || name.size() > 4096) return false;
  for (const char c : name) {
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7F || c == '\\' || c == '*') return false;
  }
  for (size_t start = 0; start <= name.size();) {
    const size_t end = std::min(name.find('/', start), name.size());
    const std::string_view part = name.substr(start, end - start);
    if (part.empty() || part == "." || part == "..") return false;
    start = end + 1;
  }
  return true;
}

uint64_t check_files(const axle_model_source &source) {
  if (source.file_count == 0 || source.files[0].bytes == 0) {
    throw Failure(AXLE_STATUS_INVALID_ARGUMENT, "it has no bytes; give the .onnx file first");
  }
  uint64_t bytes = 0;
  for (uint64_t i = 0; i < source.file_count; i++) {
    if (!is_plain_name(source.files[i].name)) {
      throw Failure(AXLE_STATUS_INVALID_ARGUMENT,
                    one_line("file name \"" + std::string(source.files[i].name) +
                             "\" is refused; use a relative path without \"..\", \"*\" or \"\\\""));
    }
    bytes += source.files[i].bytes;
  }
  return bytes;
}

std::vector<const axle_file *> named_files(const axle_model_source &source,
                                           const std::set<std::string> &names) {
  std::vector<const axle_file *> files;
  for (const std::string &name : names) {
    for (uint64_t i = 1; i < source.file_count; i++) {
      if (name != source.files[i].name) continue;
      files.push_back(&source.files[i]);
      break;
    }
  }
  return files;
}

// dims is not NULL, also for a scalar; NULL with rank 0 stands for any shape.
axle_tensor_spec spec_of(const ModelPort &port) {
  static const int64_t scalar[1] = {0};
  axle_tensor_spec spec = {};
  spec.name = port.name.c_str();
  spec.dtype = port.dtype;
  spec.rank = static_cast<uint32_t>(port.dims.size());
  if (!port.any_shape) spec.dims = port.dims.empty() ? scalar : port.dims.data();
  return spec;
}

}  // namespace

std::string ModelPort::text() const {
  return dtype_name(dtype) + " " + (any_shape ? "of any shape" : shape_text(dims));
}

std::unique_ptr<Model> Model::load(const OrtRuntime &runtime, const axle_model_source &source,
                                   int intra_op_threads) {
  const std::string prefix = "model \"" + std::string(source.name) + "\": ";
  if (std::strcmp(source.format, "onnx") != 0) {
    throw Failure(AXLE_STATUS_UNIMPLEMENTED,
                  one_line(prefix + "format \"" + source.format +
                           "\" is not known; cpu-fallback runs \"onnx\""));
  }
  try {
    return std::unique_ptr<Model>(new Model(runtime, source, intra_op_threads));
  } catch (const Failure &failure) {
    // A file that ONNX Runtime cannot load is the file's fault.
    const int32_t status =
        failure.status() == AXLE_STATUS_INTERNAL ? AXLE_STATUS_INVALID_ARGUMENT : failure.status();
    throw Failure(status, one_line(prefix + failure.what()));
  }
}

Model::Model(const OrtRuntime &runtime, const axle_model_source &source, int intra_op_threads)
    : runtime_(runtime), name_(source.name) {
  memory_bytes_ = check_files(source);
  const OnnxScan scan = scan_onnx(source);
  create_session(source, intra_op_threads, named_files(source, scan.external_files));
  read_ports();
  for (auto *ports : {&inputs_, &outputs_}) {
    for (ModelPort &port : *ports) {
      port.any_shape = port.dims.empty() && scan.without_shape.count(port.name) > 0;
    }
  }
  takes_batches_ = has_common_batch();
  for (const ModelPort &port : inputs_) {
    input_names_.push_back(port.name.c_str());
    input_specs_.push_back(spec_of(port));
  }
  for (const ModelPort &port : outputs_) {
    output_names_.push_back(port.name.c_str());
    output_specs_.push_back(spec_of(port));
  }
}

void Model::create_session(const axle_model_source &source, int intra_op_threads,
                           const std::vector<const axle_file *> &external_files) {
  const OrtFunctions &ort = runtime_.functions();
  const auto check = [this](OrtStatus *status) {
    runtime_.check(status, "ONNX Runtime refuses it");
  };

  OrtSessionOptions *made = nullptr;
  check(ort.create_session_options(&made));
  const OrtOwned<OrtSessionOptions> options(made, {ort.release_session_options});
  check(ort.set_execution_mode(made, kOrtSequential));
  check(ort.set_intra_op_threads(made, intra_op_threads));
  check(ort.enable_cpu_arena(made));
  check(ort.add_session_config(made, "session.intra_op.allow_spinning", "0"));
  // Or else a file may claim to be in ONNX Runtime's own format, which nobody has scanned.
  check(ort.add_session_config(made, "session.load_model_format", "ONNX"));

  std::vector<const char *> names;
  std::vector<char *> data;
  std::vector<size_t> bytes;
  for (const axle_file *file : external_files) {
    names.push_back(file->name);
    data.push_back(const_cast<char *>(static_cast<const char *>(file->data)));
    bytes.push_back(file->bytes);
  }
  if (!names.empty()) {
    check(ort.add_external_files(made, names.data(), data.data(), bytes.data(), names.size()));
  }

  OrtSession *session = nullptr;
  check(ort.create_session_from_array(runtime_.env(), source.files[0].data, source.files[0].bytes,
                                      made, &session));
  session_ = OrtOwned<OrtSession>(session, {ort.release_session});
}

void Model::read_ports() {
  const OrtFunctions &ort = runtime_.functions();
  using GetName = decltype(ort.get_input_name);
  using GetType = decltype(ort.get_input_type);
  const auto check = [this](OrtStatus *status) { runtime_.check(status, "cannot be described"); };
  const auto read = [&](size_t count, GetName get_name, GetType get_type, const char *what) {
    std::vector<ModelPort> ports;
    for (size_t i = 0; i < count; i++) {
      char *text = nullptr;
      check(get_name(session_.get(), i, runtime_.allocator(), &text));
      const std::string name = text;
      check(ort.allocator_free(runtime_.allocator(), text));
      OrtTypeInfo *type = nullptr;
      check(get_type(session_.get(), i, &type));
      const OrtOwned<OrtTypeInfo> owned(type, {ort.release_type_info});
      ports.push_back(read_port(type, name, what));
    }
    return ports;
  };
  size_t count = 0;
  check(ort.get_input_count(session_.get(), &count));
  inputs_ = read(count, ort.get_input_name, ort.get_input_type, "input");
  check(ort.get_output_count(session_.get(), &count));
  outputs_ = read(count, ort.get_output_name, ort.get_output_type, "output");
}

ModelPort Model::read_port(OrtTypeInfo *type, const std::string &name, const char *what) const {
  const OrtFunctions &ort = runtime_.functions();
  const auto check = [this](OrtStatus *status) { runtime_.check(status, "cannot be described"); };
  const auto refuse = [&](const std::string &why) {
    throw Failure(AXLE_STATUS_UNIMPLEMENTED, std::string(what) + " \"" + name + "\" " + why);
  };

  int kind = 0;
  check(ort.get_type_kind(type, &kind));
  if (kind != kOrtTypeTensor) refuse("is no tensor; only models of tensors can be run");
  const OrtTensorTypeAndShapeInfo *info = nullptr;
  check(ort.get_tensor_info(type, &info));
  int element = 0;
  check(ort.get_element_type(info, &element));

  ModelPort port;
  port.name = name;
  port.dtype = dtype_of_onnx(element);
  if (port.dtype == 0) {
    refuse("has ONNX element type " + std::to_string(element) + ", which Axle does not have");
  }
  size_t rank = 0;
  check(ort.get_rank(info, &rank));
  if (rank > AXLE_RANK_MAX) {
    refuse("has " + std::to_string(rank) + " dimensions; at most " + std::to_string(AXLE_RANK_MAX) +
           " can be used");
  }
  port.dims.resize(rank);
  std::vector<const char *> names(rank, nullptr);
  if (rank > 0) {
    check(ort.get_dims(info, port.dims.data(), rank));
    check(ort.get_dim_names(info, names.data(), rank));
  }
  for (size_t i = 0; i < rank; i++) {
    if (port.dims[i] < 0) port.dims[i] = -1;
    port.names.emplace_back(names[i] == nullptr ? "" : names[i]);
  }
  return port;
}

bool Model::has_common_batch() const {
  if (inputs_.empty() || outputs_.empty()) return false;
  const std::string *name = nullptr;
  for (const auto *ports : {&inputs_, &outputs_}) {
    for (const ModelPort &port : *ports) {
      if (port.dims.empty() || port.dims[0] >= 0) return false;
      if (name == nullptr) name = &port.names[0];
      if (port.names[0] != *name) return false;
    }
  }
  return true;
}

void Model::run(const OrtValue *const *inputs, OrtValue **outputs) const {
  runtime_.check(runtime_.functions().run(session_.get(), nullptr, input_names_.data(), inputs,
                                          input_names_.size(), output_names_.data(),
                                          output_names_.size(), outputs),
                 "model \"" + name_ + "\" failed");
}

void Model::fill(axle_model_info *info) const {
  axle_model_info filled = {};
  filled.inputs = input_specs_.data();
  filled.input_count = input_specs_.size();
  filled.outputs = output_specs_.data();
  filled.output_count = output_specs_.size();
  filled.memory_bytes = memory_bytes_;
  fill_struct(info, filled);
}

}  // namespace axle::cpu
