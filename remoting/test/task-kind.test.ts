import { describe, expect, it } from 'vitest';

import type { FarDevice } from '../src/pool/far-device.js';
import { TaskKind } from '../src/pool/task-kind.js';

/** Stand for devices: a kind looks at nothing of them. */
const [a, b] = [{}, {}] as [FarDevice, FarDevice];

function ran(kind: TaskKind, device: FarDevice, times: number, tookMs: number): void {
  for (let i = 0; i < times; i++) kind.observe(device, 1000, tookMs, tookMs);
}

describe('what tasks of a kind take', () => {
  it('is known of a device when a few ran there, and until then is no more than elsewhere', () => {
    const kind = new TaskKind('k');
    ran(kind, a, 8, 10);
    expect(kind.expectedMs(b, 1000)).toBeCloseTo(10);
    ran(kind, b, 2, 80);
    expect(kind.expectedMs(b, 1000)).toBeCloseTo(10);
    expect(kind.isKnown(b)).toBe(false);
    ran(kind, b, 1, 80);
    expect(kind.expectedMs(b, 1000)).toBeCloseTo(80);
  });

  it('is measured anew when a device that was slow at its start is as quick as others', () => {
    const kind = new TaskKind('k');
    ran(kind, a, 8, 10);
    ran(kind, b, 3, 80);
    ran(kind, b, 1, 11);
    expect(kind.expectedMs(b, 1000)).toBeLessThan(12);
  });

  it('stays what it is by one that was quick, where others are not', () => {
    const kind = new TaskKind('k');
    ran(kind, a, 8, 80);
    ran(kind, b, 8, 80);
    ran(kind, b, 1, 2);
    expect(kind.expectedMs(b, 1000)).toBeGreaterThan(60);
  });

  it('has a tail once enough were answered, which few exceed', () => {
    const kind = new TaskKind('k');
    ran(kind, a, 31, 10);
    expect(kind.tailMs).toBeUndefined();
    ran(kind, a, 1, 500);
    expect(kind.tailMs).toBe(10);
    ran(kind, a, 96, 30);
    expect(kind.tailMs).toBe(30);
  });
});
