// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "linux.h"
#include "platform.h"

// As the host's listeners have it.
#define PORT 7471u
#define PIECE_BYTES 65536u
// <linux/vm_sockets.h> of older systems does not name it.
#define CID_LOCAL 1u

static int write_all(int fd, const uint8_t *data, size_t bytes) {
  while (bytes > 0) {
    const ssize_t written = write(fd, data, bytes);
    if (written < 0 && errno != EINTR) return -1;
    if (written < 0) continue;
    data += written;
    bytes -= (size_t)written;
  }
  return 0;
}

// Carries bytes from one to the other until either ends. Never returns.
static void carry(int from, int to) {
  static uint8_t piece[PIECE_BYTES];
  for (;;) {
    const ssize_t got = read(from, piece, sizeof(piece));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0 || write_all(to, piece, (size_t)got) != 0) break;
  }
  shutdown(from, SHUT_RDWR);
  shutdown(to, SHUT_RDWR);
  _exit(0);
}

int axle_linux_vsock(axle_posix *posix, int port) {
  static const char *const modules[] = {"vsock", "vmw_vsock_virtio_transport_common",
                                        "vsock_loopback"};
  struct sockaddr_vm here;
  for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
    if (axle_linux_module(modules[i]) != 0) return ENODEV;
  }
  memset(&here, 0, sizeof(here));
  here.svm_family = AF_VSOCK;
  here.svm_cid = VMADDR_CID_ANY;
  here.svm_port = PORT;
  const int listener = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0) return errno;
  if (bind(listener, (const struct sockaddr *)&here, sizeof(here)) < 0) return errno;
  if (listen(listener, 1) < 0) return errno;
  // The carriers may wait.
  if (fcntl(port, F_SETFL, fcntl(port, F_GETFL) & ~O_NONBLOCK) < 0) return errno;
  const int error = axle_posix_vsock(posix, CID_LOCAL, PORT);
  if (error != 0) return error;
  const int peer = accept(listener, NULL, NULL);
  if (peer < 0) return errno;
  for (int way = 0; way < 2; way++) {
    const pid_t child = fork();
    if (child < 0) return errno;
    if (child > 0) continue;
    close(posix->fd);
    if (way == 0) carry(peer, port);
    carry(port, peer);
  }
  axle_print("axle: by the loopback of vsock\n");
  close(listener);
  close(peer);
  close(port);
  return 0;
}
