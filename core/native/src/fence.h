// SPDX-License-Identifier: Apache-2.0
// What stands around the memory that a plugin gets, so that one that writes beside it is noticed. Nothing stands in a
// task's room: whoever shares that memory could make a plugin look guilty.
#ifndef AXLE_HOST_FENCE_H
#define AXLE_HOST_FENCE_H

#include <cstdint>

#include "task.h"

namespace axle::host {

// Whether this process holds a plugin against its rules.
bool process_checks_rules();
// The same, where no sanitizer does it better: fences are wide, and blocks lie between guard pages.
bool fences_are_wide();
// What a block for `bytes` of a plugin must hold: them and the fences.
uint64_t fenced_bytes(uint64_t bytes);
// Bytes of a block before those that the plugin sees; a multiple of 64.
uint64_t fence_bytes_before();
// Where the plugin's bytes begin.
uint8_t *fenced_data(const LiveBlock &live);

void write_fences(const LiveBlock &live);
// Where rules are checked: fills the plugin's bytes from `from` on with others than last time, so that what it leaves
// unwritten of its output differs from one task to the next.
void write_litter(const LiveBlock &live, uint64_t from);
// The rule that the plugin broke, or nullptr.
const char *fence_problem(const LiveBlock &live);
// Moves the first `bytes` of the plugin's to the start of the block, where outputs have them.
void drop_fences(const LiveBlock &live, uint64_t bytes);

}  // namespace axle::host

#endif  // AXLE_HOST_FENCE_H
