// SPDX-License-Identifier: Apache-2.0
//
// Numbers on the wire, byte by byte: right on machines of either byte order, at any alignment.
#ifndef AXLE_WIRE_BYTES_H
#define AXLE_WIRE_BYTES_H

#include <stdint.h>

#define AXLE_WIRE_ALIGNMENT 8u

static inline uint64_t get_uint(const uint8_t *at, unsigned bytes) {
  uint64_t value = 0;
  for (unsigned i = 0; i < bytes; i++) value |= (uint64_t)at[i] << (8 * i);
  return value;
}

static inline void set_uint(uint8_t *at, unsigned bytes, uint64_t value) {
  for (unsigned i = 0; i < bytes; i++) at[i] = (uint8_t)(value >> (8 * i));
}

static inline uint64_t padding_of(uint64_t bytes) {
  return (AXLE_WIRE_ALIGNMENT - bytes % AXLE_WIRE_ALIGNMENT) % AXLE_WIRE_ALIGNMENT;
}

#endif  // AXLE_WIRE_BYTES_H
