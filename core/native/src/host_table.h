// SPDX-License-Identifier: Apache-2.0
// What plugins are given: the axle_host.
#ifndef AXLE_HOST_HOST_TABLE_H
#define AXLE_HOST_HOST_TABLE_H

#include <axle/plugin.h>

#include <string>

#include "task.h"

namespace axle::host {

// A table for the plugin of that name, valid for the life of the process.
const axle_host *make_host_table(const std::string &plugin_name);

uint64_t now_ns() noexcept;

// While one lives, this thread is inside a plugin's submit or stream_write.
class SubmitScope {
 public:
  SubmitScope() noexcept;
  ~SubmitScope();
  SubmitScope(const SubmitScope &) = delete;
  SubmitScope &operator=(const SubmitScope &) = delete;
};

}  // namespace axle::host

#endif  // AXLE_HOST_HOST_TABLE_H
