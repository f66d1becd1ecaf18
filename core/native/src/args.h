// SPDX-License-Identifier: Apache-2.0
// Arguments of ops, read from JavaScript once and used by any number of tasks.
#ifndef AXLE_HOST_ARGS_H
#define AXLE_HOST_ARGS_H

#include <axle/plugin.h>
#include <node_api.h>

#include <deque>
#include <string>
#include <vector>

namespace axle::host {

// Immutable. Counted by its JS thread; plugins read it on theirs.
class ArgSet {
 public:
  // From a list of [name, type, value], with one reference. Throws StatusError INVALID_ARGUMENT.
  static ArgSet *read(napi_env env, napi_value list);

  void retain() { ++references_; }
  void release() {
    if (--references_ == 0) delete this;
  }

  const axle_arg *data() const { return args_.data(); }
  uint64_t size() const { return args_.size(); }
  bool equals(const ArgSet &other) const { return content_ == other.content_; }

 private:
  ArgSet() = default;
  ~ArgSet() = default;

  uint64_t references_ = 1;
  std::vector<axle_arg> args_;
  std::deque<std::string> texts_;  // what args_ points to
  std::string content_;            // of all of it, to compare by
};

// nullptr is no arguments.
inline bool same_args(const ArgSet *a, const ArgSet *b) {
  if (a == b) return true;
  return a != nullptr && b != nullptr && a->equals(*b);
}

}  // namespace axle::host

#endif  // AXLE_HOST_ARGS_H
