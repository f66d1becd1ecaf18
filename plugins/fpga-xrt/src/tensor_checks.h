// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_FPGA_TENSOR_CHECKS_H
#define AXLE_FPGA_TENSOR_CHECKS_H

#include <axle/plugin.h>

namespace axle::fpga {

// Throws Failure (INVALID_ARGUMENT) unless the task has one input, UINT8 [n], whose segments hold n bytes.
// The host has checked this already; a plugin that reads past a buffer takes the host down with it.
void check_byte_input(const axle_task &task);

}  // namespace axle::fpga

#endif
