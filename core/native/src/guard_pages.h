// SPDX-License-Identifier: Apache-2.0
// Memory between pages that nobody may touch, in processes that hold a plugin against its rules: a write far past an
// end, or far before a start, ends the process there and then, by a SIGSEGV that it is said of what it was.
#ifndef AXLE_HOST_GUARD_PAGES_H
#define AXLE_HOST_GUARD_PAGES_H

#include "memory_pool.h"

namespace axle::host {

// 64-byte aligned memory that ends where kGuardBytes of such pages begin; as many lie before it, with less than a page
// of memory between that is nobody's. `capacity` is a multiple of 64. nullptr when the memory is not to be had.
uint8_t *guarded_alloc(uint64_t capacity) noexcept;
void guarded_free(Block block) noexcept;

}  // namespace axle::host

#endif  // AXLE_HOST_GUARD_PAGES_H
