// SPDX-License-Identifier: Apache-2.0
// Closing what a plugin holds for an environment. Each may block, and drops the reference to the plugin.
#ifndef AXLE_HOST_RESOURCES_H
#define AXLE_HOST_RESOURCES_H

#include "environment.h"

namespace axle::host {

void close_queue(const Queue &queue) noexcept;
void close_stream(const Stream &stream) noexcept;
void unload_model(const Model &model) noexcept;

}  // namespace axle::host

#endif  // AXLE_HOST_RESOURCES_H
