import { expect, it } from 'vitest';

import type { Device } from '../src/backend.js';
import { singleOp } from '../src/op.js';
import { HealthMonitor } from '../src/plans/health-monitor.js';
import { Registry } from '../src/registry.js';
import { TestBackend } from './test-backend.js';

it('takes a device for lost that does not say how it is', async () => {
  const backend = new TestBackend('gpu', [singleOp('infer')], () => []);
  backend.health = () => Promise.reject(new Error('no answer'));
  const registry = new Registry();
  registry.add(backend);
  const [device] = backend.devices as [Device];
  let now = 0;
  const monitor = new HealthMonitor(registry, () => now);
  expect(monitor.of(device).state).toBe('OK');
  await new Promise(setImmediate);
  expect(monitor.of(device)).toEqual({ state: 'LOST', message: 'no answer' });

  backend.health = () => Promise.resolve({ state: 'OK', message: '' });
  now = 5000;
  monitor.of(device);
  await new Promise(setImmediate);
  expect(monitor.of(device).state).toBe('OK');
});
