import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, it } from 'vitest';

import { folder } from '../serve.js';
import { TrustedServer } from '../trusted-server.js';
import { elementTypes, identityModel, writeModel } from './models.js';
import { checked, RestClient, type RestReply } from './rest-door.js';

const mallorysBytes = 16 * 1024 * 1024;
let server: TrustedServer;
let rest: RestClient;
let mallory: RestClient;

beforeAll(async () => {
  const models = join(folder, 'models');
  for (const type of ['FP64', 'INT64', 'BYTES', 'BOOL']) {
    const name = `identity_${type}`;
    writeModel(models, name, identityModel(elementTypes[type] ?? 0, ['n', 'm']));
  }
  server = await TrustedServer.start(folder, {
    http: [
      `unix:${join(folder, 'http.sock')}`,
      `unix:${join(folder, 'mallory.sock')},tenant=mallory`,
    ],
    models: [models],
    doorLimits: { jsonBytesMax: 16 * 1024 * 1024 },
    tenants: { mallory: { quotas: { requestBytes: mallorysBytes } } },
  });
  const [mine = '', theirs = ''] = server.doorEndpoints;
  rest = new RestClient(mine);
  mallory = new RestClient(theirs);
});
afterAll(async () => {
  rest.close();
  mallory.close();
  await server.close();
});

const infer = (client: RestClient, type: string, json: string) =>
  client.send('POST', `/v2/models/identity_${type}/infer`, json);
const bodyOf = (type: string, count: number, data: string) =>
  `{"inputs":[{"name":"x","datatype":"${type}","shape":[1,${count}],"data":[${data}]}]}`;
const listOf = (count: number, each: string) => Array<string>(count).fill(each).join(',');

/** How long this thread had a processor, milliseconds: others may have kept it from one for longer. */
function busyMs(): number {
  const [ns = ''] = readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ');
  return Number(ns) / 1e6;
}

/** What the work took of this thread without letting anything else on. */
async function longestTurnMs(work: Promise<unknown>): Promise<number> {
  let isOver = false;
  const settled = work.finally(() => {
    isOver = true;
  });
  let longest = 0;
  for (let from = busyMs(); !isOver;) {
    await new Promise((resolve) => setImmediate(resolve));
    const now = busyMs();
    longest = Math.max(longest, now - from);
    from = now;
  }
  await settled;
  return longest;
}

const hostile: Readonly<Record<string, readonly [type: string, json: string]>> = {
  'long numbers': ['INT64', bodyOf('INT64', 800_000, listOf(800_000, '1234567890123456789'))],
  'a large tensor, both ways': ['FP64', bodyOf('FP64', 1_000_000, listOf(1_000_000, '0.1234567'))],
};

// The server is in this process, and so is the other end. On one thread these took 250 and 850 ms.
it.each(Object.keys(hostile))('JSON with %s keeps nobody waiting for long', async (what) => {
  const [type, json] = hostile[what] as readonly [string, string];
  let reply: RestReply | undefined;
  const longest = await longestTurnMs(
    infer(rest, type, json).then((each) => {
      reply = each;
    }),
  );
  expect(reply?.status).toBe(200);
  expect(longest).toBeLessThan(120);
});

it.each([
  ['FP64', 20_000, '0.1234567', 0.1234567],
  ['BYTES', 20_000, '"größer"', 'größer'],
  ['BOOL', 100_000, 'true', true],
])('a large %s tensor comes back as it went', async (type, count, each, value) => {
  const reply = checked(await infer(rest, type, bodyOf(type, count, listOf(count, each))));
  const { outputs } = JSON.parse(String(reply.body)) as { outputs: { data: unknown[] }[] };
  expect(outputs[0]?.data).toEqual(new Array(count).fill(value));
});

it('numbers of 64 bits are exact in large JSON, too', async () => {
  const data = listOf(20_000, '9223372036854775807');
  const reply = checked(await infer(rest, 'INT64', bodyOf('INT64', 20_000, data)));
  expect(String(reply.body)).toContain(`"data":[${data}]`);
});

it('what JSON cannot say is refused in a large answer, too', async () => {
  const raw = Buffer.alloc(8 * 20_000, 0xff);
  const input = { name: 'x', datatype: 'FP64', shape: [1, 20_000] };
  const json = JSON.stringify({
    inputs: [{ ...input, parameters: { binary_data_size: raw.byteLength } }],
  });
  const reply = await rest.send(
    'POST',
    '/v2/models/identity_FP64/infer',
    Buffer.concat([Buffer.from(json), raw]),
    { 'inference-header-content-length': json.length },
  );
  expect(reply.headers['axle-code']).toBe('FAILED_PRECONDITION');
  expect(String(reply.body)).toMatch(/output 'y' holds what is no finite number/);
});

it('bodies of other requests may be large as well', async () => {
  const padding = ' '.repeat(100_000);
  const index = checked(
    await rest.send('POST', '/v2/repository/index', `{"ready":true}${padding}`),
  );
  expect(JSON.parse(String(index.body))).toHaveLength(4);
  const refused = await rest.send('POST', '/v2/repository/index', `{"ready":${padding}`);
  expect(String(refused.body)).toMatch(/the request is no JSON/);
});

it('what waits to be read counts as bytes of its tenant', async () => {
  // Each is there, and copied for the thread.
  const body = bodyOf('FP64', 300_000, listOf(300_000, '0.123456'));
  const replies = await Promise.all(Array.from({ length: 8 }, () => infer(mallory, 'FP64', body)));
  const refused = replies.filter(({ status }) => status !== 200);
  expect(refused.length).toBeGreaterThan(0);
  for (const { headers, body: told } of refused) {
    expect(headers['axle-code']).toBe('RESOURCE_EXHAUSTED');
    expect(String(told)).toMatch(/tenant mallory may have/);
  }
  checked(await infer(mallory, 'FP64', body));
});
