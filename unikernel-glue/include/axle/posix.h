/* SPDX-License-Identifier: Apache-2.0
 *
 * axle/posix.h - transports of axle/client.h over a file descriptor: a unix socket, TCP, AF_VSOCK of a
 * Linux guest, or any other stream. Needs POSIX. */
#ifndef AXLE_POSIX_H
#define AXLE_POSIX_H

#include "client.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct axle_posix {
  int fd;
} axle_posix;

/* Of each: 0, or an errno. */
int axle_posix_unix(axle_posix *posix, const char *path);
/* Neither private nor authenticated: to a relay on the same machine only. */
int axle_posix_tcp(axle_posix *posix, const char *host, const char *port);
/* The host is cid 2. ENOTSUP where there is no AF_VSOCK. */
int axle_posix_vsock(axle_posix *posix, uint32_t cid, uint32_t port);
/* A stream that is open already; it becomes non-blocking, and is closed with the client. */
int axle_posix_adopt(axle_posix *posix, int fd);

/* `posix` stays for as long as the client. A peer that is gone does not raise SIGPIPE on sockets. */
axle_transport axle_posix_transport(axle_posix *posix);

#ifdef __cplusplus
}
#endif

#endif /* AXLE_POSIX_H */
