// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_PLUGINS_COMMON_BYTE_INPUT_H
#define AXLE_PLUGINS_COMMON_BYTE_INPUT_H

#include <axle/plugin.h>

namespace axle {

// Throws Failure (INVALID_ARGUMENT) unless the task has one input, UINT8 [n], whose segments hold n bytes.
// The host has checked this already; a plugin that reads past a buffer takes the host down with it.
void check_byte_input(const axle_task &task);

// Of all segments together.
uint64_t bytes_of(const axle_tensor &tensor);

}  // namespace axle

#endif
