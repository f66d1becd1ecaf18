// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#if defined(__linux__)
#include <linux/vm_sockets.h>
#endif

#include "axle/posix.h"

static int32_t outcome(ssize_t moved) {
  if (moved > 0) return (int32_t)moved;
  if (moved < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return 0;
  return AXLE_TRANSPORT_CLOSED;
}

static int32_t posix_send(void *context, const void *data, uint32_t bytes) {
  const int fd = ((const axle_posix *)context)->fd;
  ssize_t sent = send(fd, data, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
  // No socket, such as a virtio port.
  if (sent < 0 && errno == ENOTSOCK) sent = write(fd, data, bytes);
  return outcome(sent);
}

static int32_t posix_receive(void *context, void *data, uint32_t capacity) {
  return outcome(read(((const axle_posix *)context)->fd, data, capacity));
}

static uint64_t posix_now_us(void *context) {
  (void)context;
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

static void posix_wait(void *context, uint32_t events, uint64_t until_us) {
  struct pollfd ready = {((const axle_posix *)context)->fd, 0, 0};
  if ((events & AXLE_WAIT_RECEIVE) != 0) ready.events |= POLLIN;
  if ((events & AXLE_WAIT_SEND) != 0) ready.events |= POLLOUT;
  const uint64_t now_us = posix_now_us(context);
  const uint64_t left_us = until_us > now_us ? until_us - now_us : 0;
  const struct timespec timeout = {(time_t)(left_us / 1000000u), (long)(left_us % 1000000u) * 1000};
  ppoll(&ready, 1, &timeout, NULL);
}

static void posix_close(void *context) {
  axle_posix *posix = (axle_posix *)context;
  if (posix->fd >= 0) close(posix->fd);
  posix->fd = -1;
}

axle_transport axle_posix_transport(axle_posix *posix) {
  const axle_transport transport = {posix,      posix_send,   posix_receive,
                                    posix_wait, posix_now_us, posix_close};
  return transport;
}

int axle_posix_adopt(axle_posix *posix, int fd) {
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) return errno;
  posix->fd = fd;
  return 0;
}

// Takes over `fd`, which may be -1.
static int connect_to(axle_posix *posix, int fd, const void *address, socklen_t bytes) {
  if (fd < 0) return errno;
  int error = 0;
  if (connect(fd, (const struct sockaddr *)address, bytes) < 0) error = errno;
  if (error == 0) error = axle_posix_adopt(posix, fd);
  if (error != 0) close(fd);
  return error;
}

int axle_posix_unix(axle_posix *posix, const char *path) {
  struct sockaddr_un address;
  memset(&address, 0, sizeof(address));
  address.sun_family = AF_UNIX;
  if (strlen(path) >= sizeof(address.sun_path)) return ENAMETOOLONG;
  strcpy(address.sun_path, path);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  return connect_to(posix, fd, &address, sizeof(address));
}

int axle_posix_tcp(axle_posix *posix, const char *host, const char *port) {
  struct addrinfo hints;
  struct addrinfo *found = NULL;
  memset(&hints, 0, sizeof(hints));
  hints.ai_socktype = SOCK_STREAM;
  if (getaddrinfo(host, port, &hints, &found) != 0) return EHOSTUNREACH;
  int error = EHOSTUNREACH;
  for (const struct addrinfo *each = found; each != NULL && error != 0; each = each->ai_next) {
    const int fd = socket(each->ai_family, SOCK_STREAM | SOCK_CLOEXEC, each->ai_protocol);
    error = connect_to(posix, fd, each->ai_addr, each->ai_addrlen);
  }
  freeaddrinfo(found);
  const int on = 1;
  // Small calls do not wait for answers to those before.
  if (error == 0) setsockopt(posix->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return error;
}

int axle_posix_vsock(axle_posix *posix, uint32_t cid, uint32_t port) {
#if defined(__linux__)
  struct sockaddr_vm address;
  memset(&address, 0, sizeof(address));
  address.svm_family = AF_VSOCK;
  address.svm_cid = cid;
  address.svm_port = port;
  const int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
  return connect_to(posix, fd, &address, sizeof(address));
#else
  (void)posix;
  (void)cid;
  (void)port;
  return ENOTSUP;
#endif
}
