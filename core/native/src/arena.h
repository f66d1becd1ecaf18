// SPDX-License-Identifier: Apache-2.0
// Memory for the small things that one task is made of, given back all at once.
#ifndef AXLE_HOST_ARENA_H
#define AXLE_HOST_ARENA_H

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <type_traits>

namespace axle::host {

class Arena {
 public:
  Arena() = default;
  Arena(const Arena &) = delete;
  Arena &operator=(const Arena &) = delete;
  ~Arena() { reset(); }

  // Not initialised. Throws std::bad_alloc.
  template <typename T>
  T *array(size_t count) {
    static_assert(std::is_trivially_destructible_v<T> && alignof(T) <= kAlignment);
    size_t bytes = 0;
    if (__builtin_mul_overflow(count, sizeof(T), &bytes)) throw std::bad_alloc();
    return static_cast<T *>(allocate(bytes));
  }

  // NUL-terminated.
  char *copy_text(const char *text, size_t bytes) {
    char *copy = array<char>(bytes + 1);
    std::memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    return copy;
  }

  void reset() {
    at_ = inline_;
    left_ = kInlineBytes;
    while (extra_ != nullptr) {
      Extra *next = extra_->next;
      std::free(extra_);
      extra_ = next;
    }
  }

 private:
  static constexpr size_t kAlignment = 16;
  static constexpr size_t kInlineBytes = 768;
  static constexpr size_t kExtraBytes = 4096;

  struct alignas(kAlignment) Extra {
    Extra *next;
  };

  void *allocate(size_t bytes) {
    if (bytes > SIZE_MAX / 2) throw std::bad_alloc();
    const size_t rounded = (bytes + kAlignment - 1) & ~(kAlignment - 1);
    if (rounded > left_) grow(rounded);
    void *result = at_;
    at_ += rounded;
    left_ -= rounded;
    return result;
  }

  void grow(size_t bytes) {
    const size_t room = bytes > kExtraBytes ? bytes : kExtraBytes;
    auto *extra = static_cast<Extra *>(std::malloc(sizeof(Extra) + room));
    if (extra == nullptr) throw std::bad_alloc();
    extra->next = extra_;
    extra_ = extra;
    at_ = reinterpret_cast<uint8_t *>(extra + 1);
    left_ = room;
  }

  uint8_t *at_ = inline_;
  size_t left_ = kInlineBytes;
  Extra *extra_ = nullptr;
  alignas(kAlignment) uint8_t inline_[kInlineBytes];
};

}  // namespace axle::host

#endif  // AXLE_HOST_ARENA_H
