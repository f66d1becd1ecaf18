// SPDX-License-Identifier: Apache-2.0
//
// Numbers on the wire: right on machines of either byte order, at any alignment.
#ifndef AXLE_WIRE_BYTES_H
#define AXLE_WIRE_BYTES_H

#include <stdint.h>

#define AXLE_WIRE_ALIGNMENT 8u

#define AXLE_WIRE_IS_BIG (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)

// At any alignment, and an alias of anything: one load or store where the machine has such.
typedef uint16_t axle_wire_u16 __attribute__((may_alias, aligned(1)));
typedef uint32_t axle_wire_u32 __attribute__((may_alias, aligned(1)));
typedef uint64_t axle_wire_u64 __attribute__((may_alias, aligned(1)));

static inline uint16_t get_u16(const uint8_t *at) {
  const uint16_t value = *(const axle_wire_u16 *)at;
  return AXLE_WIRE_IS_BIG ? __builtin_bswap16(value) : value;
}

static inline uint32_t get_u32(const uint8_t *at) {
  const uint32_t value = *(const axle_wire_u32 *)at;
  return AXLE_WIRE_IS_BIG ? __builtin_bswap32(value) : value;
}

static inline uint64_t get_u64(const uint8_t *at) {
  const uint64_t value = *(const axle_wire_u64 *)at;
  return AXLE_WIRE_IS_BIG ? __builtin_bswap64(value) : value;
}

static inline void set_u16(uint8_t *at, uint16_t value) {
  *(axle_wire_u16 *)at = AXLE_WIRE_IS_BIG ? __builtin_bswap16(value) : value;
}

static inline void set_u32(uint8_t *at, uint32_t value) {
  *(axle_wire_u32 *)at = AXLE_WIRE_IS_BIG ? __builtin_bswap32(value) : value;
}

static inline void set_u64(uint8_t *at, uint64_t value) {
  *(axle_wire_u64 *)at = AXLE_WIRE_IS_BIG ? __builtin_bswap64(value) : value;
}

static inline uint32_t padding_of(uint32_t bytes) { return -bytes % AXLE_WIRE_ALIGNMENT; }

#endif  // AXLE_WIRE_BYTES_H
