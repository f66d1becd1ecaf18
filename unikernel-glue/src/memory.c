// SPDX-License-Identifier: Apache-2.0
#include "memory.h"

#if !defined(__STDC_HOSTED__) || !__STDC_HOSTED__

// At any alignment, and an alias of anything.
typedef uint64_t axle_word __attribute__((may_alias, aligned(1)));

// What keeps the loops from being made into calls of memcpy and memset.
#define KEEP_LOOP __asm__ volatile("" ::: "memory")

void axle_copy_bytes(void *to, const void *from, size_t bytes) {
  uint8_t *t = (uint8_t *)to;
  const uint8_t *f = (const uint8_t *)from;
  for (; bytes >= sizeof(axle_word); bytes -= sizeof(axle_word)) {
    *(axle_word *)t = *(const axle_word *)f;
    t += sizeof(axle_word);
    f += sizeof(axle_word);
    KEEP_LOOP;
  }
  for (; bytes > 0; bytes--) {
    *t++ = *f++;
    KEEP_LOOP;
  }
}

void axle_clear_bytes(void *at, size_t bytes) {
  uint8_t *t = (uint8_t *)at;
  for (; bytes >= sizeof(axle_word); bytes -= sizeof(axle_word)) {
    *(axle_word *)t = 0;
    t += sizeof(axle_word);
    KEEP_LOOP;
  }
  for (; bytes > 0; bytes--) {
    *t++ = 0;
    KEEP_LOOP;
  }
}

#else

// ISO C wants something in every file.
typedef int axle_memory_is_the_compilers;

#endif
