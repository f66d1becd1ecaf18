// SPDX-License-Identifier: Apache-2.0
//
// Copies and clears without the C library: compilers make a call of memcpy or memset of a plain loop, and
// there may be none.
#ifndef AXLE_MEMORY_H
#define AXLE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#if defined(__STDC_HOSTED__) && __STDC_HOSTED__

static inline void copy_bytes(void *to, const void *from, size_t bytes) {
  if (bytes > 0) __builtin_memcpy(to, from, bytes);
}

static inline void clear_bytes(void *at, size_t bytes) {
  if (bytes > 0) __builtin_memset(at, 0, bytes);
}

#else

// Of memory.c: once, and not where they are needed.
void axle_copy_bytes(void *to, const void *from, size_t bytes);
void axle_clear_bytes(void *at, size_t bytes);

static inline void copy_bytes(void *to, const void *from, size_t bytes) {
  axle_copy_bytes(to, from, bytes);
}

static inline void clear_bytes(void *at, size_t bytes) { axle_clear_bytes(at, bytes); }

#endif

#endif  // AXLE_MEMORY_H
