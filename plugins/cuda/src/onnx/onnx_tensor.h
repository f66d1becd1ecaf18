// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CUDA_ONNX_ONNX_TENSOR_H
#define AXLE_CUDA_ONNX_ONNX_TENSOR_H

#include "onnx_model.h"

namespace axle::cuda {

// Reads a TensorProto. One of a type that networks here do not have is described, and its data not looked at. Throws
// Failure (INVALID_ARGUMENT).
OnnxTensor read_onnx_tensor(std::string_view message, const axle_model_source &source);

}  // namespace axle::cuda

#endif
