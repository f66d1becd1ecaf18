// SPDX-License-Identifier: Apache-2.0
//
// A unikernel that runs the conformance program over the virtio console, and prints on the serial line.
#include "../conformance/conformance.h"

#include "platform.h"

static axle_virtio_console console;

static void print_line(void *context, const char *text, size_t bytes) {
  (void)context;
  axle_print_bytes(text, bytes);
  axle_print("\n");
}

void axle_main(const void *start_info);

void axle_main(const void *start_info) {
  static axle_conformance_port port;
  axle_print("axle: up\n");
  if (axle_platform_start(start_info, &console) != 0) {
    axle_print("axle: failed: this machine has no virtio console\n");
    return;
  }
  port.transport = axle_virtio_console_transport(&console);
  port.print = print_line;
  axle_conformance(&port);
  axle_print("axle: done\n");
}
