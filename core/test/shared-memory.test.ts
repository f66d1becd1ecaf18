import { describe, expect, it } from 'vitest';

import { SharedMemory } from '../src/shared-memory.js';

const MiB = 1024 * 1024;

describe('views of shared memory', () => {
  it('charge V8 for little where little is used', () => {
    const { memory } = new SharedMemory(256 * MiB);
    const before = process.memoryUsage().arrayBuffers;
    memory.view(1000, 100_000).fill(1);
    memory.view(200_000, MiB).fill(2);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * MiB);
  });

  it('are of the same bytes, wherever they start and end', () => {
    const { memory } = new SharedMemory(5 * MiB);
    for (let at = 0; at < 5; at++) memory.view(at * MiB, MiB).fill(at + 1);
    const all = memory.view(0, 5 * MiB);
    expect(Array.from({ length: 5 }, (_, at) => all[at * MiB + 9])).toEqual([1, 2, 3, 4, 5]);
    memory.view(2 * MiB - 10, 20).fill(7);
    expect([...memory.view(2 * MiB - 10, 10), ...memory.view(2 * MiB, 10)]).toEqual(
      Array.from({ length: 20 }, () => 7),
    );
    expect(memory.view(5 * MiB, 0)).toHaveLength(0);
  });
});
