/* SPDX-License-Identifier: Apache-2.0
 *
 * What a program on the bare machine has: a serial line, a clock, sleep, and the console to the host. */
#ifndef AXLE_GUEST_PLATFORM_H
#define AXLE_GUEST_PLATFORM_H

#include "axle/virtio_console.h"

/* To the serial line. */
void axle_print(const char *text);
void axle_print_bytes(const void *text, size_t bytes);
void axle_print_number(uint64_t number);
/* As milliseconds with three places. */
void axle_print_ms(uint64_t us);

/* Since axle_platform_start. */
uint64_t axle_now_us(void);

/* Clock, interrupts and the console; AXLE_STATUS_NOT_FOUND where the machine has no virtio console. */
int32_t axle_platform_start(const void *start_info, axle_virtio_console *console);

/* Whether the kernel's command line has this word. */
int axle_has_word(const char *word);

#endif
