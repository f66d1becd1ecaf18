/* SPDX-License-Identifier: Apache-2.0
 *
 * What a guest has under it, be it the bare machine (platform.c) or Linux (linux.c): a serial line, a clock, and
 * the stream to the host. */
#ifndef AXLE_GUEST_PLATFORM_H
#define AXLE_GUEST_PLATFORM_H

#include "axle/client.h"

/* To the serial line. */
void axle_print(const char *text);
void axle_print_bytes(const void *text, size_t bytes);
void axle_print_number(uint64_t number);
/* As milliseconds with three places. */
void axle_print_ms(uint64_t us);

/* From any start. */
uint64_t axle_now_us(void);

/* What each guest is: called once, with what only the platform understands. */
void axle_main(const void *start_info);

/* Ends the machine. */
void axle_halt(void);

/* Starts the machine's clock and interrupts, and opens its stream to the host. AXLE_STATUS_NOT_FOUND where there is none. */
int32_t axle_platform_open(const void *start_info, axle_transport *transport);

/* After it, of a guest that is a function: the stream of its calls. */
int32_t axle_platform_open_calls(axle_transport *transport);

/* Whether the kernel's command line has this word. */
int axle_has_word(const char *word);

#endif
