// SPDX-License-Identifier: Apache-2.0
#ifndef AXLE_CPU_CODECS_OBJECT_POOL_H
#define AXLE_CPU_CODECS_OBJECT_POOL_H

#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace axle::cpu {

// Keeps contexts that are costly to make for the next user. Any thread.
template <class T>
class ObjectPool {
 public:
  explicit ObjectPool(size_t idle_max) : idle_max_(idle_max) {}

  // NULL when none is idle.
  std::unique_ptr<T> take() {
    std::lock_guard<std::mutex> lock(mutex_);
    if (idle_.empty()) return nullptr;
    std::unique_ptr<T> object = std::move(idle_.back());
    idle_.pop_back();
    return object;
  }

  void give(std::unique_ptr<T> object) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (idle_.size() < idle_max_) idle_.push_back(std::move(object));
  }

  void clear() {
    std::vector<std::unique_ptr<T>> idle;
    std::lock_guard<std::mutex> lock(mutex_);
    idle.swap(idle_);
  }

 private:
  const size_t idle_max_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<T>> idle_;
};

// Takes an object for one scope; makes one when none is idle.
template <class T>
class Pooled {
 public:
  template <class Make>
  Pooled(ObjectPool<T> &pool, Make make) : pool_(pool), object_(pool.take()) {
    if (!object_) object_ = make();
  }
  ~Pooled() {
    if (object_) pool_.give(std::move(object_));
  }
  Pooled(const Pooled &) = delete;
  Pooled &operator=(const Pooled &) = delete;

  T &operator*() const { return *object_; }
  T *operator->() const { return object_.get(); }

 private:
  ObjectPool<T> &pool_;
  std::unique_ptr<T> object_;
};

}  // namespace axle::cpu

#endif
