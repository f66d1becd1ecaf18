// SPDX-License-Identifier: Apache-2.0
// A call that may block, seen from JavaScript: a promise.
#ifndef AXLE_HOST_BLOCKING_JOB_H
#define AXLE_HOST_BLOCKING_JOB_H

#include <node_api.h>

#include <functional>
#include <optional>
#include <vector>

#include "status.h"

namespace axle::host {

struct BlockingJob {
  // On a blocking thread; may throw StatusError.
  std::function<void()> work;
  // On the JS thread, after work that did not throw: what the promise resolves with.
  std::function<napi_value(napi_env)> result;
  // On the JS thread instead of result when the environment ends: gives back what work made.
  std::function<void()> abandon;
  // JS memory that work reads.
  std::vector<napi_ref> pins;

  // Of the environment.
  napi_deferred deferred = nullptr;
  std::optional<StatusError> error;
};

}  // namespace axle::host

#endif  // AXLE_HOST_BLOCKING_JOB_H
