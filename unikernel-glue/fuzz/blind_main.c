// SPDX-License-Identifier: Apache-2.0
//
// Mutates seeds without looking at what they reach, the same ones on every run:
//   blind_TARGET RUNS SEED < seeds, one on a line, in hex
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "target.h"

#define SEEDS_MAX 1024
#define INPUT_BYTES_MAX 4096

typedef struct input {
  uint8_t data[INPUT_BYTES_MAX];
  size_t bytes;
} input;

static input seeds[SEEDS_MAX];
static size_t seed_count;
static uint64_t state;

// xorshift64*
static uint64_t next_random(void) {
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return state * UINT64_C(0x2545F4914F6CDD1D);
}

static size_t below(size_t end) { return (size_t)((next_random() >> 33) % end); }

static void read_seeds(void) {
  static char line[2 * INPUT_BYTES_MAX + 2];
  while (seed_count < SEEDS_MAX && fgets(line, sizeof(line), stdin) != NULL) {
    input *seed = &seeds[seed_count];
    unsigned value = 0;
    for (const char *at = line; sscanf(at, "%2x", &value) == 1; at += 2) {
      seed->data[seed->bytes++] = (uint8_t)value;
    }
    if (seed->bytes > 0) seed_count++;
  }
}

static void insert(input *in, size_t at, const uint8_t *data, size_t bytes) {
  if (bytes > INPUT_BYTES_MAX - in->bytes) return;
  memmove(in->data + at + bytes, in->data + at, in->bytes - at);
  memcpy(in->data + at, data, bytes);
  in->bytes += bytes;
}

// Frames are padded to 8 bytes: what moves should mostly move by as much.
static size_t some_bytes(void) { return below(3) == 0 ? 1 + below(7) : 8 * (1 + below(4)); }

static void mutate(input *in) {
  static const uint8_t zeros[32];
  const input *other = &seeds[below(seed_count)];
  // Heads and the first fields matter most.
  const size_t range = below(2) == 0 && in->bytes > 64 ? 64 : in->bytes;
  const size_t at = below(range);
  switch (below(9)) {
    case 0:
      in->data[at] ^= (uint8_t)(1u << below(8));
      break;
    case 1:
      in->data[at] = (uint8_t)next_random();
      break;
    case 2:
      in->data[at] = below(2) == 0 ? 0xff : 0;
      break;
    case 3: {
      const size_t cut = some_bytes();
      if (cut >= in->bytes - at) break;
      memmove(in->data + at, in->data + at + cut, in->bytes - at - cut);
      in->bytes -= cut;
      break;
    }
    case 4:
      insert(in, at, zeros, some_bytes());
      break;
    case 5:
      insert(in, in->bytes, other->data + 1, other->bytes - 1);
      break;
    case 6: {
      const size_t end = other->bytes < in->bytes ? other->bytes : in->bytes;
      for (size_t i = below(64); i < end; i++) in->data[i] = other->data[i];
      break;
    }
    case 7:
      // The payload length as it must be, so that what is inside is looked at.
      if (in->bytes > 17) {
        const size_t payload = (in->bytes - 17) & ~(size_t)7;
        for (unsigned i = 0; i < 4; i++) in->data[1 + i] = (uint8_t)(payload >> (8 * i));
      }
      break;
    default:
      in->data[at]++;
      break;
  }
}

int main(int argc, char **argv) {
  static input in;
  const long long runs = argc > 1 ? strtoll(argv[1], NULL, 10) : 20000;
  state = argc > 2 ? strtoull(argv[2], NULL, 10) | 1 : 1;
  read_seeds();
  if (seed_count == 0) {
    fprintf(stderr, "usage: %s RUNS SEED < seeds in hex\n", argv[0]);
    return 2;
  }
  for (size_t i = 0; i < seed_count; i++) LLVMFuzzerTestOneInput(seeds[i].data, seeds[i].bytes);
  for (long long i = 0; i < runs; i++) {
    const input *seed = &seeds[below(seed_count)];
    memcpy(in.data, seed->data, seed->bytes);
    in.bytes = seed->bytes;
    for (size_t n = 1 + below(5); n > 0; n--) mutate(&in);
    LLVMFuzzerTestOneInput(in.data, in.bytes);
  }
  printf("%lld mutated inputs, none did harm\n", runs);
  return 0;
}
