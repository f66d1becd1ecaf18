// SPDX-License-Identifier: Apache-2.0
//
// The first and only process of a Linux guest: loads the modules of the way to the host, and is the program itself.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "axle/posix.h"
#include "linux.h"
#include "platform.h"

// The kernel says of a port when its device does, a while after the module is loaded.
#define PORT_WAIT_US 10000000u
#define PORT_POLL_NS 500000
#define PORT_NAME "axle"
#define CALLS_PORT_NAME "calls"
#define PORTS "/sys/class/virtio-ports"
#define COMMAND_LINE_BYTES 4096u

static char command_line[COMMAND_LINE_BYTES];

// ---- the serial line ---------------------------------------------------------------------------

void axle_print_bytes(const void *text, size_t bytes) {
  const char *at = text;
  while (bytes > 0) {
    const ssize_t written = write(STDOUT_FILENO, at, bytes);
    if (written < 0 && errno != EINTR) return;
    if (written < 0) continue;
    at += written;
    bytes -= (size_t)written;
  }
}

void axle_print(const char *text) { axle_print_bytes(text, strlen(text)); }

void axle_print_number(uint64_t number) {
  char text[24];
  const int length = snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
  axle_print_bytes(text, (size_t)length);
}

void axle_print_ms(uint64_t us) {
  char text[32];
  const int length = snprintf(text, sizeof(text), "%llu.%03u", (unsigned long long)(us / 1000u),
                              (unsigned)(us % 1000u));
  axle_print_bytes(text, (size_t)length);
}

// ---- the machine -------------------------------------------------------------------------------

uint64_t axle_now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

void axle_halt(void) {
  tcdrain(STDOUT_FILENO);
  reboot(RB_POWER_OFF);
  // Not the first process of a machine.
  _exit(1);
}

int axle_linux_fail(const char *what, const char *which) {
  const char *why = strerror(errno);
  const char *const texts[] = {"axle: failed: ", what, " ", which, ": ", why, "\n"};
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) axle_print(texts[i]);
  return -1;
}

int axle_linux_module(const char *name) {
  char path[64];
  snprintf(path, sizeof(path), "/modules/%s.ko", name);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return axle_linux_fail("cannot open", path);
  const long error = syscall(SYS_finit_module, fd, "", 0);
  close(fd);
  return error == 0 || errno == EEXIST ? 0 : axle_linux_fail("cannot load", path);
}

static int start(void) {
  static const char *const modules[] = {"virtio_ring", "virtio", "virtio_mmio", "virtio_console"};
  static const char *const places[][2] = {
      {"devtmpfs", "/dev"}, {"sysfs", "/sys"}, {"proc", "/proc"}};
  for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
    if (mount(places[i][0], places[i][1], places[i][0], 0, NULL) != 0)
      return axle_linux_fail("cannot mount", places[i][1]);
  }
  for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
    if (axle_linux_module(modules[i]) != 0) return -1;
  }
  const int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return axle_linux_fail("cannot open", "/proc/cmdline");
  const ssize_t got = read(fd, command_line, sizeof(command_line) - 1);
  close(fd);
  return got < 0 ? axle_linux_fail("cannot read", "/proc/cmdline") : 0;
}

int axle_has_word(const char *word) {
  const size_t length = strlen(word);
  for (const char *at = command_line; (at = strstr(at, word)) != NULL; at += length) {
    const int begins = at == command_line || at[-1] == ' ';
    if (begins && strchr(" \n", at[length]) != NULL) return 1;
  }
  return 0;
}

// Whether this is the port of that name.
static int is_named(const char *port, const char *name) {
  char path[320];
  char said[64] = "";
  snprintf(path, sizeof(path), PORTS "/%s/name", port);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  const ssize_t got = read(fd, said, sizeof(said) - 1);
  close(fd);
  return got > 0 && strcspn(said, "\n") == strlen(name) && strncmp(said, name, strlen(name)) == 0;
}

// A descriptor of the port of that name; -1: there is none now.
static int open_port(const char *name) {
  DIR *ports = opendir(PORTS);
  int fd = -1;
  if (ports == NULL) return -1;
  for (struct dirent *each = readdir(ports); each != NULL && fd < 0; each = readdir(ports)) {
    char path[320];
    if (!is_named(each->d_name, name)) continue;
    snprintf(path, sizeof(path), "/dev/%s", each->d_name);
    fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
  }
  closedir(ports);
  return fd;
}

// Whether the host's side is there: the kernel is told so a moment after it shows the port, and until then it reads as if
// the stream had ended.
static int is_connected(int fd) {
  struct pollfd port = {fd, POLLOUT, 0};
  return poll(&port, 1, 0) >= 0 && (port.revents & POLLHUP) == 0;
}

// The same, once it is there and connected; -1: that did not come.
static int await_port(const char *name) {
  static const struct timespec pause = {0, PORT_POLL_NS};
  const uint64_t until_us = axle_now_us() + PORT_WAIT_US;
  int fd = -1;
  while (axle_now_us() < until_us) {
    if (fd < 0) fd = open_port(name);
    if (fd >= 0 && is_connected(fd)) return fd;
    nanosleep(&pause, NULL);
  }
  if (fd >= 0) close(fd);
  return -1;
}

int32_t axle_platform_open(const void *start_info, axle_transport *transport) {
  static axle_posix posix;
  (void)start_info;
  if (start() != 0) return AXLE_STATUS_FAILED_PRECONDITION;
  const int fd = await_port(PORT_NAME);
  if (fd < 0) return AXLE_STATUS_NOT_FOUND;
  const int error =
      axle_has_word("vsock") ? axle_linux_vsock(&posix, fd) : axle_posix_adopt(&posix, fd);
  errno = error;
  if (error != 0) return (axle_linux_fail("cannot use", PORT_NAME), AXLE_STATUS_UNAVAILABLE);
  *transport = axle_posix_transport(&posix);
  return 0;
}

int32_t axle_platform_open_calls(axle_transport *transport) {
  static axle_posix posix;
  const int fd = await_port(CALLS_PORT_NAME);
  if (fd < 0 || axle_posix_adopt(&posix, fd) != 0) return AXLE_STATUS_NOT_FOUND;
  *transport = axle_posix_transport(&posix);
  return 0;
}

int main(void) {
  struct termios line;
  // The machine's serial line shows what is printed as it is.
  if (tcgetattr(STDOUT_FILENO, &line) == 0) {
    cfmakeraw(&line);
    tcsetattr(STDOUT_FILENO, TCSANOW, &line);
  }
  axle_main(NULL);
  axle_halt();
}
