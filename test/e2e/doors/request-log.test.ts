import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { connect, Tensor } from 'axle';
import { Metadata } from '@grpc/grpc-js';
import { createToken, writeTokenLines } from '@axle/remoting';
import { beforeAll, afterAll, describe, expect, it } from 'vitest';

import { axlePath, folder } from '../serve.js';
import { GrpcClient, messageOf, methodOf } from './grpc-door.js';
import type { Request } from './request.js';
import { bodyOf, RestClient } from './rest-door.js';

/** Bytes of it are looked for in all output. */
const payload = 'payload-4d1f7c';
const forged = 'axle_0123456789abcdef_forged4d1f7c';
const { token, record } = createToken(
  { tenant: 'alice', expires: null, mayActFor: [], note: '' },
  new Date(),
);
const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const traceparent = `00-${traceId}-00f067aa0ba902b7-01`;

type Line = Readonly<Record<string, unknown>>;

let server: ChildProcess;
let output = '';
const lines: Line[] = [];
let told: () => void = () => undefined;
const endpoints: string[] = [];

beforeAll(async () => {
  const tokens = join(folder, 'tokens');
  writeFileSync(tokens, writeTokenLines([record]), { mode: 0o600 });
  const config = join(folder, 'config.json');
  const at = (name: string) => `unix:${join(folder, name)}`;
  const places = {
    listen: [at('wire')],
    grpc: [at('grpc')],
    http: [at('http')],
    metrics: [at('metrics')],
  };
  const settings = { ...places, tokens, accessLog: true };
  writeFileSync(config, JSON.stringify(settings));
  const args = [axlePath, 'serve', '--config', config, '--log-format', 'json'];
  server = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  server.stdout?.on('data', (text) => (output += String(text)));
  createInterface(server.stderr!).on('line', (line) => {
    output += `${line}\n`;
    lines.push(JSON.parse(line) as Line);
    told();
  });
  for await (const line of createInterface(server.stdout!)) {
    endpoints.push(line.replace('listening on ', ''));
    if (endpoints.length === 4) break;
  }
});
afterAll(() => server.kill('SIGKILL'));

it('what is listened on says which door it is', () => {
  const at = (name: string) => `+unix:${join(folder, name)}`;
  const told = [`axle${at('wire')}`, `grpc${at('grpc')}`, `http${at('http')}`];
  expect(endpoints).toEqual([...told, `http${at('metrics')} (metrics)`]);
});

/** The first line with these fields. */
async function lineWith(fields: Line): Promise<Line> {
  for (;;) {
    const found = lines.find((line) =>
      Object.entries(fields).every(([key, its]) => line[key] === its),
    );
    if (found !== undefined) return found;
    await new Promise<void>((resolve) => {
      told = resolve;
    });
  }
}

const request = (changes: Partial<Request> = {}): Request => ({
  model: 'mlp',
  inputs: [
    { name: 'image', datatype: 'FP32', shape: [1, 1, 32, 32], values: [], raw: Buffer.alloc(4096) },
  ],
  ...changes,
});

function callByGrpc(message: object, headers: Readonly<Record<string, string>>) {
  const grpc = new GrpcClient(endpoints[1] ?? '');
  const { path, write, read } = methodOf('inference.GRPCInferenceService', 'ModelInfer');
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  return new Promise<{ code: number; echoed: unknown[] }>((resolve) => {
    const echoed: unknown[] = [];
    const call = grpc.client.makeUnaryRequest(
      path,
      write,
      read,
      message,
      metadata,
      () => undefined,
    );
    call.on('metadata', (its) => echoed.push(...its.get('x-request-id')));
    call.on('status', ({ code, metadata: its }) => {
      echoed.push(...its.get('x-request-id'));
      grpc.close();
      resolve({ code, echoed });
    });
  });
}

describe('a log of requests, in JSON', () => {
  it('has each request of gRPC under the id that its client gave', async () => {
    const headers = { authorization: `Bearer ${token}`, 'x-request-id': 'grpc-1', traceparent };
    expect(await callByGrpc(messageOf(request(), 'raw'), headers)).toEqual({
      code: 0,
      echoed: ['grpc-1'],
    });
    const line = await lineWith({ requestId: 'grpc-1' });
    expect(line).toMatchObject({
      ...{ level: 'info', tenant: 'alice', op: 'ModelInfer', model: 'mlp', code: 'OK' },
      ...{ traceId, bytesIn: 4096, listener: join(folder, 'grpc') },
    });
    expect(new Date(String(line['time'])).toISOString()).toBe(line['time']);
    for (const key of ['ms', 'computeMs', 'bytesOut', 'connection']) {
      expect(line[key]).toBeGreaterThan(0);
    }
    // What the message itself says goes before that.
    await callByGrpc(messageOf(request({ id: 'own-2' }), 'raw'), headers);
    await lineWith({ requestId: 'own-2', code: 'OK' });
  });

  it('has each of REST, and gives each an id', async () => {
    const rest = new RestClient(endpoints[2] ?? '', token);
    const { body } = bodyOf(request({ id: 'rest-1', model: 'nothing' }), 'binary');
    const refused = await rest.send('POST', '/v2/models/nothing/infer', body, {
      'inference-header-content-length': bodyOf(request({ id: 'rest-1' }), 'binary').jsonBytes,
    });
    expect(refused.status).toBe(404);
    await lineWith({ requestId: 'rest-1', level: 'warn', code: 'NOT_FOUND', tenant: 'alice' });
    const { headers } = await rest.send('GET', '/v2', '', { 'x-request-id': 'rest-2' });
    expect(headers['x-request-id']).toBe('rest-2');
    await lineWith({ requestId: 'rest-2', op: 'ServerMetadata', code: 'OK' });
    const long = await rest.send('GET', '/v2', '', { 'x-request-id': 'x'.repeat(129) });
    const made = String(long.headers['x-request-id']);
    expect(made).toMatch(/^[\da-f]{12}-\d+$/);
    await lineWith({ requestId: made, code: 'OK' });
    rest.close();
  });

  it('has each of the wire, by its connection and handle', async () => {
    const client = await connect(endpoints[0] ?? '', { token });
    const image = Tensor.from('FP32', new Float32Array(1024), [1, 1, 32, 32]);
    await client.infer('mlp', { image });
    await client.compress(Buffer.from(payload.repeat(10)));
    await expect(client.decompress(Buffer.from(payload), { codec: 'zstd' })).rejects.toThrow();
    await client.close();
    const line = await lineWith({ op: 'infer', model: 'mlp', code: 'OK', tenant: 'alice' });
    expect(line['requestId']).toMatch(new RegExp(`^${String(line['connection'])}-\\d+$`));
    expect(line).toMatchObject({ bytesIn: 4096, listener: join(folder, 'wire') });
    await lineWith({ op: 'compress', code: 'OK' });
    await lineWith({ op: 'decompress', code: 'INVALID_ARGUMENT', level: 'warn' });
  });

  it('has no secret and no input', async () => {
    const text = { name: 'image', datatype: 'BYTES', shape: [1], values: [payload] };
    const wrong = request({ id: 'wrong', inputs: [text] });
    const own = { authorization: `Bearer ${token}` };
    expect(await callByGrpc(messageOf(wrong, 'raw'), own)).toMatchObject({ code: 3 });
    await lineWith({ requestId: 'wrong', level: 'warn' });
    const rest = new RestClient(endpoints[2] ?? '', token);
    const typed = bodyOf({ ...wrong, id: 'typed' }, 'json').body;
    expect((await rest.send('POST', '/v2/models/mlp/infer', typed)).status).toBe(400);
    await rest.send('POST', '/v2/models/mlp/infer', `{"${payload}`);
    await lineWith({ requestId: 'typed' });
    rest.close();
    const headers = { authorization: `Bearer ${forged}`, 'x-request-id': 'forged' };
    expect(await callByGrpc(messageOf(request(), 'raw'), headers)).toMatchObject({ code: 16 });
    await lineWith({ requestId: 'forged', level: 'warn', code: 'UNAUTHENTICATED' });
    const stranger = new RestClient(endpoints[2] ?? '', forged);
    const { headers: told } = await stranger.send('GET', `/v2/models/x?token=${token}`);
    await lineWith({ requestId: String(told['x-request-id']) });
    stranger.close();
    await expect(connect(endpoints[0] ?? '', { token: forged })).rejects.toThrow();
    server.kill('SIGTERM');
    await once(server, 'close');
    expect(lines.length).toBeGreaterThan(10);
    for (const secret of [token, token.slice(-20), forged, 'forged4d1f7c', payload]) {
      expect(output).not.toContain(secret);
    }
  });
});
