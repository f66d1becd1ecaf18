// SPDX-License-Identifier: Apache-2.0
// Memory that two processes share, of which no access can fault: a memfd that can neither shrink nor grow.
#ifndef AXLE_HOST_SHARED_MEMORY_H
#define AXLE_HOST_SHARED_MEMORY_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace axle::host {

// An open file descriptor, or -1.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  Descriptor(Descriptor &&other) noexcept : number_(other.release()) {}
  Descriptor &operator=(Descriptor &&other) noexcept;
  ~Descriptor();

  int number() const { return number_; }
  bool is_open() const { return number_ >= 0; }
  int release() {
    const int number = number_;
    number_ = -1;
    return number;
  }

 private:
  int number_;
};

// A mapping, until it is destroyed.
class SharedMapping {
 public:
  // Throws StatusError RESOURCE_EXHAUSTED as the system refuses.
  SharedMapping(const Descriptor &descriptor, uint64_t bytes);
  ~SharedMapping();
  SharedMapping(const SharedMapping &) = delete;
  SharedMapping &operator=(const SharedMapping &) = delete;

  void *data() const { return data_; }
  uint64_t bytes() const { return bytes_; }

 private:
  void *data_;
  uint64_t bytes_;
};

// A mapping that is handed out in ranges, and stays until all of them are back. Any thread.
class RangedMapping {
 public:
  explicit RangedMapping(std::unique_ptr<SharedMapping> mapping) : mapping_(std::move(mapping)) {}

  uint8_t *data() const { return static_cast<uint8_t *>(mapping_->data()); }
  uint64_t bytes() const { return mapping_->bytes(); }

  // The range from `offset` on is used no more.
  void give_back(uint64_t offset) noexcept;
  // Where those start that were given back since the last call.
  std::vector<uint64_t> take_returned();

 private:
  std::unique_ptr<SharedMapping> mapping_;
  std::mutex mutex_;
  std::vector<uint64_t> returned_;
};

// Zeros, sealed against shrinking, growing and unsealing. Throws StatusError UNIMPLEMENTED where the system has none.
Descriptor make_shared_memory(uint64_t bytes);

// The size of memory that someone else made. Throws StatusError FAILED_PRECONDITION unless it is sealed as
// make_shared_memory seals it, and has 1..bytes_max bytes: whoever holds the other end could make reads fault.
uint64_t checked_size(const Descriptor &descriptor, uint64_t bytes_max);

}  // namespace axle::host

#endif  // AXLE_HOST_SHARED_MEMORY_H
