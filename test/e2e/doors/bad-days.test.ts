import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectHttp2, constants } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { deflateSync, gunzipSync, gzipSync, inflateSync } from 'node:zlib';

import type { TaskEvent } from '@axle/core';
import type { Metadata } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { matMulModel } from '../../onnx-model.mjs';
import { folder } from '../serve.js';
import { TrustedServer } from '../trusted-server.js';
import { answerOf, GrpcClient, messageOf, methodOf } from './grpc-door.js';
import { identityModel, writeModel } from './models.js';
import { rawOf, type Request } from './request.js';
import { bodyOf, checked, RestClient } from './rest-door.js';

const messageBytesMax = 1024 * 1024;
const streamInFlightMax = 2;
const jsonBytesMax = messageBytesMax / 2;
const grpcPath = join(folder, 'grpc.sock');
const httpPath = join(folder, 'http.sock');
/** Where all comes in as tenant mallory, who may have `malloryBytes` of inputs. */
const malloryPath = join(folder, 'mallory.sock');
const malloryHttpPath = join(folder, 'mallory-http.sock');
const malloryBytes = 16 * messageBytesMax;
const models = join(folder, 'models');
let server: TrustedServer;
let grpc: GrpcClient;
let mallory: GrpcClient;
let rest: RestClient;

beforeAll(async () => {
  mkdirSync(models);
  writeModel(models, 'identity', identityModel(1, ['n', 'm']), '1', 'dynamic_batching { }');
  writeModel(models, 'slow', matMulModel(2048, 8));
  server = await TrustedServer.start(folder, {
    grpc: [`unix:${grpcPath}`, `unix:${malloryPath},tenant=mallory`],
    http: [`unix:${httpPath}`, `unix:${malloryHttpPath},tenant=mallory`],
    models: [models],
    tenants: { mallory: { quotas: { requestBytes: malloryBytes, answerBytes: messageBytesMax } } },
    doorLimits: {
      messageBytesMax,
      jsonBytesMax,
      unreadBytesMax: messageBytesMax,
      streamInFlightMax,
    },
  });
  const [grpcEndpoint = '', malloryEndpoint = '', httpEndpoint = ''] = server.doorEndpoints;
  mallory = new GrpcClient(malloryEndpoint);
  grpc = new GrpcClient(grpcEndpoint);
  rest = new RestClient(httpEndpoint);
});
afterAll(async () => {
  grpc.close();
  mallory.close();
  rest.close();
  await server.close();
});

const identity: Request = {
  model: 'identity',
  inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], values: [1, 2] }],
};
const slow: Request = {
  model: 'slow',
  inputs: [
    {
      name: 'x',
      datatype: 'FP32',
      shape: [64, 2048],
      values: [],
      raw: Buffer.alloc(64 * 2048 * 4),
    },
  ],
};
const infer = '/v2/models/identity/infer';

/** That the server goes on as if nothing had been. */
async function answers(): Promise<void> {
  const reply = answerOf(await grpc.inference('ModelInfer', messageOf(identity, 'raw')));
  expect(reply.outputs[0]?.values).toEqual([1, 2]);
  const { body } = bodyOf(identity, 'json');
  expect(checked(await rest.send('POST', infer, body)).status).toBe(200);
}

describe('gRPC', () => {
  const message = (changes: object) => ({ ...messageOf(identity, 'raw'), ...changes });
  const raw = rawOf(identity.inputs[0]!);

  it.each([
    [
      'more raw contents than inputs',
      { raw_input_contents: [raw, raw] },
      /expected 1 raw_input_contents .*got 2/,
    ],
    [
      'raw contents of another length',
      { raw_input_contents: [raw.subarray(1)] },
      /has 8 bytes, got 7/,
    ],
    [
      'both raw and typed contents',
      { inputs: [{ ...identity.inputs[0], contents: { fp32_contents: [1, 2] } }] },
      /contents field must not be specified when using raw_input_contents for 'x'/,
    ],
    [
      'typed contents of another type',
      {
        inputs: [{ ...identity.inputs[0], contents: { int_contents: [1, 2] } }],
        raw_input_contents: [],
      },
      /is FP32, and its contents are int_contents; give fp32_contents/,
    ],
    [
      'typed contents that do not fit',
      {
        inputs: [{ ...identity.inputs[0], datatype: 'INT8', contents: { int_contents: [1, 128] } }],
        raw_input_contents: [],
      },
      /element 1 is 128, which does not fit/,
    ],
    ['no contents', { raw_input_contents: [] }, /input 'x' for model 'identity' has no data/],
    [
      'a shape of more than there is',
      { inputs: [{ ...identity.inputs[0], shape: [1_000_000, 1_000_000] }] },
      /got 8/,
    ],
    [
      'a shape whose size is no number',
      { inputs: [{ ...identity.inputs[0], shape: [2 ** 52, 2 ** 52] }] },
      /more elements than fit/,
    ],
    ['a shape below 0', { inputs: [{ ...identity.inputs[0], shape: [-1, 2] }] }, /shape/],
  ])('refuses %s', async (_, changes, expected) => {
    const refusal = grpc.inference('ModelInfer', message(changes));
    await expect(refusal).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(refusal).rejects.toThrow(expected);
  });

  it.each([
    ['what is no message', Buffer.from('ffffffffffffff', 'hex'), 'INVALID_ARGUMENT'],
    ['a message that is cut off', Buffer.from('0a7f61', 'hex'), 'INVALID_ARGUMENT'],
    ['a message past the limit', Buffer.alloc(messageBytesMax + 1), 'RESOURCE_EXHAUSTED'],
  ])('refuses %s', async (_, bytes, code) => {
    await expect(grpc.inference('ModelInfer', bytes)).rejects.toMatchObject({ code });
    await answers();
  });

  it('says of what grpc-js refuses, too, whether to try it again', async () => {
    const { path, read } = methodOf('inference.GRPCInferenceService', 'ModelInfer');
    const tooMuch = Buffer.alloc(messageBytesMax + 1);
    const trailers = await new Promise<Metadata>((resolve) => {
      const pass = (bytes: Buffer) => bytes;
      grpc.client
        .makeUnaryRequest(path, pass, read, tooMuch, () => undefined)
        .on('status', ({ metadata }) => {
          resolve(metadata);
        });
    });
    expect(trailers.get('axle-retryable')).toEqual(['false']);
  });

  it('answers in the order of a stream, and goes on after what fails', async () => {
    const replies = await grpc.stream('inference.GRPCInferenceService', 'ModelStreamInfer', [
      messageOf({ ...identity, id: 'a' }, 'raw'),
      messageOf({ ...identity, model: 'nothing', id: 'b' }, 'raw'),
      ...Array.from({ length: 200 }, (__, i) => messageOf({ ...identity, id: String(i) }, 'typed')),
    ]);
    const told = replies.map(({ error_message: error, infer_response: reply }) => {
      const { id } = reply as { id: string };
      return error === '' ? id : `${id}: ${String(error).slice(0, 27)}`;
    });
    const numbers = Array.from({ length: 200 }, (__, i) => String(i));
    expect(told).toEqual(['a', 'b: Request for unknown model: ', ...numbers]);
  });

  it('refuses what it does not serve', async () => {
    for (const method of ['CudaSharedMemoryStatus', 'SystemSharedMemoryStatus']) {
      await expect(grpc.inference(method)).rejects.toMatchObject({ code: 'UNIMPLEMENTED' });
    }
  });

  it('answers 2,000 calls at once', async () => {
    const calls = Array.from({ length: 2000 }, (__, i) =>
      grpc.inference('ModelInfer', messageOf({ ...identity, id: String(i) }, 'raw')),
    );
    const ids = (await Promise.all(calls)).map((reply) => reply['id']);
    expect(ids).toEqual(Array.from({ length: 2000 }, (__, i) => String(i)));
  });

  it('outlives a flood of streams that are broken off', async () => {
    const flood = connectHttp2('http://axle', { createConnection: () => connect(grpcPath) });
    flood.on('error', () => undefined);
    const closed = once(flood, 'close');
    for (let i = 0; i < 5000 && !flood.destroyed; i++) {
      const stream = flood.request(grpcHeaders);
      stream.on('error', () => undefined);
      stream.close(constants.NGHTTP2_CANCEL);
    }
    await answers();
    flood.destroy();
    await closed;
  });

  it.each([
    ['settings', http2Frame(4, Buffer.of(0, 3, 0, 0, 0, 100))],
    ['pings', http2Frame(6, Buffer.alloc(8))],
    ['priorities of streams that are not there', http2Frame(2, Buffer.of(0, 0, 0, 0, 9), 1)],
  ])('outlives a flood of %s that takes no acknowledgement', async (_, frame) => {
    const flood = connect(grpcPath).resume();
    // The server may end it.
    flood.on('error', () => undefined);
    const closed = new Promise((resolve) => flood.once('close', resolve));
    flood.write(Buffer.concat([Buffer.from(preface), http2Frame(4, Buffer.alloc(0))]));
    const many = Buffer.concat(Array.from({ length: 10_000 }, () => frame));
    for (let i = 0; i < 10 && !flood.destroyed; i++) {
      flood.write(many);
      await answers();
    }
    flood.destroy();
    await closed;
    await answers();
  });

  it.each([
    // What is packed may unpack to as much again as a message may have.
    ['as they are', 0, messageBytesMax - 1024, 16],
    ['packed', 1, messageBytesMax / 32, 15],
  ])('charges messages %s while they come', async (_, flag, length, held) => {
    const head = Buffer.of(flag, 0, 0, 0, 0);
    head.writeUInt32BE(length, 1);
    const session = connectHttp2('http://axle', { createConnection: () => connect(malloryPath) });
    session.on('error', () => undefined);
    const underWay = session.request({ ...grpcHeaders, ':path': streamInfer.path });
    underWay.on('error', () => undefined).resume();
    const first = streamInfer.write(messageOf(identity, 'raw'));
    underWay.write(Buffer.concat([Buffer.of(0, 0, 0, 0, first.byteLength), first]));
    await once(underWay, 'data');
    const streams = 64;
    let refused = 0;
    await new Promise<void>((resolve) => {
      for (let i = 0; i < streams; i++) {
        const stream = session.request({ ...grpcHeaders, 'grpc-encoding': 'gzip' });
        stream
          .on('error', () => undefined)
          .on('response', (trailers) => {
            expect(trailers['grpc-status']).toBe('8');
            // It is ended, and what came of the message is not kept for it.
            stream.once('close', () => {
              refused += 1;
              if (refused === streams - held) resolve();
            });
          });
        stream.resume().write(Buffer.concat([head, Buffer.alloc(1000)]));
      }
    });
    const sizes = { name: 'x', datatype: 'FP32', shape: [3, messageBytesMax / 16], values: [] };
    const large = { inputs: [{ ...sizes, raw: Buffer.alloc((3 * messageBytesMax) / 4) }] };
    const ask = (request: Partial<Request>) =>
      mallory.inference('ModelInfer', messageOf({ ...identity, ...request }, 'raw'));
    underWay.write(head);
    await new Promise((resolve) => underWay.once('close', resolve));
    expect(underWay.rstCode).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    await ask({});
    await expect(ask(large)).rejects.toThrow(/tenant mallory may have/);
    await answers();
    session.destroy();
    // It is given back when the server has noticed.
    let isFree = false;
    for (let i = 0; i < 100 && !isFree; i++) isFree = await ask(large).then(Boolean, () => false);
    expect(isFree).toBe(true);
  });

  it('takes no more than a few words of anyone', async () => {
    const service = 'a'.repeat(5000);
    const asked = grpc.call('grpc.health.v1.Health', 'Check', { service });
    await expect(asked).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
  });

  it('leaves a client that takes no answers with so many bytes of them', async () => {
    const big = Buffer.alloc(512 * 1024);
    const packed = gzipSync(big);
    const message = Buffer.concat([Buffer.of(0x0a), varint(packed.byteLength), packed]);
    const head = Buffer.alloc(5);
    head.writeUInt32BE(message.byteLength, 1);
    // It takes no byte of a stream.
    const session = connectHttp2('http://axle', {
      createConnection: () => connect(grpcPath),
      settings: { initialWindowSize: 0 },
    });
    await once(session, 'remoteSettings');
    const headers = { ...grpcHeaders, ':path': '/axle.v1.Axle/Decompress' };
    const statuses: unknown[] = [];
    const streams = Array.from({ length: 8 }, () => session.request(headers));
    const refused = new Promise<void>((resolve) => {
      for (const stream of streams) {
        stream.on('error', () => undefined);
        const note = (trailers: Record<string, unknown>) => {
          if (trailers['grpc-status'] === undefined) return;
          statuses.push(trailers['grpc-status']);
          if (statuses.length === 6) resolve();
        };
        stream.on('response', note).on('trailers', note).resume();
      }
    });
    for (const stream of streams) stream.end(Buffer.concat([head, message]));
    await refused;
    // Two fit.
    expect(statuses).toEqual(Array.from({ length: 6 }, () => '8'));
    session.destroy();
    await answers();
  });
});

const streamInfer = methodOf('inference.GRPCInferenceService', 'ModelStreamInfer');
const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

/** A frame of HTTP/2 without flags. */
function http2Frame(type: number, payload: Uint8Array, stream = 0): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.byteLength, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

const grpcHeaders = {
  ':method': 'POST',
  ':path': '/inference.GRPCInferenceService/ModelInfer',
  'content-type': 'application/grpc',
  te: 'trailers',
};

describe('answers that nobody takes', () => {
  const values = messageBytesMax / 16;
  const large: Request = {
    ...identity,
    inputs: [{ ...identity.inputs[0]!, shape: [1, values], raw: Buffer.alloc(4 * values) }],
  };
  const { body, jsonBytes } = bodyOf(
    { ...large, parameters: { binary_data_output: true } },
    'binary',
  );
  const post =
    `POST ${infer} HTTP/1.1\r\nHost: x\r\nInference-Header-Content-Length: ${jsonBytes}\r\n` +
    `Content-Length: ${body.byteLength}\r\n\r\n`;

  it('of REST are as many bytes as their tenant may have', async () => {
    const taken: Socket[] = [];
    const refused = await new Promise<string>((resolve) => {
      const ask = () => {
        const socket = connect(malloryHttpPath);
        taken.push(socket);
        // The socket itself takes some of it.
        socket.once('readable', () => {
          const head = String(socket.read(15));
          if (head.includes('200')) ask();
          else resolve(head);
        });
        socket.write(Buffer.concat([Buffer.from(post), body]));
      };
      ask();
    });
    expect(refused).toBe('HTTP/1.1 503 Se');
    expect(taken.length).toBeGreaterThan(3);
    await answers();
    // What is taken is paid for.
    await expect(mallory.inference('ModelInfer', messageOf(large, 'raw'))).rejects.toThrow(
      /bytes of answers that wait/,
    );
    for (const socket of taken) socket.destroy();
    let isFree = false;
    for (let i = 0; i < 100 && !isFree; i++) {
      const asked = mallory.inference('ModelInfer', messageOf(large, 'raw'));
      isFree = await asked.then(Boolean, () => false);
    }
    expect(isFree).toBe(true);
  });
});

describe('REST', () => {
  const refused = async (
    body: Uint8Array | string,
    headers: Record<string, string | number> = {},
    path = infer,
  ) => {
    const reply = await rest.send('POST', path, body, headers);
    const { error } = JSON.parse(String(reply.body)) as { error: string };
    return [reply.status, error] as const;
  };

  it('refuses half a binary body', async () => {
    const { body, jsonBytes } = bodyOf(identity, 'binary');
    const headers = { 'inference-header-content-length': jsonBytes };
    const half = await refused(body.subarray(0, -4), headers);
    expect(half).toEqual([
      400,
      expect.stringMatching(/announces 8 bytes of binary data, and 4 follow/),
    ]);
    const more = await refused(Buffer.concat([body, Buffer.alloc(3)]), headers);
    expect(more).toEqual([400, expect.stringMatching(/^3 bytes follow/)]);
  });

  it.each([
    ['what is no JSON', '{"inputs":[}', {}, 400, /no JSON/],
    ['a list', '[]', {}, 400, /no object/],
    ['no inputs', '{}', {}, 400, /'inputs' is missing/],
    [
      'JSON longer than the body',
      '{}',
      { 'inference-header-content-length': 3 },
      400,
      /not the length/,
    ],
    ['an unknown encoding', '{}', { 'content-encoding': 'br' }, 501, /gzip or deflate/],
    ['two encodings', '{}', { 'content-encoding': 'gzip, gzip' }, 501, /gzip or deflate/],
    ['what is not packed as it says', '{}', { 'content-encoding': 'gzip' }, 400, /is no gzip/],
    [
      'half of what was packed',
      gzipSync('{"inputs":[]}').subarray(0, -12),
      { 'content-encoding': 'gzip' },
      400,
      /is no gzip, or ends too early/,
    ],
    [
      'a small body that unpacks past the limit',
      gzipSync(Buffer.alloc(200 * messageBytesMax)),
      { 'content-encoding': 'gzip' },
      413,
      /takes 1048576/,
    ],
    ['a body past the limit', Buffer.alloc(messageBytesMax + 1), {}, 413, /takes 1048576/],
  ])('refuses %s', async (_, body, headers, status, message) => {
    expect(await refused(body, headers)).toEqual([status, expect.stringMatching(message)]);
    await answers();
  });

  it.each([
    [
      'bytes that are no UTF-8',
      Buffer.from('{"id":"\xff","inputs":[]}', 'latin1'),
      /the JSON of the request is no UTF-8/,
    ],
    [
      'half a surrogate pair in the id',
      String.raw`{"id":"\udc00","inputs":[]}`,
      /the id has half a surrogate pair/,
    ],
    [
      'a number that FP32 has no place for',
      '{"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":[1,1e39]}]}',
      /input 'x' is FP32, and its element 1 is 1e\+39, which does not fit/,
    ],
    [
      'a size past all counts',
      '{"inputs":[{"name":"x","datatype":"FP32","shape":[9223372036854775807],"data":[1]}]}',
      /a size that is no count; they go up to 9007199254740991/,
    ],
    [
      'a timeout past all counts',
      '{"parameters":{"timeout":9223372036854775807},"inputs":[{"name":"x","datatype":"FP32","shape":[1,1],"data":[1]}]}',
      /parameter 'timeout' is 9223372036854775807; give a whole number from 0 to 9007199254740991/,
    ],
  ])('refuses %s', async (_, body, message) => {
    expect(await refused(body)).toEqual([400, expect.stringMatching(message)]);
    await answers();
  });

  it('takes text in escapes of JSON', async () => {
    const body = String.raw`{"id":"\ud83d\ude00","inputs":[{"name":"x","datatype":"FP32","shape":[1,1],"data":[3.4e38]}]}`;
    const { id } = (await rest.json('POST', infer, body)) as { id: string };
    expect(id).toBe('😀');
  });

  it('says what cannot be said in JSON, and gives it raw', async () => {
    const bits = new Uint8Array(Float32Array.of(NaN, 1).buffer);
    const request = { ...identity, inputs: [{ ...identity.inputs[0]!, raw: bits }] };
    const { body, jsonBytes } = bodyOf(
      { ...request, parameters: { binary_data_output: false } },
      'binary',
    );
    const headers = { 'inference-header-content-length': jsonBytes };
    expect(await refused(body, headers)).toEqual([400, expect.stringMatching(/binary_data: true/)]);
    const outputs = [{ name: 'y', parameters: { binary_data: true } }];
    const asked = bodyOf({ ...request, outputs }, 'binary');
    const reply = await rest.send('POST', infer, asked.body, {
      'inference-header-content-length': asked.jsonBytes,
    });
    expect(checked(reply).body.subarray(-8)).toEqual(Buffer.from(bits));
  });

  it('knows its paths and methods', async () => {
    expect((await rest.send('GET', '/v3')).status).toBe(404);
    for (const [method, path, allow] of [
      ['GET', infer, 'POST'],
      ['DELETE', '/v2/models/identity', 'GET, HEAD'],
      ['DELETE', '/v2/cudasharedmemory/status', 'GET, HEAD, POST'],
    ] as const) {
      const { status, headers } = await rest.send(method, path);
      expect([status, headers.allow]).toEqual([405, allow]);
    }
    expect((await rest.send('GET', '/v2/cudasharedmemory/status')).status).toBe(501);
    expect((await rest.send('GET', '/v2/models/%zz')).status).toBe(400);
  });

  it.each([
    ['gzip', gzipSync, gunzipSync],
    ['deflate', deflateSync, inflateSync],
  ])('takes and gives bodies in %s', async (encoding, pack, unpack) => {
    const values = Array.from({ length: 1000 }, (__, i) => i);
    const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, 1000], values }];
    const { body, jsonBytes } = bodyOf({ ...identity, inputs }, 'binary');
    const reply = checked(
      await rest.send('POST', infer, pack(body), {
        'content-encoding': encoding,
        'accept-encoding': `br, ${encoding};q=0.5`,
        'inference-header-content-length': jsonBytes,
      }),
    );
    expect(reply.headers['content-encoding']).toBe(encoding);
    expect(unpack(reply.body).subarray(-4000)).toEqual(body.subarray(-4000));
    const { headers } = await rest.send('GET', '/v2', '', { 'accept-encoding': encoding });
    expect(headers['content-encoding']).toBeUndefined();
    const never = {
      'accept-encoding': `${encoding};q=0`,
      'inference-header-content-length': jsonBytes,
    };
    const plain = checked(await rest.send('POST', infer, body, never));
    expect(plain.headers['content-encoding']).toBeUndefined();
  });

  it.each([
    ['in escaped quotes', `[1234567890123456,"${'\\"'.repeat(jsonBytesMax / 2 - 20)}`],
    ['in a last backslash', `[1234567890123456,"${'\\"'.repeat(jsonBytesMax / 2 - 20)}\\`],
    ['in opened lists', '['.repeat(jsonBytesMax / 2 - 1)],
  ])('takes no longer for text that ends %s', async (_, body) => {
    // From each quote anew, it would take hours.
    expect(await refused(body)).toEqual([400, expect.stringMatching(/no JSON|no object/)]);
    await answers();
  });

  it.each([
    ['no HTTP', 'HELLO\r\n\r\n', 400, 'INVALID_ARGUMENT'],
    [
      'two lengths',
      `POST ${infer} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n`,
      400,
      'INVALID_ARGUMENT',
    ],
    [
      'headers without an end',
      `GET /v2 HTTP/1.1\r\nHost: x\r\nLong: ${'x'.repeat(20_000)}\r\n\r\n`,
      431,
      'RESOURCE_EXHAUSTED',
    ],
    [
      'too many headers',
      `GET /v2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${'a: b\r\n'.repeat(127)}\r\n`,
      400,
      'INVALID_ARGUMENT',
    ],
    [
      'two tokens',
      'GET /v2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n' +
        'Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n',
      400,
      'INVALID_ARGUMENT',
    ],
  ])('answers %s in the form of all errors', async (_, text, status, code) => {
    const socket = connect(httpPath);
    socket.write(text);
    const [head = '', body = ''] = (await textOf(socket)).split('\r\n\r\n');
    expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(head.toLowerCase()).toContain(`axle-code: ${code.toLowerCase()}`);
    expect(JSON.parse(body)).toEqual({ error: expect.any(String) as string });
    await answers();
  });

  it('takes as many headers as it says, and no expectation for a promise', async () => {
    const socket = connect(httpPath);
    const more = 'a: b\r\n'.repeat(125);
    socket.write(
      `GET /v2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: wonders\r\n${more}\r\n`,
    );
    expect(await textOf(socket)).toMatch(/^HTTP\/1.1 200 /);
  });

  it('reads so much of what it refused, and ends the connection for more', async () => {
    const refusalOf = async (length: number) => {
      const socket = connect(httpPath);
      const head = `POST /v2/nothing HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`;
      socket.write(head);
      const [told] = (await once(socket, 'data')) as [Buffer];
      socket.destroy();
      return String(told);
    };
    expect(await refusalOf(1024 * 1024)).toMatch(/^HTTP\/1.1 404 [^]*connection: keep-alive/i);
    expect(await refusalOf(1024 * 1024 + 1)).toMatch(/^HTTP\/1.1 404 [^]*connection: close/i);
  });

  it('writes no more in JSON than it reads of it', async () => {
    const columns = jsonBytesMax / 4 + 1;
    const raw = new Uint8Array(4 * columns);
    const inputs = [{ ...identity.inputs[0]!, shape: [1, columns], raw }];
    const parameters = { binary_data_output: false };
    const { body, jsonBytes } = bodyOf({ ...identity, inputs, parameters }, 'binary');
    const headers = { 'inference-header-content-length': jsonBytes };
    const advice = expect.stringMatching(/most in JSON; ask for them as binary data/) as string;
    expect(await refused(body, headers)).toEqual([413, advice]);
    const binary = bodyOf({ ...identity, inputs }, 'binary');
    const length = { 'inference-header-content-length': binary.jsonBytes };
    checked(await rest.send('POST', infer, binary.body, length));
  });

  it('does not read the body of whom it refuses', async () => {
    const socket = connect(httpPath);
    socket.write(`POST ${infer} HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n`);
    expect(await textOf(socket)).toMatch(/^HTTP\/1.1 413 /);
  });
});

async function textOf(socket: Socket): Promise<string> {
  let text = '';
  for await (const piece of socket) text += String(piece);
  return text;
}

describe('a server that waits 0.3 s', () => {
  const place = join(folder, 'impatient');
  let impatient: TrustedServer;

  beforeAll(async () => {
    mkdirSync(place);
    impatient = await TrustedServer.start(place, {
      grpc: [`unix:${join(place, 'grpc.sock')}`],
      http: [`unix:${join(place, 'http.sock')}`],
      doorLimits: { requestMs: 300, firstRequestMs: 600 },
    });
  });
  afterAll(() => impatient.close());

  it('waits for a message only so long', async () => {
    const session = connectHttp2('http://axle', {
      createConnection: () => connect(join(place, 'grpc.sock')),
    });
    const stream = session.request(grpcHeaders);
    const [headers] = (await once(stream, 'response')) as [Record<string, string>];
    expect(headers['grpc-status']).toBe('4');
    expect(headers['grpc-message']).toMatch(/not%20there%20within/);
    session.destroy();
  });

  it('leaves those alone who ask for nothing but health', async () => {
    const health = new GrpcClient(impatient.doorEndpoints[0] ?? '');
    const { path, write, read } = methodOf('grpc.health.v1.Health', 'Watch');
    const watch = health.client.makeServerStreamRequest(path, write, read, {});
    const ended = new Promise<string>((resolve) => {
      watch.on('status', () => {
        resolve('ended');
      });
    });
    watch.on('error', () => undefined);
    await once(watch, 'data');
    const balancer = connect(join(place, 'http.sock'));
    const ask = 'GET /v2/health/ready HTTP/1.1\r\nHost: x\r\n\r\n';
    balancer.write(ask);
    await once(balancer, 'data');
    // It came later, says nothing, and is gone before.
    const silent = connect(join(place, 'grpc.sock')).resume();
    await once(silent, 'close');
    balancer.write(ask);
    expect(String((await once(balancer, 'data'))[0])).toMatch(/^HTTP\/1.1 200/);
    expect(await Promise.race([ended, Promise.resolve('watches')])).toBe('watches');
    expect(await health.call('grpc.health.v1.Health', 'Check', {})).toEqual({ status: 'SERVING' });
    balancer.destroy();
    watch.cancel();
    health.close();
  });

  it.each([
    ['a request whose headers do not end', 'GET /v2 HTTP/1.1\r\nHost: x\r\nA: '],
    [
      'a request whose body does not come',
      'POST /v2/models/identity/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{',
    ],
    ['nothing at all', ''],
  ])('waits only so long for %s', async (_, start) => {
    const socket = connect(join(place, 'http.sock'));
    socket.on('data', () => undefined);
    socket.write(start);
    await once(socket, 'close');
  });
});

describe('a call that nobody waits for any more', () => {
  const calls = 16;
  /** How tasks of the slow model ended. */
  let ends: string[] = [];
  const note = (event: unknown) => {
    const { model, code } = event as TaskEvent;
    if (model === 'slow') ends.push(code);
  };
  beforeEach(() => {
    ends = [];
    subscribe('axle.task', note);
  });
  afterEach(() => unsubscribe('axle.task', note));

  /** As the server counts them for their sender. */
  const load = () => {
    const [device] = server.runtime.registry.devices.filter(
      ({ backend }) => backend === 'cpu-fallback',
    );
    return server.runtime.loadOf(device!);
  };

  /** Where the machine is busy, the first are done before the last have come. */
  const allBegan = () => load() + ends.length >= calls;

  /** Those that ran may have gone on to their end; those that waited never began. */
  const expectFreed = async () => {
    await until(() => load() === 0 && ends.length >= calls);
    expect(ends.filter((code) => code === 'OK').length).toBeLessThan(calls / 2);
  };

  it('is taken from the device, through gRPC', async () => {
    const begun = Array.from({ length: calls }, () =>
      grpc.begin('inference.GRPCInferenceService', 'ModelInfer', messageOf(slow, 'raw')),
    );
    await until(allBegan);
    for (const { cancel } of begun) cancel();
    const ends = await Promise.allSettled(begun.map(({ answer }) => answer));
    for (const end of ends) expect(end).toMatchObject({ reason: { code: 'CANCELLED' } });
    await expectFreed();
    await answers();
  });

  it('is taken from the device, through REST', async () => {
    const { body, jsonBytes } = bodyOf(slow, 'binary');
    const head =
      'POST /v2/models/slow/infer HTTP/1.1\r\nHost: x\r\n' +
      `Inference-Header-Content-Length: ${jsonBytes}\r\nContent-Length: ${body.byteLength}\r\n\r\n`;
    const sockets = Array.from({ length: calls }, () => connect(httpPath));
    for (const socket of sockets) socket.write(Buffer.concat([Buffer.from(head), body]));
    await until(allBegan);
    for (const socket of sockets) socket.destroy();
    await expectFreed();
    await answers();
  });
});

/** What nobody is told of. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}

it('a stream has so many requests worked on, and the others wait', async () => {
  const [device] = server.runtime.registry.devices.filter(
    ({ backend }) => backend === 'cpu-fallback',
  );
  let most = 0;
  const looking = setInterval(() => {
    most = Math.max(most, server.runtime.loadOf(device!));
  }, 1);
  const requests = Array.from({ length: 3 * streamInFlightMax }, () => messageOf(slow, 'raw'));
  const replies = await grpc.stream('inference.GRPCInferenceService', 'ModelStreamInfer', requests);
  clearInterval(looking);
  expect(replies.map(({ error_message: error }) => error)).toEqual(requests.map(() => ''));
  expect(most).toBe(streamInFlightMax);
});

describe('a repository', () => {
  it('may lose a model that is in use', async () => {
    writeModel(models, 'leaving', identityModel(1, ['n', 'm']));
    const request = messageOf({ ...identity, model: 'leaving' }, 'raw');
    await grpc.inference('ModelInfer', request);
    const calls = Array.from({ length: 50 }, () => grpc.inference('ModelInfer', request));
    rmSync(join(models, 'leaving'), { recursive: true });
    await Promise.all(calls);
  });

  it('may turn unreadable: models that are open go on, others are refused', async () => {
    await answers();
    renameSync(models, `${models}.away`);
    writeFileSync(models, 'no folder');
    try {
      await answers();
      const other = grpc.inference('ModelInfer', messageOf({ ...identity, model: 'other' }, 'raw'));
      await expect(other).rejects.toThrow(/cannot read the model folder|unknown model/);
      await expect(grpc.inference('RepositoryIndex')).rejects.toThrow(/cannot read/);
    } finally {
      rmSync(models);
      renameSync(`${models}.away`, models);
    }
    const { models: index } = await grpc.inference('RepositoryIndex');
    expect(index).toContainEqual({ name: 'identity', version: '1', state: 'READY', reason: '' });
  });
});

/** As protobuf has lengths. */
function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest & 127) | 128);
  return Buffer.from([...bytes, rest]);
}
