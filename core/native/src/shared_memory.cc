// SPDX-License-Identifier: Apache-2.0
// memfd_create and seals: memfd_create(2), fcntl(2) F_ADD_SEALS.
#include "shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "status.h"

namespace axle::host {
namespace {

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

}  // namespace

Descriptor &Descriptor::operator=(Descriptor &&other) noexcept {
  if (this != &other) {
    if (is_open()) close(number_);
    number_ = other.release();
  }
  return *this;
}

Descriptor::~Descriptor() {
  if (is_open()) close(number_);
}

SharedMapping::SharedMapping(const Descriptor &descriptor, uint64_t bytes) : bytes_(bytes) {
  data_ = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor.number(), 0);
  if (data_ == MAP_FAILED) {
    fail(AXLE_STATUS_RESOURCE_EXHAUSTED, "cannot map %llu bytes of shared memory: %s",
         static_cast<unsigned long long>(bytes), strerror(errno));
  }
}

SharedMapping::~SharedMapping() { munmap(data_, bytes_); }

void RangedMapping::give_back(uint64_t offset) noexcept try {
  const std::lock_guard<std::mutex> lock(mutex_);
  returned_.push_back(offset);
} catch (...) {
  // Without memory to say so in, the range stays taken until the mapping ends.
}

std::vector<uint64_t> RangedMapping::take_returned() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return std::exchange(returned_, {});
}

Descriptor make_shared_memory(uint64_t bytes) {
  Descriptor memory(memfd_create("axle-arena", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory.is_open()) {
    fail(AXLE_STATUS_UNIMPLEMENTED, "this system gives no shared memory: %s", strerror(errno));
  }
  if (ftruncate(memory.number(), static_cast<off_t>(bytes)) != 0) {
    fail(AXLE_STATUS_RESOURCE_EXHAUSTED, "cannot make %llu bytes of shared memory: %s",
         static_cast<unsigned long long>(bytes), strerror(errno));
  }
  if (fcntl(memory.number(), F_ADD_SEALS, kSeals) != 0) {
    fail(AXLE_STATUS_UNIMPLEMENTED, "this system does not seal shared memory: %s", strerror(errno));
  }
  return memory;
}

uint64_t checked_size(const Descriptor &descriptor, uint64_t bytes_max) {
  const int seals = fcntl(descriptor.number(), F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals) {
    fail(AXLE_STATUS_FAILED_PRECONDITION,
         "what was handed over is no shared memory that is sealed against shrinking and growing");
  }
  struct stat status {};
  if (fstat(descriptor.number(), &status) != 0 || status.st_size <= 0 ||
      static_cast<uint64_t>(status.st_size) > bytes_max) {
    fail(AXLE_STATUS_FAILED_PRECONDITION,
         "the shared memory that was handed over has %lld bytes; 1 to %llu are taken",
         static_cast<long long>(status.st_size), static_cast<unsigned long long>(bytes_max));
  }
  return static_cast<uint64_t>(status.st_size);
}

}  // namespace axle::host
