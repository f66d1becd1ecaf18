// SPDX-License-Identifier: Apache-2.0
//
// A guest that runs the conformance program over its stream to the host, and prints on the serial line.
#include "../conformance/conformance.h"

#include "platform.h"

static void print_line(void *context, const char *text, size_t bytes) {
  (void)context;
  axle_print_bytes(text, bytes);
  axle_print("\n");
}

void axle_main(const void *start_info) {
  static axle_conformance_port port;
  axle_print("axle: up\n");
  if (axle_platform_open(start_info, &port.transport) != 0) {
    axle_print("axle: failed: this machine has no stream to its host\n");
    return;
  }
  port.print = print_line;
  axle_conformance(&port);
  axle_print("axle: done\n");
}
