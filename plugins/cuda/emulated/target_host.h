// SPDX-License-Identifier: Apache-2.0
//
// The vocabulary of src/kernels/target.h for the host's compiler: each thread of a block is a fiber of
// one thread of the process, and goes on to the next where it has to wait.
#ifndef AXLE_CUDA_EMULATED_TARGET_HOST_H
#define AXLE_CUDA_EMULATED_TARGET_HOST_H

#include <cstddef>

#include "../src/kernels/language.h"

#define AXLE_KERNEL extern "C"
#define AXLE_NOINLINE
#define AXLE_UNROLL
#define AXLE_SHARED(type, name, count)    \
  static const char name##_key = 0;       \
  type *const name = static_cast<type *>( \
      ::axle::cuda::kernels::shared_memory(&name##_key, sizeof(type) * (count)))

namespace axle::cuda::kernels {

// Where the running fiber stands.
struct Place {
  unsigned thread = 0;
  unsigned block = 0;
  unsigned block_threads = 0;
  unsigned grid_blocks = 0;
};
extern thread_local Place place __attribute__((tls_model("initial-exec")));

// What the lanes of a warp brought to a point.
struct Exchanged {
  uint32_t values[32];
  uint32_t set;  // the lanes whose value is not 0
};

void sync_threads();
// The block's memory of that key, at a new block full of 0xA5.
void *shared_memory(const void *key, size_t bytes);
// Waits until all 32 lanes have come to the point; good until the lane comes to the next one.
const Exchanged &exchange(uint32_t mine);

inline unsigned thread_x() { return place.thread; }
inline unsigned block_x() { return place.block; }
inline unsigned block_threads() { return place.block_threads; }
inline unsigned grid_blocks() { return place.grid_blocks; }
inline unsigned lane() { return place.thread & 31u; }
inline void sync_warp() { exchange(0); }
inline unsigned ballot(bool predicate) { return exchange(predicate ? 1 : 0).set; }
inline uint32_t shuffle(uint32_t value, unsigned from) {
  return exchange(value).values[from & 31u];
}
inline unsigned match_any(uint32_t value) {
  const Exchanged &all = exchange(value);
  // Bytes first, which compilers make of many at once; eight of them to bits by one product.
  uint8_t equal[32];
  for (unsigned i = 0; i < 32; i++) equal[i] = all.values[i] == value ? 1 : 0;
  unsigned mask = 0;
  for (unsigned i = 0; i < 4; i++) {
    uint64_t eight = 0;
    __builtin_memcpy(&eight, equal + 8 * i, sizeof(eight));
    mask |= static_cast<unsigned>((eight * 0x0102040810204080u) >> 56) << (8 * i);
  }
  return mask;
}
inline int count_trailing_zeros(unsigned mask) { return __builtin_ctz(mask); }
inline int count_leading_zeros(unsigned mask) { return __builtin_clz(mask); }
inline float square_root(float value) { return __builtin_sqrtf(value); }
inline double square_root(double value) { return __builtin_sqrt(value); }

}  // namespace axle::cuda::kernels

#endif
