/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether the client and the transport of a port do what they should, against a server as `axle serve`
 * starts it, with its own models. Freestanding, as the client is. */
#ifndef AXLE_CONFORMANCE_H
#define AXLE_CONFORMANCE_H

#include "axle/client.h"

/* What the port gives. */
typedef struct axle_conformance_port {
  /* An open stream to the server. */
  axle_transport transport;
  axle_wire_bytes token;
  /* A line of text, not terminated, without its newline. */
  void (*print)(void *context, const char *text, size_t bytes);
  void *context;
  /* Only the scenario of this name; empty: all. */
  axle_wire_bytes only;
} axle_conformance_port;

/* Prints `ok NAME` or `FAILED NAME: why` for each scenario, and at the end `PASS` or `FAIL` with counts.
 * Returns how many failed. Keeps its memory, some 300 KiB, in itself: one run at a time. */
int axle_conformance(const axle_conformance_port *port);

#endif
