// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CPU_MODEL_H
#define AXLE_CPU_MODEL_H

#include <axle/plugin.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "ort_runtime.h"

namespace axle::cpu {

// An input or output of a model.
struct ModelPort {
  std::string name;
  uint32_t dtype = 0;
  bool any_shape = false;          // declares no rank: every shape is right
  std::vector<int64_t> dims;       // -1 = any
  std::vector<std::string> names;  // of the dimensions that have one, else empty

  // "FP32 [any, 784]"
  std::string text() const;
};

// An ONNX model in memory. run() may be called from several threads at once.
class Model {
 public:
  // Throws Failure (INVALID_ARGUMENT for a model that is wrong, UNIMPLEMENTED for one that needs more
  // than this plugin or ONNX Runtime has). The source is not needed afterwards.
  static std::unique_ptr<Model> load(const OrtRuntime &runtime, const axle_model_source &source,
                                     int intra_op_threads);

  Model(const Model &) = delete;
  Model &operator=(const Model &) = delete;

  const std::string &name() const { return name_; }
  const OrtRuntime &runtime() const { return runtime_; }
  const std::vector<ModelPort> &inputs() const { return inputs_; }
  const std::vector<ModelPort> &outputs() const { return outputs_; }

  // Dimension 0 of every input and output is free and is the same one: tasks may be concatenated.
  bool takes_batches() const { return takes_batches_; }

  // Size of the model's files, which is close to what its weights take.
  uint64_t memory_bytes() const { return memory_bytes_; }

  // Runs it on one value for each input. Entries of `outputs` that are not NULL are written in place;
  // the others are made, and are the caller's. Throws Failure.
  void run(const OrtValue *const *inputs, OrtValue **outputs) const;

  // Whether outputs of known shape may be bound beforehand: not after a model has broken the shape
  // that it declares.
  bool binds_outputs() const { return binds_outputs_.load(std::memory_order_relaxed); }
  void stop_binding_outputs() const { binds_outputs_.store(false, std::memory_order_relaxed); }

  void fill(axle_model_info *info) const;

 private:
  Model(const OrtRuntime &runtime, const axle_model_source &source, int intra_op_threads);

  void create_session(const axle_model_source &source, int intra_op_threads,
                      const std::vector<const axle_file *> &external_files);
  void read_ports();
  ModelPort read_port(OrtTypeInfo *type, const std::string &name, const char *what) const;
  bool has_common_batch() const;

  const OrtRuntime &runtime_;
  const std::string name_;
  OrtOwned<OrtSession> session_;
  std::vector<ModelPort> inputs_;
  std::vector<ModelPort> outputs_;
  std::vector<const char *> input_names_;
  std::vector<const char *> output_names_;
  std::vector<axle_tensor_spec> input_specs_;
  std::vector<axle_tensor_spec> output_specs_;
  bool takes_batches_ = false;
  uint64_t memory_bytes_ = 0;
  mutable std::atomic<bool> binds_outputs_{true};
};

}  // namespace axle::cpu

#endif
