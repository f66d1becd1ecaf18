import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';

import type { TaskEvent } from '@axle/core';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { matMulModel } from '../../onnx-model.mjs';
import { folder } from '../serve.js';
import { TrustedServer } from '../trusted-server.js';
import { identityModel, writeModel } from './models.js';
import { sampleOf } from './prometheus-text.js';
import { bodyOf, RestClient } from './rest-door.js';

const pipelinedMax = 4;
const pipelinedWaitingMax = 8;
const place = join(folder, 'pipelining');
const httpPath = join(place, 'http.sock');
let tcpPort: number;
let server: TrustedServer;
let rest: RestClient;
let metrics: RestClient;

beforeAll(async () => {
  const models = join(place, 'models');
  mkdirSync(models, { recursive: true });
  writeModel(models, 'identity', identityModel(1, ['n', 'm']));
  writeModel(models, 'slow', matMulModel(2048, 8));
  server = await TrustedServer.start(place, {
    http: [`unix:${httpPath},tenant=http`, 'tcp:127.0.0.1:0'],
    metrics: [`unix:${join(place, 'metrics.sock')},tenant=ops`],
    metricsTenants: ['ops'],
    models: [models],
    insecure: true,
    doorLimits: { pipelinedMax, pipelinedWaitingMax },
  });
  const [httpAt = '', tcpAt = '', metricsAt = ''] = server.doorEndpoints;
  tcpPort = Number(new URL(tcpAt).port);
  rest = new RestClient(httpAt);
  metrics = new RestClient(metricsAt);
});
afterAll(async () => {
  rest.close();
  metrics.close();
  await server.close();
});

/** A request as it goes over a connection. */
function post(model: string, columns: number): Buffer {
  const { body, jsonBytes } = bodyOf(
    {
      model,
      parameters: { binary_data_output: true },
      inputs: [
        {
          ...{ name: 'x', datatype: 'FP32', shape: [1, columns] },
          ...{ values: [], raw: Buffer.alloc(4 * columns) },
        },
      ],
    },
    'binary',
  );
  const head =
    `POST /v2/models/${model}/infer HTTP/1.1\r\nHost: x\r\n` +
    `Inference-Header-Content-Length: ${jsonBytes}\r\nContent-Length: ${body.byteLength}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

async function usage(resource: string): Promise<number> {
  const { body } = await metrics.send('GET', '/metrics');
  return sampleOf(String(body), `axle_tenant_usage{tenant="http",resource="${resource}"}`) ?? 0;
}

/** What nobody is told of. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 5));
}

async function opened(): Promise<Socket> {
  const socket = connect(httpPath);
  await once(socket, 'connect');
  return socket;
}

it('frees the requests of clients that have gone, and those that waited behind them', async () => {
  const { status } = await rest.send('GET', '/v2');
  expect(status).toBe(200);
  const few = Buffer.concat(new Array<Buffer>(5).fill(post('identity', 64)));
  for (let i = 0; i < 100; i++) {
    const socket = await opened();
    await new Promise((resolve) => socket.write(few, resolve));
    // At every stage of the work.
    for (let turns = i % 10; turns > 0; turns--) await new Promise(setImmediate);
    socket.destroy();
  }
  await until(async () => (await usage('calls')) === 0 && (await usage('connections')) === 1);
  expect(await usage('answerBytes')).toBe(0);
  expect(await usage('requestBytes')).toBe(0);
});

it('frees the answers that wait behind a slow one', async () => {
  const socket = await opened();
  socket.write(Buffer.concat([post('slow', 2048), post('identity', 4096)]));
  await until(async () => (await usage('answerBytes')) >= 4 * 4096);
  socket.destroy();
  await until(async () => (await usage('connections')) === 1);
  await until(async () => (await usage('calls')) === 0);
  expect(await usage('answerBytes')).toBe(0);
});

it('works on so many requests of a connection at once, answers all, and in order', async () => {
  const [device] = server.runtime.registry.devices.filter(
    ({ backend }) => backend === 'cpu-fallback',
  );
  let most = 0;
  const look = () => {
    most = Math.max(most, server.runtime.loadOf(device!));
  };
  const looking = setInterval(look, 1);
  const count = 6 * pipelinedMax;
  const socket = await opened();
  let text = '';
  socket.setEncoding('latin1').on('data', (piece: string) => (text += piece));
  socket.write(
    Buffer.concat(
      Array.from({ length: count }, (_, i) => {
        const id = Buffer.from(`X-Request-Id: n${i}\r\n\r\n`);
        const request = post('slow', 2048);
        const end = request.indexOf('\r\n\r\n') + 2;
        return Buffer.concat([request.subarray(0, end), id, request.subarray(end + 2)]);
      }),
    ),
  );
  const ids = () => [...text.matchAll(/x-request-id: (\S+)\r/g)].map(([, id]) => id);
  await until(() => ids().length === count);
  clearInterval(looking);
  socket.destroy();
  expect(ids()).toEqual(Array.from({ length: count }, (_, i) => `n${i}`));
  expect(most).toBeLessThanOrEqual(pipelinedMax);
});

it('begins nothing more for a client that has gone', async () => {
  let began = 0;
  const note = (event: unknown) => {
    if ((event as TaskEvent).model === 'slow') began += 1;
  };
  subscribe('axle.task', note);
  const socket = await opened();
  const count = 8 * pipelinedMax;
  socket.write(Buffer.concat(new Array<Buffer>(count).fill(post('slow', 2048))));
  await until(async () => (await usage('calls')) > 1);
  socket.destroy();
  await until(async () => (await usage('connections')) === 1);
  await until(async () => (await usage('calls')) === 0);
  unsubscribe('axle.task', note);
  // While nothing is read, a hang-up is only seen with the next answer.
  expect(began).toBeLessThanOrEqual(2 * pipelinedMax);
});

it('gives a client that is refused its answer, also while more comes from it', async () => {
  const head = `GET /v2 HTTP/1.1\r\nHost: x\r\nLong: ${'x'.repeat(600_000)}`;
  for (let i = 0; i < 20; i++) {
    const socket = connect(tcpPort, '127.0.0.1');
    let text = '';
    socket.setEncoding('latin1').on('data', (piece: string) => (text += piece));
    const closed = new Promise((resolve) => socket.on('error', resolve).on('close', resolve));
    socket.write(head);
    await closed;
    expect(text).toMatch(/^HTTP\/1\.1 431 /);
  }
});
