import { dirname, join } from 'node:path';

import { afterAll, beforeAll, expect, it, vi } from 'vitest';

import type { Client } from '../src/client.js';
import { connectLocal } from '../src/connect.js';
import {
  completionField,
  numbersPerCompletion,
  type CompletionHandler,
  type OutputMaker,
} from '../src/native-binding.js';
import { nativeAddonPath } from '../src/native-loader.js';
import { timesWithin } from '../src/plausible-times.js';

const hourNs = 3.6e12;

/** The real addon, but each device says that all that it did took an hour. */
vi.mock(import('../src/native-loader.js'), async (original) => {
  const module = await original();
  return {
    ...module,
    loadNativeBinding: () => {
      const binding = module.loadNativeBinding();
      const onCompletions = (handler: CompletionHandler<never>, make: OutputMaker<never>) => {
        binding.onCompletions((count, numbers, payloads) => {
          for (let i = 0; i < count; i++) {
            const at = i * numbersPerCompletion;
            numbers[at + completionField.queueNs] = hourNs;
            numbers[at + completionField.transferNs] = hourNs;
            numbers[at + completionField.computeNs] = hourNs;
          }
          handler(count, numbers, payloads);
        }, make);
      };
      return { ...binding, onCompletions: onCompletions as typeof binding.onCompletions };
    },
  };
});

let client: Client;

beforeAll(async () => {
  const path = join(dirname(nativeAddonPath()), 'axle_test_plugin.so');
  client = await connectLocal({ plugins: [{ name: 'test', path }] });
});
afterAll(() => client.close());

it('believes a device no more time than it had the task', async () => {
  for (let i = 0; i < 3; i++) {
    const inputs = { any: Uint8Array.of(1, 2, 3) };
    const { timingMs } = await client.run('test.axle/echo', inputs, { args: { label: 'x' } });
    const { queue, transfer, compute, total } = timingMs;
    expect(compute).toBeGreaterThan(0);
    expect(queue + transfer + compute).toBeLessThanOrEqual(total + 1e-6);
  }
  const { plans } = await client.explain('test.axle/echo');
  const expected = plans.map(({ expectedMs }) => expectedMs);
  expect(Math.max(...expected)).toBeLessThan(60_000);
});

it('leaves times alone that may be', () => {
  expect(timesWithin(10, 2, 3, 5)).toEqual({ queueMs: 2, transferMs: 3, computeMs: 5 });
  expect(timesWithin(10, 4, 4, 4)).toEqual({ queueMs: 2, transferMs: 4, computeMs: 4 });
  expect(timesWithin(10, 1, 1, 100)).toEqual({ queueMs: 0, transferMs: 0, computeMs: 10 });
});
