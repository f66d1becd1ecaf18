import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { join } from 'node:path';

import { connect, shippedModels, Tensor, type Client } from 'axle';
import { loadServeSettings, ModelManager } from '@axle/remoting';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { folder } from '../serve.js';
import { TrustedServer } from '../trusted-server.js';
import { GrpcClient } from './grpc-door.js';
import { writeModels } from './models.js';
import { readPrometheusText, sampleOf } from './prometheus-text.js';
import { RestClient, type RestReply } from './rest-door.js';

const place = join(folder, 'metrics');
let server: TrustedServer;
let metrics: RestClient;
let rest: RestClient;
let grpc: GrpcClient;
let client: Client;
let alice: string;

beforeAll(async () => {
  const models = join(place, 'models');
  mkdirSync(models, { recursive: true });
  writeModels(models);
  server = await TrustedServer.start(place, {
    listen: [`unix:${join(place, 'wire.sock')},tenant=wire`],
    grpc: [`unix:${join(place, 'grpc.sock')},tenant=grpc`],
    http: [`unix:${join(place, 'http.sock')},tenant=http`],
    metrics: [`unix:${join(place, 'metrics.sock')},tenant=ops`],
    metricsTenants: ['ops'],
    quotas: { handles: 1234 },
    tokens: 'tokens.jsonl',
    models: [models, shippedModels],
  });
  alice = await server.addToken('alice');
  const [grpcAt = '', httpAt = '', metricsAt = ''] = server.doorEndpoints;
  metrics = new RestClient(metricsAt);
  rest = new RestClient(httpAt);
  grpc = new GrpcClient(grpcAt);
  client = await connect(server.endpoint, { token: '' });
});
afterAll(async () => {
  await client.close();
  for (const each of [metrics, rest, grpc]) each.close();
  await server.close();
});

async function scrape(): Promise<string> {
  const { status, body } = await metrics.send('GET', '/metrics');
  expect(status).toBe(200);
  return String(body);
}

const pairBody = (rows: number) => {
  const input = (name: string) => ({
    ...{ name, datatype: 'FP32', shape: [rows, 2] },
    data: new Array<number>(rows * 2).fill(1),
  });
  return JSON.stringify({ inputs: [input('a'), input('b')] });
};
const inferByRest = (rows: number): Promise<RestReply> =>
  rest.send('POST', '/v2/models/pair/infer', pairBody(rows));
const inferByWire = (rows: number) => {
  const tensor = Tensor.from('FP32', new Float32Array(rows * 2), [rows, 2]);
  return client.infer('pair', { a: tensor, b: tensor });
};
const inferByGrpc = (rows: number) => {
  const values = new Array<number>(rows * 2).fill(1);
  const input = (name: string) => ({
    ...{ name, datatype: 'FP32', shape: [rows, 2], contents: { fp32_contents: values } },
  });
  return grpc.inference('ModelInfer', { model_name: 'pair', inputs: [input('a'), input('b')] });
};

const ways = [inferByWire, inferByGrpc, inferByRest];
const callBy = async (i: number) => {
  await ways[i % ways.length]?.(1);
};

const pair = '{model="pair",version="1"}';
const failed = (reason: string) =>
  `nv_inference_request_failure${pair.slice(0, -1)},reason="${reason}"}`;

describe('metrics', () => {
  it('are what Prometheus reads', async () => {
    const { headers, body } = await metrics.send('GET', '/metrics');
    expect(headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    const families = readPrometheusText(String(body));
    expect([...families].map(([name, { type }]) => `${name} ${type}`)).toEqual(
      expect.arrayContaining([
        'nv_inference_request_success counter',
        'nv_inference_request_failure counter',
        'nv_inference_count counter',
        'nv_inference_exec_count counter',
        'nv_inference_pending_request_count gauge',
        'nv_inference_request_duration_us counter',
        'nv_inference_queue_duration_us counter',
        'nv_inference_compute_input_duration_us counter',
        'nv_inference_compute_infer_duration_us counter',
        'axle_device_health gauge',
        'axle_device_tasks gauge',
        'axle_device_wait_seconds gauge',
        'axle_tenant_usage gauge',
        'axle_tenant_quota gauge',
        'axle_wire_connections gauge',
        'axle_wire_handles gauge',
        'axle_wire_bytes_total counter',
        'axle_door_connections gauge',
        'axle_store_bytes gauge',
        'axle_host_restarts_total counter',
      ]),
    );
  });

  it('count the calls of all doors and of the wire alike', async () => {
    const before = await scrape();
    const grown = async () => {
      const now = await scrape();
      return (key: string) => (sampleOf(now, key) ?? NaN) - (sampleOf(before, key) ?? 0);
    };
    await inferByWire(2);
    await inferByGrpc(3);
    expect((await inferByRest(4)).status).toBe(200);
    const after = await grown();
    expect(after(`nv_inference_request_success${pair}`)).toBe(3);
    expect(after(`nv_inference_count${pair}`)).toBe(9);
    expect(after(`nv_inference_exec_count${pair}`)).toBe(3);
    for (const part of ['request', 'compute_infer']) {
      expect(after(`nv_inference_${part}_duration_us${pair}`)).toBeGreaterThan(0);
    }
    expect(after(`nv_inference_pending_request_count${pair}`)).toBe(0);
  });

  it('count failures by their reason', async () => {
    const wrong = JSON.stringify({
      inputs: [{ name: 'a', datatype: 'FP32', shape: [1, 2], data: [1, 2] }],
    });
    expect((await rest.send('POST', '/v2/models/pair/infer', wrong)).status).toBe(400);
    const late = { ...(JSON.parse(pairBody(1)) as object), parameters: { timeout: 1 } };
    const { status } = await rest.send('POST', '/v2/models/pair/infer', JSON.stringify(late));
    expect(status).toBe(504);
    const text = await scrape();
    expect(sampleOf(text, failed('OTHER'))).toBe(1);
    expect(sampleOf(text, failed('REJECTED'))).toBe(1);
    expect(sampleOf(text, failed('BACKEND'))).toBe(0);
  });

  it('show what waits, and the devices', async () => {
    const slow = { x: Tensor.from('FP32', new Float32Array(1024), [1, 1024]) };
    const calls = Array.from({ length: 40 }, () => client.infer('slow', slow));
    await Promise.race(calls);
    const text = await scrape();
    const pending = sampleOf(text, 'nv_inference_pending_request_count{model="slow",version="1"}');
    expect(pending).toBeGreaterThan(0);
    expect(pending).toBeLessThan(40);
    expect(sampleOf(text, 'axle_device_tasks{device="cpu-fallback:0"}')).toBeGreaterThan(0);
    expect(sampleOf(text, 'axle_device_wait_seconds{device="cpu-fallback:0"}')).toBeGreaterThan(0);
    const info = 'kind="CPU",backend="cpu-fallback",emulated="false"';
    expect(sampleOf(text, `axle_device_info{device="cpu-fallback:0",${info}}`)).toBe(1);
    expect(sampleOf(text, 'axle_device_health{device="cpu-fallback:0",state="OK"}')).toBe(1);
    expect(sampleOf(text, 'axle_device_health{device="cpu-fallback:0",state="LOST"}')).toBe(0);
    expect(sampleOf(text, 'axle_tenant_usage{tenant="wire",resource="calls"}')).toBeGreaterThan(0);
    await Promise.all(calls);
  });

  it('count what a device works on as no longer pending', async () => {
    const large = { x: Tensor.from('FP32', new Float32Array(1024 * 1024), [1024, 1024]) };
    let isOver = false;
    const call = client.infer('slow', large).finally(() => {
      isOver = true;
    });
    const seen = new Set<string>();
    while (!isOver) {
      const text = await scrape();
      if (sampleOf(text, 'axle_device_tasks{device="cpu-fallback:0"}') !== 1) continue;
      const pending = 'nv_inference_pending_request_count{model="slow",version="1"}';
      seen.add(`pending ${sampleOf(text, pending)}`);
    }
    await call;
    expect([...seen]).toEqual(['pending 0']);
  });

  it('show tenants against their quotas, and the wire', async () => {
    const before = await scrape();
    await client.compress(randomBytes(100_000), { codec: 'zstd' });
    const text = await scrape();
    expect(sampleOf(text, 'axle_tenant_usage{tenant="wire",resource="connections"}')).toBe(1);
    expect(sampleOf(text, 'axle_tenant_quota{tenant="wire",resource="handles"}')).toBe(1234);
    expect(sampleOf(text, 'axle_wire_connections')).toBe(1);
    expect(sampleOf(text, 'axle_wire_handles')).toBeGreaterThan(0);
    expect(sampleOf(text, 'axle_door_connections{door="http"}')).toBe(1);
    const sent = 'axle_wire_bytes_total{direction="sent"}';
    expect(sampleOf(text, sent)).toBeGreaterThan(sampleOf(before, sent) ?? Infinity);
  });

  it('show the models that clients sent', async () => {
    const manager = await ModelManager.connect(new URL(server.endpoint), { token: '' });
    const { bytes } = await manager.push(join(shippedModels, 'mlp'), { name: 'mine' });
    const text = await scrape();
    expect(bytes).toBeGreaterThan(0);
    expect(sampleOf(text, 'axle_tenant_usage{tenant="wire",resource="models"}')).toBe(1);
    expect(sampleOf(text, 'axle_tenant_usage{tenant="wire",resource="modelBytes"}')).toBe(bytes);
    expect(sampleOf(text, 'axle_store_bytes')).toBe(bytes);
    await manager.close();
  });

  it('are for the tenants that the operator named', async () => {
    const as = (token: string) =>
      metrics.send('GET', '/metrics', '', { authorization: `Bearer ${token}` });
    const refused = await as(alice);
    expect(refused.status).toBe(403);
    expect(String(refused.body)).toMatch(/tenant alice may not read the metrics.*metricsTenants/);
    expect((await as('axle_0123456789abcdef_nonsense')).status).toBe(401);
    expect((await as(await server.addToken('ops'))).status).toBe(200);
  });

  it('are all that their door has', async () => {
    expect((await metrics.send('GET', '/v2')).status).toBe(404);
    expect((await metrics.send('POST', '/metrics')).status).toBe(405);
    expect((await rest.send('GET', '/metrics')).status).toBe(404);
  });

  it('answer under load, and lose no call', async () => {
    const key = `nv_inference_request_success${pair}`;
    const before = sampleOf(await scrape(), key) ?? NaN;
    const calls = Array.from({ length: 300 }, (_, i) => callBy(i));
    const scrapes = await Promise.all(Array.from({ length: 60 }, scrape));
    await Promise.all(calls);
    for (const text of scrapes) {
      const success = sampleOf(text, key) ?? NaN;
      const pending = sampleOf(text, `nv_inference_pending_request_count${pair}`) ?? NaN;
      expect(success + pending).toBeGreaterThanOrEqual(before);
      expect(success + pending).toBeLessThanOrEqual(before + 300);
    }
    const after = await scrape();
    expect(sampleOf(after, key)).toBe(before + 300);
    expect(sampleOf(after, `nv_inference_pending_request_count${pair}`)).toBe(0);
  });

  it('are there for others while one scraper does not read', async () => {
    const deaf = connectSocket(join(place, 'metrics.sock'));
    const ask = 'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n';
    deaf.pause().write(ask.repeat(200));
    const texts = await Promise.all([scrape(), scrape()]);
    for (const text of texts) expect(readPrometheusText(text).size).toBeGreaterThan(20);
    deaf.destroy();
  });
});

describe('the settings of metrics', () => {
  it('have the port of Triton, and the tenant of who names none', async () => {
    const { doors } = await loadServeSettings({
      listen: [`unix:${join(folder, 'x.sock')}`],
      metrics: ['tcp:127.0.0.1'],
      insecure: true,
    });
    expect(doors.metrics).toMatchObject([{ host: '127.0.0.1', port: 8002 }]);
    expect(doors.metricsTenants).toEqual(['local']);
  });

  it.each([
    [
      { metrics: [`unix:${join(folder, 'x.sock')}`] },
      /metrics alone has nothing to measure; add --listen/,
    ],
    [
      { listen: ['unix:/x'], metrics: ['tcp:127.0.0.1'] },
      /without TLS at 127\.0\.0\.1:8002 \(--metrics\)/,
    ],
  ])('are as strict as those of other doors: %j', async (options, message) => {
    await expect(loadServeSettings(options)).rejects.toThrow(message);
  });
});
