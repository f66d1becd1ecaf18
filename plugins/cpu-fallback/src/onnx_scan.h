// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CPU_ONNX_SCAN_H
#define AXLE_CPU_ONNX_SCAN_H

#include <axle/plugin.h>

#include <set>
#include <string>

namespace axle::cpu {

// What an ONNX model says that ONNX Runtime does not tell or must not be left to act upon.
struct OnnxScan {
  // Files that hold data of tensors; each is a file of the source.
  std::set<std::string> external_files;
  // Inputs and outputs of the main graph that declare no shape, not even a rank.
  std::set<std::string> without_shape;
};

// Reads the model in source.files[0] before ONNX Runtime does, which would open any path of the host
// that a tensor's external_data names. Throws Failure (INVALID_ARGUMENT) when the bytes are no ONNX
// model, or when external data is not wholly inside a file of the source.
OnnxScan scan_onnx(const axle_model_source &source);

}  // namespace axle::cpu

#endif
