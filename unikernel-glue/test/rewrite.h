/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AXLE_WIRE_TEST_REWRITE_H
#define AXLE_WIRE_TEST_REWRITE_H

#include "axle/wire.h"

/* Writes a decoded frame with all its records: what came in must come out. */
int32_t axle_wire_rewrite(const axle_wire_frame *frame, axle_wire_writer *writer);

#endif
