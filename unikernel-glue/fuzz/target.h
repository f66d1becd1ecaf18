/* SPDX-License-Identifier: Apache-2.0
 *
 * A parser of bytes that nobody has vouched for. The same file makes two programs: one that libFuzzer
 * drives, and one that mutates blindly, for any compiler. */
#ifndef AXLE_GLUE_FUZZ_TARGET_H
#define AXLE_GLUE_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>

/* Aborts when something does not hold. libFuzzer's name. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#endif
