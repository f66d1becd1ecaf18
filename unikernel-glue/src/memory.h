// SPDX-License-Identifier: Apache-2.0
//
// Copies and clears without the C library: compilers make a call of memcpy or memset of a plain loop, and
// there may be none.
#ifndef AXLE_MEMORY_H
#define AXLE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__) && !defined(__clang__)
#define AXLE_PLAIN_LOOP __attribute__((optimize("no-tree-loop-distribute-patterns")))
#else
#define AXLE_PLAIN_LOOP
#endif

#if defined(__STDC_HOSTED__) && __STDC_HOSTED__

#define AXLE_HAS_MEMORY_BUILTINS 1

#else

#define AXLE_HAS_MEMORY_BUILTINS 0

// At any alignment, and an alias of anything.
typedef uint64_t axle_word __attribute__((may_alias, aligned(1)));

#endif

AXLE_PLAIN_LOOP static inline void copy_bytes(void *to, const void *from, size_t bytes) {
#if AXLE_HAS_MEMORY_BUILTINS
  if (bytes > 0) __builtin_memcpy(to, from, bytes);
#else
  uint8_t *t = (uint8_t *)to;
  const uint8_t *f = (const uint8_t *)from;
#if defined(__clang__)
#pragma clang loop vectorize(disable) unroll(disable)
#endif
  for (; bytes >= sizeof(axle_word); bytes -= sizeof(axle_word)) {
    *(axle_word *)t = *(const axle_word *)f;
    t += sizeof(axle_word);
    f += sizeof(axle_word);
    __asm__ volatile("" ::: "memory");
  }
#if defined(__clang__)
#pragma clang loop vectorize(disable) unroll(disable)
#endif
  for (size_t i = 0; i < bytes; i++) t[i] = f[i];
#endif
}

AXLE_PLAIN_LOOP static inline void clear_bytes(void *at, size_t bytes) {
#if AXLE_HAS_MEMORY_BUILTINS
  if (bytes > 0) __builtin_memset(at, 0, bytes);
#else
#if defined(__clang__)
#pragma clang loop vectorize(disable) unroll(disable)
#endif
  for (size_t i = 0; i < bytes; i++) ((volatile uint8_t *)at)[i] = 0;
#endif
}

#endif  // AXLE_MEMORY_H
