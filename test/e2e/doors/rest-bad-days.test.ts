import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { deflateSync, gunzipSync, gzipSync, inflateSync } from 'node:zlib';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { messageOf } from './grpc-door.js';
import { type Request } from './request.js';
import { bodyOf, checked } from './rest-door.js';
import {
  messageBytesMax,
  jsonBytesMax,
  httpPath,
  malloryHttpPath,
  identity,
  infer,
  textOf,
  type Doors,
  startDoors,
  closeDoors,
  answersAsEver,
} from './bad-days-kit.js';

let doors: Doors;
let mallory: Doors['mallory'];
let rest: Doors['rest'];
const answers = () => answersAsEver(doors);

beforeAll(async () => {
  doors = await startDoors();
  ({ mallory, rest } = doors);
});
afterAll(() => closeDoors(doors));

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
