import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';

import { connect, shippedModels, type Client } from 'axle';
import { enableMetrics, metricLabelValuesMax } from 'axle/metrics';
import { Gauge, Registry } from 'prom-client';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { callEnded } from './call-ended.js';

const image = `${shippedModels}/samples/A.png`;
let client: Client;
let registry: Registry;
let stop: () => void;

beforeAll(async () => {
  client = await connect();
});
beforeEach(() => {
  registry = new Registry();
  stop = enableMetrics(registry, { client });
});
afterEach(() => {
  stop();
});
afterAll(() => client.close());

/** Samples of a scrape by their name and labels, as Prometheus reads them. */
async function scrape(from = registry): Promise<Map<string, number>> {
  const lines = (await from.metrics()).split('\n').filter((line) => /^\w/.test(line));
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(' ');
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}

describe('metrics', () => {
  it('refuse a registry that has them already, and what is none', async () => {
    const untyped = enableMetrics as (...args: unknown[]) => unknown;
    for (const wrong of [{ client: 5 }, { client: null }, { clients: client }]) {
      const code = 'INVALID_ARGUMENT';
      expect(() => untyped(new Registry(), wrong)).toThrow(expect.objectContaining({ code }));
    }
    expect(() => enableMetrics(registry)).toThrow(
      expect.objectContaining({
        code: 'ALREADY_EXISTS',
        message: expect.stringMatching(/has a metric 'axle_calls_total'; end what/) as string,
      }),
    );
    const plain = enableMetrics as unknown as (...args: unknown[]) => unknown;
    for (const args of [[null], [{}], [new Registry(), null]]) {
      expect(() => plain(...args)).toThrow(
        expect.objectContaining({ name: 'AxleError', code: 'INVALID_ARGUMENT' }),
      );
    }
    // Nothing is left of a half that was there.
    const half = new Registry();
    new Gauge({ name: 'axle_batch_size', help: 'of somebody else', registers: [half] });
    expect(() => enableMetrics(half)).toThrow(/has a metric 'axle_batch_size'/);
    expect(half.getMetricsAsArray().map(({ name }) => name)).toEqual(['axle_batch_size']);
    await client.compress(Buffer.from('x'));
    expect((await scrape()).get('axle_calls_total{op="compress",code="OK",tenant="local"}')).toBe(
      1,
    );
  });

  it('count calls by op, outcome and tenant, and say how long they took', async () => {
    const started = performance.now();
    await client.classify([image, image]);
    await expect(client.decompress(Buffer.from('?'), { codec: 'lz4' })).rejects.toThrow();
    await expect(client.classify(image, { signal: AbortSignal.abort() })).rejects.toThrow();
    const seconds = (performance.now() - started) / 1000;
    const samples = await scrape();
    const calls = (op: string, code: string) =>
      samples.get(`axle_calls_total{op="${op}",code="${code}",tenant="local"}`);
    expect(calls('classify', 'OK')).toBe(2);
    expect(calls('classify', 'CANCELLED')).toBe(1);
    expect(calls('decompress', 'INVALID_ARGUMENT')).toBe(1);
    expect(samples.get('axle_call_duration_seconds_count{op="classify"}')).toBe(3);
    const sum = samples.get('axle_call_duration_seconds_sum{op="classify"}') ?? 0;
    expect(sum).toBeGreaterThan(0);
    expect(sum).toBeLessThan(2 * seconds);
  });

  it('say of tasks where their time went, by device and op', async () => {
    const { timingMs } = await client.compress(Buffer.alloc(1_000_000, 'words '));
    await expect(client.decompress(Buffer.from('?'), { codec: 'lz4' })).rejects.toThrow();
    const samples = await scrape();
    const labels = 'device="cpu-fallback:0",op="compress"';
    for (const part of ['queue', 'transfer', 'compute'] as const) {
      expect(samples.get(`axle_task_${part}_seconds_count{${labels}}`)).toBe(1);
      const sum = samples.get(`axle_task_${part}_seconds_sum{${labels}}`);
      expect(sum).toBeCloseTo(timingMs[part] / 1000, 9);
    }
    expect(samples.get('axle_batch_size_bucket{le="1",device="cpu-fallback:0"}')).toBe(1);
    expect(samples.get(`axle_tasks_total{${labels},code="OK"}`)).toBe(1);
    const failed = 'device="cpu-fallback:0",op="decompress",code="INVALID_ARGUMENT"';
    expect(samples.get(`axle_tasks_total{${failed}}`)).toBe(1);
  });

  it('count each write to a stream as a task, and the stream as a call', async () => {
    const pieces = [Buffer.alloc(9_000_000), Buffer.alloc(9_000_000)];
    const ended = callEnded();
    await buffer(Readable.from(pieces).pipe(client.compressStream({ codec: 'gzip' })));
    await ended;
    const samples = await scrape();
    expect(samples.get('axle_calls_total{op="compressStream",code="OK",tenant="local"}')).toBe(1);
    const writes = samples.get('axle_tasks_total{device="cpu-fallback:0",op="compress",code="OK"}');
    expect(writes).toBeGreaterThanOrEqual(3);
  });

  it('show the devices of a client, and nothing once it is closed', async () => {
    const own = await connect();
    const its = new Registry();
    const stopIts = enableMetrics(its, { client: own });
    try {
      const samples = await scrape(its);
      expect(samples.get('axle_device_tasks{device="cpu-fallback:0"}')).toBe(0);
      expect(samples.get('axle_device_health{device="cpu-fallback:0",state="OK"}')).toBe(1);
      expect(samples.get('axle_device_health{device="cpu-fallback:0",state="LOST"}')).toBe(0);
      const working = own.compress(Buffer.alloc(30_000_000, 'words '), {
        codec: 'zstd',
        level: 19,
      });
      expect((await scrape(its)).get('axle_device_tasks{device="cpu-fallback:0"}')).toBe(1);
      const aborted = expect(working).rejects.toMatchObject({ code: 'CANCELLED' });
      await own.close();
      await aborted;
      expect(
        [...(await scrape(its)).keys()].filter((key) => key.startsWith('axle_device_')),
      ).toEqual([]);
    } finally {
      stopIts();
    }
  });

  it('ask for the devices once for each scrape', async () => {
    let asked = 0;
    const its = new Registry();
    const devices = () => {
      asked += 1;
      return client.devices();
    };
    const stopIts = enableMetrics(its, { client: { devices } });
    for (const scrapes of [1, 2]) {
      const samples = await scrape(its);
      expect(samples.has('axle_device_tasks{device="cpu-fallback:0"}')).toBe(true);
      expect(samples.has('axle_device_health{device="cpu-fallback:0",state="OK"}')).toBe(true);
      expect(asked).toBe(scrapes);
    }
    stopIts();
  });

  it('keep their labels few, whatever callers name their ops', async () => {
    const unknown = (name: string) => client.run(name, {}).catch(() => undefined);
    for (let i = 0; i < metricLabelValuesMax + 20; i++) {
      await unknown(`vendor.example/${randomUUID()}`);
    }
    await client.compress(Buffer.from('x'));
    const ops = [...(await scrape()).entries()].filter(([key]) => key.startsWith('axle_calls_'));
    // None of them took the place of an op that is there.
    expect(Object.fromEntries(ops)).toEqual({
      'axle_calls_total{op="other",code="NOT_FOUND",tenant="local"}': metricLabelValuesMax + 20,
      'axle_calls_total{op="compress",code="OK",tenant="local"}': 1,
    });
  });

  it('leave the registry as it was when they end', async () => {
    stop();
    expect(await registry.metrics()).toBe('\n');
    stop = enableMetrics(registry);
    expect(await registry.metrics()).not.toContain('axle_device_');
  });
});
