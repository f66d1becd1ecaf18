/* SPDX-License-Identifier: Apache-2.0
 *
 * axle/virtio_console.h - a transport of axle/client.h over a port of a virtio console on virtio-mmio
 * (modern, version 2). Freestanding; the platform gives the clock and a way to sleep. What it does: OASIS
 * Virtual I/O Device 1.2, sections 2.7 (split queues), 4.2 (MMIO), 5.3 (console).
 *
 * Of a device with several ports it takes the first that is no console: QEMU's virtserialport. A QEMU
 * virtconsole is not for it: that one drops what the host does not take at once. */
#ifndef AXLE_VIRTIO_CONSOLE_H
#define AXLE_VIRTIO_CONSOLE_H

#include "client.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Of each queue. */
#define AXLE_VIRTIO_BUFFERS 32u
/* What QEMU hands on at once of what the host sends. */
#define AXLE_VIRTIO_BUFFER_BYTES 4096u
/* QEMU hands each on by a call of the system of its own: few and large ones, of the same memory as those that receive. */
#define AXLE_VIRTIO_TRANSMIT_BUFFERS 8u
#define AXLE_VIRTIO_TRANSMIT_BYTES 16384u
/* Of messages about ports. */
#define AXLE_VIRTIO_CONTROL_BYTES 64u
/* Of one device's registers. */
#define AXLE_VIRTIO_MMIO_BYTES 0x200u
/* How long the device may take to offer a port. */
#define AXLE_VIRTIO_PORT_US 2000000u
/* How long it looks before it sleeps: the least; and the most, to which it comes by doubling while waits end within that. */
#define AXLE_VIRTIO_SPIN_US 50u
#define AXLE_VIRTIO_SPIN_US_MAX 200u

typedef struct axle_virtio_platform {
  void *context;
  uint64_t (*now_us)(void *context);
  /* Sleeps until an interrupt, `until_us` at the latest; an interrupt that came since interrupts were last
   * let in ends it at once. May return for no reason. */
  void (*sleep)(void *context, uint64_t until_us);
} axle_virtio_platform;

typedef struct axle_virtio_descriptor {
  uint64_t address;
  uint32_t bytes;
  uint16_t flags;
  uint16_t next;
} axle_virtio_descriptor;

typedef struct axle_virtio_used {
  uint32_t id;
  uint32_t bytes;
} axle_virtio_used;

/* One queue, as the device sees it. Physical addresses are those of the program. */
typedef struct axle_virtio_queue {
  axle_virtio_descriptor descriptors[AXLE_VIRTIO_BUFFERS];
  volatile uint16_t available_flags;
  volatile uint16_t available_index;
  volatile uint16_t available[AXLE_VIRTIO_BUFFERS];
  volatile uint16_t used_event; /* by the driver: interrupt when this one of `used` is there */
  uint8_t padding[58];
  volatile uint16_t used_flags;
  volatile uint16_t used_index;
  volatile axle_virtio_used used[AXLE_VIRTIO_BUFFERS];
  volatile uint16_t
      available_event; /* by the device: notify when this one of `available` is there */
  uint16_t seen;       /* of used_index */
  uint16_t notified;   /* of available_index */
} __attribute__((aligned(64))) axle_virtio_queue;

typedef struct axle_virtio_console {
  volatile uint8_t *registers;
  axle_virtio_platform platform;
  axle_virtio_queue receive;
  axle_virtio_queue transmit;
  axle_virtio_queue control_receive;
  axle_virtio_queue control_transmit;
  uint8_t receive_buffers[AXLE_VIRTIO_BUFFERS][AXLE_VIRTIO_BUFFER_BYTES];
  uint8_t transmit_buffers[AXLE_VIRTIO_TRANSMIT_BUFFERS][AXLE_VIRTIO_TRANSMIT_BYTES];
  uint8_t control_buffers[AXLE_VIRTIO_BUFFERS][AXLE_VIRTIO_CONTROL_BYTES];
  uint8_t control_message[AXLE_VIRTIO_CONTROL_BYTES];
  uint32_t port;                            /* 0: the only one */
  uint32_t receive_number, transmit_number; /* of the port's queues */
  /* The buffer that is being read. */
  uint32_t reading, reading_at, reading_bytes;
  uint32_t spin_us;
  uint8_t is_reading;
  uint8_t is_closed;   /* the host's side */
  uint8_t has_events;  /* each side says when it wants to be told */
  uint16_t free_count; /* buffers of `transmit` */
  uint16_t free[AXLE_VIRTIO_TRANSMIT_BUFFERS];
} axle_virtio_console;

/* Whether a console is there: `registers` are AXLE_VIRTIO_MMIO_BYTES of a slot of virtio-mmio. */
int axle_virtio_console_is_at(const volatile void *registers);

/* Starts the device. 0; AXLE_STATUS_FAILED_PRECONDITION where it is not one that this can drive;
 * AXLE_STATUS_NOT_FOUND where it has no port but consoles. */
int32_t axle_virtio_console_open(axle_virtio_console *console, volatile void *registers,
                                 const axle_virtio_platform *platform);

axle_transport axle_virtio_console_transport(axle_virtio_console *console);

#ifdef __cplusplus
}
#endif

#endif /* AXLE_VIRTIO_CONSOLE_H */
