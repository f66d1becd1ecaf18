// SPDX-License-Identifier: Apache-2.0
#include "axle/virtio_console.h"

#include "../src/memory.h"

#define MAGIC 0x74726976u  // "virt"
#define VERSION_MODERN 2u
#define DEVICE_CONSOLE 3u

// Registers (4.2.2).
#define REG_MAGIC 0x000u
#define REG_VERSION 0x004u
#define REG_DEVICE 0x008u
#define REG_FEATURES 0x010u
#define REG_FEATURES_SELECT 0x014u
#define REG_DRIVER_FEATURES 0x020u
#define REG_DRIVER_FEATURES_SELECT 0x024u
#define REG_QUEUE_SELECT 0x030u
#define REG_QUEUE_SIZE_MAX 0x034u
#define REG_QUEUE_SIZE 0x038u
#define REG_QUEUE_READY 0x044u
#define REG_QUEUE_NOTIFY 0x050u
#define REG_INTERRUPT_STATUS 0x060u
#define REG_INTERRUPT_ACK 0x064u
#define REG_STATUS 0x070u
#define REG_QUEUE_DESCRIPTORS 0x080u
#define REG_QUEUE_DRIVER 0x090u
#define REG_QUEUE_DEVICE 0x0a0u

#define STATUS_ACKNOWLEDGE 1u
#define STATUS_DRIVER 2u
#define STATUS_DRIVER_OK 4u
#define STATUS_FEATURES_OK 8u

#define FEATURE_MULTIPORT 2u
#define FEATURE_EVENTS 0x20000000u  // VIRTIO_F_EVENT_IDX
// Of the second word of features.
#define FEATURE_VERSION_1 1u

// Queues: those of port 0, those about ports, those of port 1 and so on.
#define QUEUE_RECEIVE_0 0u
#define QUEUE_TRANSMIT_0 1u
#define QUEUE_CONTROL_RECEIVE 2u
#define QUEUE_CONTROL_TRANSMIT 3u
#define QUEUE_RECEIVE(port) (2u + 2u * (port))
#define QUEUE_TRANSMIT(port) (3u + 2u * (port))
#define PORTS_MAX 31u

// Messages about ports (5.3.6.2): u32 port, u16 event, u16 value.
#define CONTROL_MESSAGE_BYTES 8u
#define CONTROL_DEVICE_READY 0u
#define CONTROL_PORT_ADD 1u
#define CONTROL_PORT_READY 3u
#define CONTROL_PORT_OPEN 6u
#define DESCRIPTOR_WRITE 2u
#define AVAILABLE_NO_INTERRUPT 1u
#define USED_NO_NOTIFY 1u
#define INTERRUPT_ALL 3u

static uint32_t get(const axle_virtio_console *v, uint32_t reg) {
  return *(const volatile uint32_t *)(v->registers + reg);
}

static void set(axle_virtio_console *v, uint32_t reg, uint32_t value) {
  *(volatile uint32_t *)(v->registers + reg) = value;
}

static void set_address(axle_virtio_console *v, uint32_t reg, const volatile void *at) {
  const uint64_t address = (uintptr_t)at;
  set(v, reg, (uint32_t)address);
  set(v, reg + 4, (uint32_t)(address >> 32));
}

// What was stored before is seen before what is loaded after: without it, a notification is lost.
static void barrier(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

// ---- queues ------------------------------------------------------------------------------------

static void offer(axle_virtio_queue *q, uint32_t buffer, uint32_t bytes) {
  q->descriptors[buffer].bytes = bytes;
  q->available[q->available_index % AXLE_VIRTIO_BUFFERS] = (uint16_t)buffer;
  barrier();
  q->available_index++;
}

// Whether the device wants to know of what was offered since it was last asked (2.7.7.2, 2.7.10).
static int wants_notice(const axle_virtio_console *v, axle_virtio_queue *q) {
  const uint16_t offered = (uint16_t)(q->available_index - q->notified);
  const uint16_t behind = (uint16_t)(q->available_index - q->available_event - 1);
  q->notified = q->available_index;
  return v->has_events ? behind < offered : (q->used_flags & USED_NO_NOTIFY) == 0;
}

static void notify(axle_virtio_console *v, axle_virtio_queue *q, uint32_t number) {
  barrier();
  if (wants_notice(v, q)) set(v, REG_QUEUE_NOTIFY, number);
}

// Interrupts for what comes next in the queue. By events that is said again each time, and holds until then.
static void let_in(const axle_virtio_console *v, axle_virtio_queue *q) {
  q->used_event = q->seen;
  if (!v->has_events) q->available_flags = 0;
}

static void keep_out(const axle_virtio_console *v, axle_virtio_queue *q) {
  if (!v->has_events) q->available_flags = AVAILABLE_NO_INTERRUPT;
}

static int has_used(const axle_virtio_queue *q) { return q->seen != q->used_index; }

// The next buffer that the device is done with. What the device says is held against what there is.
static uint32_t take_used(axle_virtio_queue *q, uint32_t *bytes, uint32_t bytes_max) {
  barrier();
  const volatile axle_virtio_used *used = &q->used[q->seen % AXLE_VIRTIO_BUFFERS];
  const uint32_t buffer = used->id % AXLE_VIRTIO_BUFFERS;
  *bytes = used->bytes;
  if (*bytes > bytes_max) *bytes = bytes_max;
  q->seen++;
  return buffer;
}

// With `count` buffers of `bytes`, from `buffers` on, each with its descriptor.
static int32_t start_queue(axle_virtio_console *v, axle_virtio_queue *q, uint32_t number,
                           const void *buffers, uint32_t count, uint32_t bytes, uint16_t flags) {
  set(v, REG_QUEUE_SELECT, number);
  if (get(v, REG_QUEUE_SIZE_MAX) < AXLE_VIRTIO_BUFFERS) return AXLE_STATUS_FAILED_PRECONDITION;
  for (uint32_t i = 0; i < count; i++) {
    q->descriptors[i].address = (uintptr_t)buffers + (uintptr_t)(i * bytes);
    q->descriptors[i].bytes = bytes;
    q->descriptors[i].flags = flags;
    q->descriptors[i].next = 0;
  }
  q->available_flags = 0;
  keep_out(v, q);
  q->available_index = 0;
  q->seen = 0;
  q->notified = 0;
  // Of none that comes soon.
  q->used_event = UINT16_MAX;
  set(v, REG_QUEUE_SIZE, AXLE_VIRTIO_BUFFERS);
  set_address(v, REG_QUEUE_DESCRIPTORS, q->descriptors);
  set_address(v, REG_QUEUE_DRIVER, &q->available_flags);
  set_address(v, REG_QUEUE_DEVICE, &q->used_flags);
  set(v, REG_QUEUE_READY, 1);
  if (flags != DESCRIPTOR_WRITE) return 0;
  for (uint32_t i = 0; i < count; i++) offer(q, i, bytes);
  return 0;
}

static int32_t start_port(axle_virtio_console *v, uint32_t receive, uint32_t transmit) {
  v->receive_number = receive;
  v->transmit_number = transmit;
  const int32_t error =
      start_queue(v, &v->receive, receive, v->receive_buffers, AXLE_VIRTIO_BUFFERS,
                  AXLE_VIRTIO_BUFFER_BYTES, DESCRIPTOR_WRITE);
  if (error != 0) return error;
  for (uint32_t i = 0; i < AXLE_VIRTIO_TRANSMIT_BUFFERS; i++) v->free[i] = (uint16_t)i;
  v->free_count = AXLE_VIRTIO_TRANSMIT_BUFFERS;
  return start_queue(v, &v->transmit, transmit, v->transmit_buffers, AXLE_VIRTIO_TRANSMIT_BUFFERS,
                     AXLE_VIRTIO_TRANSMIT_BYTES, 0);
}

// ---- ports -------------------------------------------------------------------------------------

static uint64_t now(const axle_virtio_console *v) {
  return v->platform.now_us(v->platform.context);
}

// Says it and waits until the device has taken it.
static void tell(axle_virtio_console *v, uint32_t port, uint32_t event) {
  const uint64_t until_us = now(v) + AXLE_VIRTIO_PORT_US;
  uint32_t bytes = 0;
  axle_store(v->control_message, 4, port);
  axle_store(v->control_message + 4, 2, event);
  axle_store(v->control_message + 6, 2, 1);
  offer(&v->control_transmit, 0, CONTROL_MESSAGE_BYTES);
  notify(v, &v->control_transmit, QUEUE_CONTROL_TRANSMIT);
  while (!has_used(&v->control_transmit)) {
    if (now(v) > until_us) return;
  }
  take_used(&v->control_transmit, &bytes, CONTROL_MESSAGE_BYTES);
}

// The next message about ports; 0: there is none.
static int take_message(axle_virtio_console *v, uint32_t *port, uint32_t *event, uint32_t *value) {
  if (!has_used(&v->control_receive)) return 0;
  uint32_t bytes = 0;
  const uint32_t buffer = take_used(&v->control_receive, &bytes, AXLE_VIRTIO_CONTROL_BYTES);
  const uint8_t *message = v->control_buffers[buffer];
  *port = (uint32_t)axle_load(message, 4);
  *event = bytes < CONTROL_MESSAGE_BYTES ? UINT32_MAX : (uint32_t)axle_load(message + 4, 2);
  *value = (uint32_t)axle_load(message + 6, 2);
  offer(&v->control_receive, buffer, AXLE_VIRTIO_CONTROL_BYTES);
  notify(v, &v->control_receive, QUEUE_CONTROL_RECEIVE);
  return 1;
}

// The first port that is no console; 0: none was offered in time.
static uint32_t find_port(axle_virtio_console *v) {
  const uint64_t until_us = now(v) + AXLE_VIRTIO_PORT_US;
  uint32_t port = 0;
  uint32_t event = 0;
  uint32_t value = 0;
  tell(v, 0, CONTROL_DEVICE_READY);
  while (now(v) < until_us) {
    if (!take_message(v, &port, &event, &value)) continue;
    if (event == CONTROL_PORT_ADD && port > 0 && port < PORTS_MAX) return port;
  }
  return 0;
}

// Whether the host's side of the port is gone.
static int is_closed(axle_virtio_console *v) {
  uint32_t port = 0;
  uint32_t event = 0;
  uint32_t value = 0;
  while (v->port != 0 && take_message(v, &port, &event, &value)) {
    if (port == v->port && event == CONTROL_PORT_OPEN && value == 0) v->is_closed = 1;
  }
  return v->is_closed;
}

static int32_t open_port(axle_virtio_console *v) {
  const uint32_t port = find_port(v);
  if (port == 0) return AXLE_STATUS_NOT_FOUND;
  const int32_t error = start_port(v, QUEUE_RECEIVE(port), QUEUE_TRANSMIT(port));
  if (error != 0) return error;
  v->port = port;
  tell(v, port, CONTROL_PORT_READY);
  tell(v, port, CONTROL_PORT_OPEN);
  return 0;
}

// ---- the device --------------------------------------------------------------------------------

int axle_virtio_console_is_at(const volatile void *registers) {
  const volatile uint8_t *at = (const volatile uint8_t *)registers;
  return *(const volatile uint32_t *)(at + REG_MAGIC) == MAGIC &&
         *(const volatile uint32_t *)(at + REG_VERSION) == VERSION_MODERN &&
         *(const volatile uint32_t *)(at + REG_DEVICE) == DEVICE_CONSOLE;
}

int32_t axle_virtio_console_open(axle_virtio_console *v, volatile void *registers,
                                 const axle_virtio_platform *platform) {
  if (!axle_virtio_console_is_at(registers)) return AXLE_STATUS_FAILED_PRECONDITION;
  v->registers = (volatile uint8_t *)registers;
  v->platform.context = platform->context;
  v->platform.now_us = platform->now_us;
  v->platform.sleep = platform->sleep;
  v->spin_us = AXLE_VIRTIO_SPIN_US;
  v->is_reading = 0;
  v->is_closed = 0;
  v->port = 0;
  set(v, REG_STATUS, 0);
  set(v, REG_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
  set(v, REG_FEATURES_SELECT, 1);
  if ((get(v, REG_FEATURES) & FEATURE_VERSION_1) == 0) return AXLE_STATUS_FAILED_PRECONDITION;
  set(v, REG_FEATURES_SELECT, 0);
  const uint32_t features = get(v, REG_FEATURES) & (FEATURE_MULTIPORT | FEATURE_EVENTS);
  const uint32_t ports = features & FEATURE_MULTIPORT;
  v->has_events = (features & FEATURE_EVENTS) != 0;
  set(v, REG_DRIVER_FEATURES_SELECT, 0);
  set(v, REG_DRIVER_FEATURES, features);
  set(v, REG_DRIVER_FEATURES_SELECT, 1);
  set(v, REG_DRIVER_FEATURES, FEATURE_VERSION_1);
  const uint32_t ready = STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK;
  set(v, REG_STATUS, ready);
  if ((get(v, REG_STATUS) & STATUS_FEATURES_OK) == 0) return AXLE_STATUS_FAILED_PRECONDITION;
  int32_t error = 0;
  if (ports == 0) {
    error = start_port(v, QUEUE_RECEIVE_0, QUEUE_TRANSMIT_0);
  } else {
    error = start_queue(v, &v->control_receive, QUEUE_CONTROL_RECEIVE, v->control_buffers,
                        AXLE_VIRTIO_BUFFERS, AXLE_VIRTIO_CONTROL_BYTES, DESCRIPTOR_WRITE);
    if (error == 0) {
      error = start_queue(v, &v->control_transmit, QUEUE_CONTROL_TRANSMIT, v->control_message, 1,
                          AXLE_VIRTIO_CONTROL_BYTES, 0);
    }
  }
  if (error != 0) return error;
  set(v, REG_STATUS, ready | STATUS_DRIVER_OK);
  if (ports != 0) error = open_port(v);
  if (error == 0) notify(v, &v->receive, v->receive_number);
  return error;
}

// ---- the transport -----------------------------------------------------------------------------

static void take_sent(axle_virtio_console *v) {
  uint32_t bytes = 0;
  while (has_used(&v->transmit) && v->free_count < AXLE_VIRTIO_TRANSMIT_BUFFERS) {
    const uint32_t buffer = take_used(&v->transmit, &bytes, 0) % AXLE_VIRTIO_TRANSMIT_BUFFERS;
    v->free[v->free_count++] = (uint16_t)buffer;
  }
}

static int32_t console_send(void *context, const void *data, uint32_t bytes) {
  axle_virtio_console *v = (axle_virtio_console *)context;
  const uint8_t *at = (const uint8_t *)data;
  uint32_t sent = 0;
  if (is_closed(v)) return AXLE_TRANSPORT_CLOSED;
  take_sent(v);
  while (sent < bytes && v->free_count > 0) {
    const uint32_t left = bytes - sent;
    const uint32_t piece = left < AXLE_VIRTIO_TRANSMIT_BYTES ? left : AXLE_VIRTIO_TRANSMIT_BYTES;
    const uint32_t buffer = v->free[--v->free_count];
    copy_bytes(v->transmit_buffers[buffer], at + sent, piece);
    offer(&v->transmit, buffer, piece);
    sent += piece;
  }
  if (sent > 0) notify(v, &v->transmit, v->transmit_number);
  return (int32_t)sent;
}

static int32_t console_receive(void *context, void *data, uint32_t capacity) {
  axle_virtio_console *v = (axle_virtio_console *)context;
  uint8_t *to = (uint8_t *)data;
  uint32_t got = 0;
  uint32_t given_back = 0;
  while (got < capacity) {
    if (!v->is_reading) {
      if (!has_used(&v->receive)) break;
      v->reading = take_used(&v->receive, &v->reading_bytes, AXLE_VIRTIO_BUFFER_BYTES);
      v->reading_at = 0;
      v->is_reading = 1;
    }
    const uint32_t left = v->reading_bytes - v->reading_at;
    const uint32_t piece = left < capacity - got ? left : capacity - got;
    copy_bytes(to + got, v->receive_buffers[v->reading] + v->reading_at, piece);
    got += piece;
    v->reading_at += piece;
    if (v->reading_at < v->reading_bytes) break;
    v->is_reading = 0;
    offer(&v->receive, v->reading, AXLE_VIRTIO_BUFFER_BYTES);
    given_back++;
  }
  if (given_back > 0) notify(v, &v->receive, v->receive_number);
  // What came before the end is still read.
  if (got == 0 && is_closed(v)) return AXLE_TRANSPORT_CLOSED;
  return (int32_t)got;
}

static int is_ready(axle_virtio_console *v, uint32_t events) {
  if (v->is_closed || (v->port != 0 && has_used(&v->control_receive))) return 1;
  if ((events & AXLE_WAIT_RECEIVE) != 0 && (v->is_reading || has_used(&v->receive))) return 1;
  return (events & AXLE_WAIT_SEND) != 0 && (v->free_count > 0 || has_used(&v->transmit));
}

static uint64_t console_now_us(void *context) { return now((const axle_virtio_console *)context); }

// Looks for longer the next time where that would have spared it the sleep, which costs two changes of threads and an
// interrupt; and where it would not, for as short as can be.
static void adapt_spin(axle_virtio_console *v, uint64_t waited_us) {
  if (waited_us > AXLE_VIRTIO_SPIN_US_MAX) {
    v->spin_us = AXLE_VIRTIO_SPIN_US;
  } else if (waited_us > v->spin_us) {
    v->spin_us *= 2;
    if (v->spin_us > AXLE_VIRTIO_SPIN_US_MAX) v->spin_us = AXLE_VIRTIO_SPIN_US_MAX;
  }
}

static void console_wait(void *context, uint32_t events, uint64_t until_us) {
  axle_virtio_console *v = (axle_virtio_console *)context;
  const uint64_t from_us = now(v);
  do {
    if (is_ready(v, events)) return;
  } while (now(v) - from_us < v->spin_us);
  if ((events & AXLE_WAIT_RECEIVE) != 0) let_in(v, &v->receive);
  if ((events & AXLE_WAIT_SEND) != 0) let_in(v, &v->transmit);
  let_in(v, &v->control_receive);
  barrier();
  if (!is_ready(v, events)) v->platform.sleep(v->platform.context, until_us);
  keep_out(v, &v->receive);
  keep_out(v, &v->transmit);
  keep_out(v, &v->control_receive);
  // Its line goes low, so that the next one shows.
  set(v, REG_INTERRUPT_ACK, INTERRUPT_ALL);
  adapt_spin(v, now(v) - from_us);
}

// The console stays: what is on its way out goes first.
static void console_close(void *context) {
  axle_virtio_console *v = (axle_virtio_console *)context;
  const uint64_t until_us = now(v) + AXLE_CLIENT_LEAVE_US;
  while (v->free_count < AXLE_VIRTIO_TRANSMIT_BUFFERS && !is_closed(v) && now(v) < until_us)
    take_sent(v);
}

axle_transport axle_virtio_console_transport(axle_virtio_console *v) {
  const axle_transport transport = {
      v, console_send, console_receive, console_wait, console_now_us, console_close};
  return transport;
}
