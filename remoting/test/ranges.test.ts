import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { aligned, Ranges } from '../src/shared-memory/ranges.js';

const memoryBytes = 64 * 64 + 17;
const usable = 64 * 64;

describe('Ranges', () => {
  it('never overlap, lie in the memory, and all come back as one', () => {
    const step = fc.record({ bytes: fc.integer({ min: 0, max: 900 }), freed: fc.nat() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const ranges = new Ranges(memoryBytes);
        const held: { start: number; bytes: number }[] = [];
        for (const { bytes, freed } of steps) {
          const start = ranges.allocate(bytes);
          if (start === undefined) {
            // There was no gap for it.
            const inUse = held.reduce((sum, range) => sum + aligned(range.bytes), 0);
            expect(ranges.freeBytes).toBe(usable - inUse);
            const [gone] = held.splice(freed % Math.max(1, held.length), 1);
            if (gone !== undefined) ranges.free(gone.start, gone.bytes);
            continue;
          }
          expect(start % 64).toBe(0);
          expect(start + aligned(bytes)).toBeLessThanOrEqual(usable);
          for (const other of held) {
            const apart =
              start + aligned(bytes) <= other.start || other.start + aligned(other.bytes) <= start;
            expect(apart).toBe(true);
          }
          held.push({ start, bytes });
        }
        for (const { start, bytes } of held) ranges.free(start, bytes);
        expect(ranges.allocate(usable)).toBe(0);
      }),
    );
  });

  it('gives none when there is no gap of that size, though there is room in pieces', () => {
    const ranges = new Ranges(192);
    const [first, , third] = [ranges.allocate(64), ranges.allocate(64), ranges.allocate(64)];
    ranges.free(first as number, 64);
    ranges.free(third as number, 64);
    expect(ranges.freeBytes).toBe(128);
    expect(ranges.allocate(128)).toBeUndefined();
    expect(ranges.allocate(64)).toBe(first);
  });
});
