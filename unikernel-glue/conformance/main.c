// SPDX-License-Identifier: Apache-2.0
//
// The conformance program of systems with POSIX:
//   axle_conformance unix:PATH | tcp:HOST:PORT | vsock:CID:PORT [SCENARIO]
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "axle/posix.h"
#include "conformance.h"

static void print_line(void *context, const char *text, size_t bytes) {
  (void)context;
  printf("%.*s\n", (int)bytes, text);
  fflush(stdout);
}

static int open_place(axle_posix *posix, char *place) {
  if (strncmp(place, "unix:", 5) == 0) return axle_posix_unix(posix, place + 5);
  char *colon = strrchr(place, ':');
  if (colon == NULL) return -1;
  *colon = 0;
  if (strncmp(place, "tcp:", 4) == 0) return axle_posix_tcp(posix, place + 4, colon + 1);
  if (strncmp(place, "vsock:", 6) != 0) return -1;
  return axle_posix_vsock(posix, (uint32_t)strtoul(place + 6, NULL, 10),
                          (uint32_t)strtoul(colon + 1, NULL, 10));
}

int main(int argc, char **argv) {
  axle_posix posix;
  if (argc < 2 || argc > 3) {
    fprintf(stderr, "usage: %s unix:PATH|tcp:HOST:PORT|vsock:CID:PORT [SCENARIO]\n", argv[0]);
    return 2;
  }
  const int error = open_place(&posix, argv[1]);
  if (error != 0) {
    fprintf(stderr, "cannot connect: %s\n", error > 0 ? strerror(error) : "no such kind of place");
    return 2;
  }
  axle_conformance_port port;
  memset(&port, 0, sizeof(port));
  port.transport = axle_posix_transport(&posix);
  port.print = print_line;
  if (argc == 3) {
    port.only.data = (const uint8_t *)argv[2];
    port.only.bytes = (uint32_t)strlen(argv[2]);
  }
  return axle_conformance(&port) == 0 ? 0 : 1;
}
