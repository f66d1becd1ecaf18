import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { dirname, join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Client } from '../src/client.js';
import { connectLocal } from '../src/connect.js';
import { nativeAddonPath } from '../src/native-loader.js';
import type { TaskEvent } from '../src/task-event.js';

const path = join(dirname(nativeAddonPath()), 'axle_test_plugin.so');
let client: Client;

beforeAll(async () => {
  client = await connectLocal({ plugins: [{ name: 'test', path, options: {} }] });
});
afterAll(() => client.close());

async function tasksOf(work: () => Promise<unknown>): Promise<TaskEvent[]> {
  const seen: TaskEvent[] = [];
  const note = (event: unknown) => seen.push(event as TaskEvent);
  subscribe('axle.task', note);
  try {
    await work().catch(() => undefined);
  } finally {
    unsubscribe('axle.task', note);
  }
  return seen;
}

describe('axle.task', () => {
  it('tells of a task what ran it and where its time went, and nothing of its data', async () => {
    const op = 'test.axle/describe';
    expect(await tasksOf(() => client.run(op, {}))).toEqual([
      {
        op,
        step: op,
        // The one that says it is better.
        device: 'test:test:1',
        model: undefined,
        tenant: 'local',
        code: 'OK',
        queueMs: expect.any(Number) as number,
        ran: {
          transferMs: expect.any(Number) as number,
          computeMs: expect.any(Number) as number,
          batchSize: 1,
        },
      },
    ]);
  });

  it('tells of a task whose call was aborted, once the device has let go of it', async () => {
    const event = new Promise<unknown>((resolve) => {
      subscribe('axle.task', resolve);
    });
    const abort = new AbortController();
    const args = { label: '', delay_ms: 600_000 };
    const options = { args, signal: abort.signal };
    const call = client.run('test.axle/echo', { any: Uint8Array.of(1) }, options);
    abort.abort();
    await expect(call).rejects.toThrow();
    expect(await event).toMatchObject({ op: 'test.axle/echo', code: 'CANCELLED', ran: undefined });
  });

  it('is published in the context of the call', async () => {
    const caller = new AsyncLocalStorage<number>();
    const seen: unknown[] = [];
    const note = () => seen.push(caller.getStore());
    subscribe('axle.task', note);
    try {
      const call = () => client.run('test.axle/describe', {});
      await Promise.all([1, 2, 3].map((i) => caller.run(i, call)));
    } finally {
      unsubscribe('axle.task', note);
    }
    expect(seen.sort()).toEqual([1, 2, 3]);
  });
});
