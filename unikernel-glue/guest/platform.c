// SPDX-License-Identifier: Apache-2.0
//
// A PC as QEMU's microvm has it: 16550 serial line, 8259 interrupt controllers, 8254 timer, virtio-mmio.
#include "platform.h"

#include "axle/virtio_console.h"

#define SERIAL 0x3f8
#define SERIAL_IS_EMPTY 0x20

#define PIC_MASTER 0x20
#define PIC_SLAVE 0xa0
#define PIC_VECTOR 0x20
#define PIC_CASCADE 2

#define TIMER_0 0x40
#define TIMER_COMMAND 0x43
#define TIMER_ONCE 0x30         // channel 0, 16 bits, mode 0
#define TIMER_READ_STATUS 0xe2  // of channel 0
#define TIMER_IS_OVER 0x80
// The longest that 16 bits count, a little less.
#define TIMER_US_MAX 50000u
#define CALIBRATE_TICKS 1193u
#define CALIBRATE_TRIES 20u
// A sixteenth is good enough.
#define CALIBRATE_DOUBT_SHIFT 4

// Where microvm has its virtio-mmio slots, and the line of the first; the command line may say otherwise.
#define MMIO_BASE 0xfeb00000u
#define MMIO_SLOTS 24u
#define MMIO_FIRST_LINE 5u
#define LINES 16u

// The processor's own controller hands through what the two of old say.
#define LAPIC_SPURIOUS 0xfee000f0u
#define LAPIC_LINT0 0xfee00350u
#define LAPIC_ENABLED 0x1ffu
#define LAPIC_EXTERNAL 0x700u

#define VECTORS 48

static uint64_t start_ticks;
// In 2^-32 of a microsecond.
static uint32_t tick_parts = UINT32_MAX;
static const char *command_line = "";

// ---- ports -------------------------------------------------------------------------------------

static void out8(uint16_t port, uint8_t value) {
  __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static uint8_t in8(uint16_t port) {
  uint8_t value;
  __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}

// ---- the serial line ---------------------------------------------------------------------------

void axle_print_bytes(const void *text, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) {
    while ((in8(SERIAL + 5) & SERIAL_IS_EMPTY) == 0) continue;
    out8(SERIAL, ((const uint8_t *)text)[i]);
  }
}

void axle_print(const char *text) {
  size_t bytes = 0;
  while (text[bytes] != 0) bytes++;
  axle_print_bytes(text, bytes);
}

// By shifts: a division of 64 bits would be a call.
static uint64_t divide(uint64_t number, uint32_t by, uint32_t *rest) {
  uint64_t result = 0;
  uint64_t left = 0;
  for (int bit = 63; bit >= 0; bit--) {
    left = left << 1 | (number >> bit & 1);
    result <<= 1;
    if (left < by) continue;
    left -= by;
    result |= 1;
  }
  *rest = (uint32_t)left;
  return result;
}

void axle_print_number(uint64_t number) {
  char digits[20];
  size_t at = sizeof(digits);
  do {
    uint32_t digit = 0;
    number = divide(number, 10, &digit);
    digits[--at] = (char)('0' + digit);
  } while (number > 0);
  axle_print_bytes(digits + at, sizeof(digits) - at);
}

void axle_print_ms(uint64_t us) {
  uint32_t rest = 0;
  axle_print_number(divide(us, 1000, &rest));
  const char places[4] = {'.', (char)('0' + rest / 100), (char)('0' + rest / 10 % 10),
                          (char)('0' + rest % 10)};
  axle_print_bytes(places, sizeof(places));
}

// ---- the clock ---------------------------------------------------------------------------------

static uint64_t ticks(void) {
  uint32_t low;
  uint32_t high;
  __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
  return (uint64_t)high << 32 | low;
}

static void start_timer(uint32_t count) {
  out8(TIMER_COMMAND, TIMER_ONCE);
  out8(TIMER_0, (uint8_t)count);
  out8(TIMER_0, (uint8_t)(count >> 8));
}

typedef struct measurement {
  uint32_t ticks;
  uint32_t doubt;  // how much more or less they may be
} measurement;

// Ticks of a millisecond of the timer. A host with more to do than it can may stop this processor in between:
// how long it was away, where that matters, is the doubt.
static measurement measure_millisecond(void) {
  const uint64_t before = ticks();
  start_timer(CALIBRATE_TICKS);
  const uint64_t begun = ticks();
  uint64_t last = begun;
  uint64_t over = begun;
  for (;;) {
    last = over;
    out8(TIMER_COMMAND, TIMER_READ_STATUS);
    const uint8_t status = in8(TIMER_0);
    over = ticks();
    if ((status & TIMER_IS_OVER) != 0) break;
  }
  const measurement measured = {(uint32_t)(over - begun),
                                (uint32_t)(begun - before) + (uint32_t)(over - last)};
  return measured;
}

// How fast the time stamp counter runs: by the first measurement that is good, or the best of some.
static void calibrate(void) {
  measurement best = measure_millisecond();
  for (uint32_t i = 1; i < CALIBRATE_TRIES && best.doubt > best.ticks >> CALIBRATE_DOUBT_SHIFT;
       i++) {
    const measurement next = measure_millisecond();
    if (next.doubt < best.doubt) best = next;
  }
  uint32_t rest = 0;
  const uint64_t parts = divide((uint64_t)1000 << 32, best.ticks, &rest);
  tick_parts = parts < UINT32_MAX ? (uint32_t)parts : UINT32_MAX;
}

// By multiplication: it is read several times in each call, and `divide` takes longer than all else there.
uint64_t axle_now_us(void) {
  const uint64_t since = ticks() - start_ticks;
  const uint64_t low = (since & UINT32_MAX) * tick_parts;
  return (since >> 32) * tick_parts + (low >> 32);
}

static uint64_t clock_us(void *context) {
  (void)context;
  return axle_now_us();
}

// ---- interrupts --------------------------------------------------------------------------------

extern void axle_interrupt(void);
extern void axle_sleep(void);
extern void axle_load_idt(const void *pointer);

typedef struct gate {
  uint16_t low;
  uint16_t segment;
  uint16_t kind;
  uint16_t high;
} gate;

static gate gates[VECTORS];

// What the processor reads: a limit and an address, unaligned.
static uint8_t gates_pointer[6];

static void trap(void) {
  axle_print("axle: the processor trapped\n");
  axle_halt();
}

static void start_interrupts(void) {
  for (uint32_t i = 0; i < VECTORS; i++) {
    const uint32_t handler =
        i < PIC_VECTOR ? (uint32_t)(uintptr_t)trap : (uint32_t)(uintptr_t)axle_interrupt;
    gates[i].low = (uint16_t)handler;
    gates[i].segment = 0x08;
    gates[i].kind = 0x8e00;
    gates[i].high = (uint16_t)(handler >> 16);
  }
  axle_store(gates_pointer, 2, sizeof(gates) - 1);
  axle_store(gates_pointer + 2, 4, (uintptr_t)gates);
  axle_load_idt(gates_pointer);
  static const uint8_t words[2][4] = {{0x11, PIC_VECTOR, 1 << PIC_CASCADE, 1},
                                      {0x11, PIC_VECTOR + 8, PIC_CASCADE, 1}};
  for (uint32_t i = 0; i < 4; i++) {
    out8((uint16_t)(PIC_MASTER + (i > 0)), words[0][i]);
    out8((uint16_t)(PIC_SLAVE + (i > 0)), words[1][i]);
  }
  *(volatile uint32_t *)(uintptr_t)LAPIC_SPURIOUS = LAPIC_ENABLED;
  *(volatile uint32_t *)(uintptr_t)LAPIC_LINT0 = LAPIC_EXTERNAL;
  // The timer and the other controller.
  out8(PIC_MASTER + 1, (uint8_t) ~(1u | 1u << PIC_CASCADE));
  out8(PIC_SLAVE + 1, 0xff);
}

static void let_in(uint32_t line) {
  const uint16_t mask = line < 8 ? PIC_MASTER + 1 : PIC_SLAVE + 1;
  out8(mask, (uint8_t)(in8(mask) & ~(1u << line % 8)));
}

static void sleep(void *context, uint64_t until_us) {
  (void)context;
  const uint64_t now_us = axle_now_us();
  if (until_us <= now_us) return;
  uint32_t us = TIMER_US_MAX;
  if (until_us - now_us < us) us = (uint32_t)(until_us - now_us);
  // 1.193182 ticks are a microsecond.
  start_timer(us + us / 5 + 2);
  axle_sleep();
}

// ---- what there is -----------------------------------------------------------------------------

// Of a number that is all digits, or 0x and hexadecimal ones.
static const char *read_number(const char *at, uint32_t *number) {
  uint32_t base = 10;
  *number = 0;
  if (at[0] == '0' && at[1] == 'x') {
    base = 16;
    at += 2;
  }
  for (;; at++) {
    uint32_t digit = 16;
    if (*at >= '0' && *at <= '9') digit = (uint32_t)(*at - '0');
    if (*at >= 'a' && *at <= 'f') digit = (uint32_t)(*at - 'a') + 10;
    if (digit >= base) return at;
    *number = *number * base + digit;
  }
}

// What follows `word` where it stands, or NULL.
static const char *after(const char *at, const char *word) {
  while (*word != 0) {
    if (*at++ != *word++) return NULL;
  }
  return at;
}

int axle_has_word(const char *word) {
  for (const char *at = command_line; *at != 0; at++) {
    const char *end = after(at, word);
    const int begins = at == command_line || at[-1] == ' ';
    if (end != NULL && begins && (*end == 0 || *end == ' ')) return 1;
  }
  return 0;
}

// A console of this machine.
typedef struct place {
  uint32_t address;  // of its registers; 0: there is none
  uint32_t line;     // of its interrupts
} place;

static int is_console(uint32_t address) {
  return axle_virtio_console_is_at((const volatile void *)(uintptr_t)address);
}

// The first behind an address, of those that `virtio_mmio.device=SIZE@ADDRESS:LINE` tells.
static place find_told(uint32_t behind) {
  place found = {0, 0};
  for (const char *at = command_line; *at != 0; at++) {
    const char *next = after(at, "virtio_mmio.device=");
    uint32_t address = 0;
    uint32_t line = 0;
    if (next == NULL) continue;
    while (*next != 0 && *next != '@') next++;
    if (*next != '@') break;
    next = read_number(next + 1, &address);
    if (*next != ':') continue;
    read_number(next + 1, &line);
    if (address <= behind || (found.address != 0 && address > found.address)) continue;
    if (line == 0 || line >= LINES || !is_console(address)) continue;
    found.address = address;
    found.line = line;
  }
  return found;
}

// The same where nothing is told.
static place find_console(uint32_t behind) {
  place found = find_told(behind);
  for (uint32_t i = 0; found.address == 0 && MMIO_FIRST_LINE + i < LINES && i < MMIO_SLOTS; i++) {
    const uint32_t address = MMIO_BASE + i * AXLE_VIRTIO_MMIO_BYTES;
    if (address <= behind || !is_console(address)) continue;
    found.address = address;
    found.line = MMIO_FIRST_LINE + i;
  }
  return found;
}

static place axle_place;

static int32_t open_console(axle_virtio_console *console, place at, axle_transport *transport) {
  static const axle_virtio_platform platform = {NULL, clock_us, sleep};
  if (at.address == 0) return AXLE_STATUS_NOT_FOUND;
  let_in(at.line);
  volatile void *registers = (volatile void *)(uintptr_t)at.address;
  const int32_t error = axle_virtio_console_open(console, registers, &platform);
  if (error == 0) *transport = axle_virtio_console_transport(console);
  return error;
}

int32_t axle_platform_open(const void *start_info, axle_transport *transport) {
  static axle_virtio_console console;
  calibrate();
  start_ticks = ticks();
  // hvm_start_info: magic, version, flags, modules, their list, the command line.
  const uint64_t text = axle_load((const uint8_t *)start_info + 24, 8);
  if (text != 0) command_line = (const char *)(uintptr_t)text;
  start_interrupts();
  axle_place = find_console(0);
  return open_console(&console, axle_place, transport);
}

int32_t axle_platform_open_calls(axle_transport *transport) {
  static axle_virtio_console console;
  return open_console(&console, find_console(axle_place.address), transport);
}

// ---- what compilers call -----------------------------------------------------------------------

void *memcpy(void *to, const void *from, size_t bytes);
void *memset(void *at, int value, size_t bytes);

void *memcpy(void *to, const void *from, size_t bytes) {
  void *at = to;
  __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(bytes) : : "memory");
  return to;
}

void *memset(void *at, int value, size_t bytes) {
  void *to = at;
  __asm__ volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(value) : "memory");
  return at;
}
