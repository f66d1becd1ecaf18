/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of a Linux guest share. */
#ifndef AXLE_GUEST_LINUX_H
#define AXLE_GUEST_LINUX_H

#include "axle/posix.h"

/* Loads a module of the guest's first file system. 0, or -1 when it has said why not. */
int axle_linux_module(const char *name);

/* Says on the serial line what failed, and errno. -1. */
int axle_linux_fail(const char *what, const char *which);

/* Puts a vsock between the guest and its port, which it takes over: the stream goes through the kernel's loopback of vsock.
 * For trying axle_posix_vsock where no host has one. 0, or an errno. */
int axle_linux_vsock(axle_posix *posix, int port);

#endif
