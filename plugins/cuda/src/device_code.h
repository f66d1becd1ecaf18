// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CUDA_DEVICE_CODE_H
#define AXLE_CUDA_DEVICE_CODE_H

namespace axle::cuda {

// The kernels as the driver takes them: a fatbin of nvcc's, PTX text of clang's, or NULL where this
// library was built with neither.
const void *device_code();

}  // namespace axle::cuda

#endif
