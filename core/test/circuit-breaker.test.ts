import { expect, it } from 'vitest';

import { AxleError } from '../src/errors.js';
import { singleOp } from '../src/op.js';
import { CircuitBreaker } from '../src/plans/circuit-breaker.js';
import type { Device } from '../src/backend.js';
import { TestBackend } from './test-backend.js';

const [device] = new TestBackend('gpu', [singleOp('infer')], () => []).devices as [Device];

it('lets one call through after the cool-down, and others when that one succeeded', () => {
  let now = 0;
  const breaker = new CircuitBreaker(() => now);
  const fail = () => {
    breaker.failed(device, new AxleError('INTERNAL', 'broken'));
  };
  for (let i = 0; i < 4; i++) fail();
  expect(breaker.isOpen(device)).toBe(false);
  fail();
  expect(breaker.isOpen(device)).toBe(true);
  now = 1000;
  expect(breaker.isOpen(device)).toBe(false);
  breaker.entering(device);
  expect(breaker.isOpen(device)).toBe(true);

  // The probe fails: twice as long.
  fail();
  now = 2999;
  expect(breaker.isOpen(device)).toBe(true);
  now = 3000;
  expect(breaker.isOpen(device)).toBe(false);
  breaker.entering(device);
  expect(breaker.isOpen(device)).toBe(true);
  breaker.succeeded(device);
  expect(breaker.isOpen(device)).toBe(false);
});
