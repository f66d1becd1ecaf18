import { tracingChannel } from 'node:diagnostics_channel';
import { dirname, join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Client } from '../src/client.js';
import { connectLocal } from '../src/connect.js';
import { nativeAddonPath } from '../src/native-loader.js';

const path = join(dirname(nativeAddonPath()), 'axle_test_plugin.so');
let client: Client;

beforeAll(async () => {
  client = await connectLocal({ plugins: [{ name: 'test', path, options: {} }] });
});
afterAll(() => client.close());

describe('tracing:axle.call', () => {
  it('tells of every call how it began and how it ended', async () => {
    const seen: string[] = [];
    const devices: unknown[] = [];
    const note = (what: string) => (event: unknown) => {
      const { op, tenant, result, error } = event as Record<string, unknown>;
      seen.push(`${what} ${String(op)} ${String(tenant)}`);
      if (what === 'asyncEnd') devices.push((result as { device?: string } | undefined)?.device);
      if (what === 'error') devices.push((error as { code?: string }).code);
    };
    const subscribers = {
      start: note('start'),
      end: () => undefined,
      asyncStart: () => undefined,
      asyncEnd: note('asyncEnd'),
      error: note('error'),
    };
    const channel = tracingChannel('axle.call');
    channel.subscribe(subscribers);
    try {
      await client.run('test.axle/describe', {});
      await client.compress(Buffer.from('x')).catch(() => undefined);
    } finally {
      channel.unsubscribe(subscribers);
    }
    await client.run('test.axle/describe', {});
    expect(seen).toEqual([
      'start test.axle/describe local',
      'asyncEnd test.axle/describe local',
      'start compress local',
      'error compress local',
      'asyncEnd compress local',
    ]);
    // No device of this client compresses.
    expect(devices).toEqual(['test:test:1', 'UNIMPLEMENTED', undefined]);
  });

  it('tells nothing of what a call works on', async () => {
    const events: unknown[] = [];
    const subscriber = (event: unknown) => events.push(event);
    const channel = tracingChannel('axle.call');
    channel.asyncEnd.subscribe(subscriber);
    try {
      const inputs = { any: Buffer.from('secret') };
      const { outputs, op, ...report } = await client.run('test.axle/echo', inputs, {
        args: { label: 'secret' },
      });
      expect(outputs['any']?.bytes).toEqual(new Uint8Array(Buffer.from('secret')));
      expect(events).toEqual([{ op, tenant: 'local', result: report }]);
    } finally {
      channel.asyncEnd.unsubscribe(subscriber);
    }
  });
});
