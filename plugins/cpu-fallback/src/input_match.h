// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CPU_INPUT_MATCH_H
#define AXLE_CPU_INPUT_MATCH_H

#include <axle/plugin.h>

#include <vector>

#include "model.h"

namespace axle::cpu {

// The task's tensors in the order of the model's inputs: by name, or by position where a tensor has
// no name. Throws Failure (INVALID_ARGUMENT) when a name is unknown, missing or given twice, or when a
// tensor's type or shape is not what the model expects; the message says what was expected and what
// came.
std::vector<const axle_tensor *> match_inputs(const Model &model, const axle_task &task);

// Checks one tensor against one input of the model, likewise.
void check_input(const Model &model, const ModelPort &port, uint32_t dtype, const int64_t *dims,
                 size_t rank);

}  // namespace axle::cpu

#endif
