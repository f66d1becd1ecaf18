import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import type { Answer } from '../../test/e2e/faas/gate-client.js';
import { AsyncCalls } from '../src/async/async-calls.js';
import { CallStore } from '../src/async/call-store.js';
import { TestFrontEnd } from './front-end.js';

interface Callback {
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

const attemptsMax = 3;
const callsMax = 20;

let gate: TestFrontEnd;
let receiver: Server;
let callbacks: Callback[] = [];
/** What the next callbacks are answered with; then 200. */
let statuses: number[] = [];
const arrived: (() => void)[] = [];
/** Callbacks are answered when they are let go. */
let held = false;
let release: () => void = () => undefined;
let callbackUrl: string;

/** Fails so often as its header says, by call. */
const flaky = `
const seen = new Map();
export default async function (event) {
  const id = event.headers['x-call-id'];
  const times = (seen.get(id) ?? 0) + 1;
  seen.set(id, times);
  if (times <= Number(event.headers['x-fails'] ?? 0)) return { status: 503, body: 'not yet' };
  if (event.headers['x-refuse']) return { status: 422, body: 'no' };
  return times + ' ' + await event.text();
}`;

beforeAll(async () => {
  receiver = createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      callbacks.push({ headers: request.headers, text: Buffer.concat(chunks).toString() });
      for (const wake of arrived.splice(0)) wake();
      if (held) await new Promise<void>((resolve) => (release = resolve));
      const status = statuses.shift() ?? 200;
      response.writeHead(status, status === 302 ? { location: callbackUrl } : {}).end();
    })();
  }).listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  callbackUrl = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/told`;
  gate = await TestFrontEnd.start({ asynchronous: { attemptsMax, callsMax, backOffMs: () => 1 } });
  await gate.deploy('flaky', flaky);
});
afterAll(async () => {
  receiver.close();
  await gate.close();
});
beforeEach(() => {
  callbacks = [];
  statuses = [];
  held = false;
});

async function callbackCount(count: number): Promise<Callback[]> {
  while (callbacks.length < count) await new Promise<void>((resolve) => arrived.push(resolve));
  return callbacks;
}

function send(id: string, headers: Record<string, string> = {}, body = 'x'): Promise<Answer> {
  return gate.ask('POST', '/async-function/flaky', {
    body,
    headers: { 'x-call-id': id, 'x-callback-url': callbackUrl, ...headers },
  });
}

interface Letter {
  readonly number: number;
  readonly id: string;
  readonly step: string;
  readonly reason: string;
}

async function letters(): Promise<Letter[]> {
  return JSON.parse((await gate.system('GET', '/axle/v1/dead-letters')).text) as Letter[];
}

async function letterOf(id: string): Promise<Letter> {
  await expect.poll(letters).toContainEqual(expect.objectContaining({ id }));
  return (await letters()).find((letter) => letter.id === id) as Letter;
}

describe('an asynchronous call', () => {
  it('is accepted with an id, and its answer told with it', async () => {
    expect(await send('plain')).toMatchObject({
      status: 202,
      headers: { 'x-call-id': 'plain' },
      text: '',
    });
    expect(await callbackCount(1)).toMatchObject([
      {
        text: '1 x',
        headers: {
          ...{ 'x-call-id': 'plain', 'x-function-status': '200', 'x-function-name': 'flaky' },
          'x-duration-seconds': expect.stringMatching(/^\d+\.\d+$/) as string,
          'content-type': 'text/plain; charset=utf-8',
        },
      },
    ]);
  });

  it('is tried again until the function can, under the same id', async () => {
    await send('later', { 'x-fails': '2' });
    expect((await callbackCount(1))[0]).toMatchObject({
      text: '3 x',
      headers: { 'x-call-id': 'later' },
    });
  });

  it('that the function refuses is answered, and not tried again', async () => {
    await send('refused', { 'x-refuse': '1' });
    expect((await callbackCount(1))[0]).toMatchObject({
      text: 'no',
      headers: { 'x-function-status': '422' },
    });
    expect(await letters()).toEqual([]);
  });

  it('is told again until somebody takes it, and does not run again for it', async () => {
    statuses = [500, 302];
    await send('told');
    const told = await callbackCount(3);
    expect(told.map(({ text }) => text)).toEqual(['1 x', '1 x', '1 x']);
  });

  it('that fails each time is told so, given up, and can be tried again', async () => {
    await send('hopeless', { 'x-fails': '4' });
    expect((await callbackCount(1))[0]).toMatchObject({
      text: 'not yet',
      headers: { 'x-function-status': '503' },
    });
    const letter = await letterOf('hopeless');
    expect(letter).toMatchObject({ step: 'call', reason: 'the function answered with 503' });
    const path = `/axle/v1/dead-letters/${letter.number}`;
    expect((await gate.system('POST', `${path}/redrive`)).status).toBe(202);
    expect((await callbackCount(2))[1]).toMatchObject({
      text: '5 x',
      headers: { 'x-function-status': '200' },
    });
    expect((await gate.system('POST', `${path}/redrive`)).status).toBe(404);
    expect(await letters()).toEqual([]);
  });

  it('whose callback nobody takes is given up, and only told when it is tried again', async () => {
    statuses = [500, 500, 500];
    await send('unheard');
    const letter = await letterOf('unheard');
    expect(letter).toMatchObject({
      step: 'callback',
      reason: 'the callback was answered with 500',
    });
    await gate.system('POST', `/axle/v1/dead-letters/${letter.number}/redrive`);
    expect((await callbackCount(4))[3]).toMatchObject({ text: '1 x' });
  });

  it('is told though others of its function wait for a host that never answers', async () => {
    let asked = 0;
    const silent = createServer(() => (asked += 1)).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}/`;
    const ids = Array.from({ length: callsMax - 1 }, (_, i) => `silent-${i}`);
    await Promise.all(ids.map((id) => send(id, { 'x-callback-url': url })));
    await expect.poll(() => asked).toBe(16);
    await send('heard');
    expect((await callbackCount(1))[0]).toMatchObject({ headers: { 'x-call-id': 'heard' } });
    // And not after the others had given up.
    expect(asked).toBe(16);
    silent.closeAllConnections();
    silent.close();
    await expect.poll(letters, { timeout: 30_000 }).toHaveLength(ids.length);
    for (const { number } of await letters())
      await gate.system('DELETE', `/axle/v1/dead-letters/${number}`);
  });

  it.each([
    'ftp://a/',
    'file:///etc/passwd',
    'http://user:pw@a/',
    'nothing',
    `http://a/${'x'.repeat(3000)}`,
  ])('is refused with the callback %s', async (url) => {
    expect((await send('wrong', { 'x-callback-url': url })).status).toBe(400);
  });

  it('is refused when it is too large, or nobody is there for it', async () => {
    expect((await send('large', {}, 'x'.repeat(6 * 1024 * 1024 + 1))).status).toBe(413);
    expect((await gate.ask('POST', '/async-function/nobody')).status).toBe(404);
  });

  it('survives a restart, and the queue has an end', async () => {
    const go = join(gate.place, 'go');
    await gate.deploy(
      'slow',
      `import { existsSync } from 'node:fs';
      export default async () => {
        if (!existsSync(process.env.GO)) await new Promise(() => {});
        return 'done';
      }`,
      { envVars: { GO: go, max_inflight: '1' } },
    );
    const ask = (body: string) =>
      gate.ask('POST', '/async-function/slow', {
        body,
        headers: { 'x-callback-url': callbackUrl, 'x-call-id': body },
      });
    const ids = Array.from({ length: callsMax }, (_, i) => `n${i}`);
    for (const id of ids) expect((await ask(id)).status).toBe(202);
    // The same call once more is no other one.
    expect((await ask('n1')).status).toBe(202);
    expect(await ask('one-too-many')).toMatchObject({
      status: 429,
      headers: { 'retry-after': '1' },
    });
    await gate.stop();
    expect(callbacks).toEqual([]);
    await writeFile(go, '');
    await gate.open();
    const told = await callbackCount(callsMax);
    expect(told.map(({ headers }) => headers['x-call-id']).sort()).toEqual([...ids].sort());
    const empty = /axle_async_calls\{state="waiting"\} 0/;
    await expect.poll(async () => (await gate.metrics()).text).toMatch(empty);
    expect((await gate.metrics()).text).toContain(
      `gateway_function_invocation_total{function_name="slow.openfaas-fn",code="200"} ${callsMax}\n`,
    );
  });

  it('that is at work when the front end stops is done and told, and not again', async () => {
    const [go, runs] = [join(gate.place, 'go-on'), join(gate.place, 'runs')];
    await gate.deploy(
      'steady',
      `import { appendFileSync, existsSync } from 'node:fs';
      import { setTimeout as later } from 'node:timers/promises';
      export default async (event) => {
        appendFileSync(process.env.RUNS, event.headers['x-call-id'] + ' ');
        while (!existsSync(process.env.GO)) await later(5);
        return 'done';
      }`,
      { envVars: { GO: go, RUNS: runs, max_inflight: '1' } },
    );
    for (const id of ['at-work', 'waiting']) {
      await gate.ask('POST', '/async-function/steady', {
        headers: { 'x-callback-url': callbackUrl, 'x-call-id': id },
      });
    }
    await expect.poll(() => existsSync(runs) && readFileSync(runs, 'utf8')).toBe('at-work ');
    const stopped = gate.stop(60_000);
    await writeFile(go, '');
    await stopped;
    expect(callbacks).toMatchObject([{ text: 'done', headers: { 'x-call-id': 'at-work' } }]);
    await gate.open();
    expect((await callbackCount(2))[1]).toMatchObject({ headers: { 'x-call-id': 'waiting' } });
    expect(readFileSync(runs, 'utf8')).toBe('at-work waiting ');
  });

  it('waits in a folder that one front end has alone', async () => {
    await expect(gate.open()).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
  });
});

describe('a dead letter', () => {
  const dead = /axle_async_calls\{state="dead"\} 0/;
  const post = (number: number) =>
    gate.system('POST', `/axle/v1/dead-letters/${number}/redrive`).then(({ status }) => status);

  it('that many want to try again at once is tried once, and is the call of its id meanwhile', async () => {
    await send('wanted', { 'x-fails': '3' });
    await callbackCount(1);
    const { number } = await letterOf('wanted');
    const statuses = await Promise.all(Array.from({ length: 8 }, () => post(number)));
    expect(statuses.sort()).toEqual([202, ...Array<number>(7).fill(404)]);
    expect((await callbackCount(2))[1]).toMatchObject({ text: '4 x' });
    await expect.poll(async () => (await gate.metrics()).text).toMatch(dead);
    expect(callbacks).toHaveLength(2);
  });

  it('that many throw away at once is gone once', async () => {
    await send('unwanted', { 'x-fails': '9' });
    const { number } = await letterOf('unwanted');
    const gone = Array.from({ length: 8 }, () =>
      gate.system('DELETE', `/axle/v1/dead-letters/${number}`).then(({ status }) => status),
    );
    expect((await Promise.all(gone)).sort()).toEqual([200, ...Array<number>(7).fill(404)]);
    expect((await gate.metrics()).text).toMatch(dead);
    expect(await letters()).toEqual([]);
  });

  it('waits while another call has its id', async () => {
    await send('twin', { 'x-fails': '3' });
    const { number } = await letterOf('twin');
    // It is to be done as long as its callback is not answered.
    held = true;
    await send('twin');
    await callbackCount(2);
    expect(await post(number)).toBe(409);
    expect(await letters()).toMatchObject([{ number }]);
    held = false;
    release();
    await expect.poll(() => post(number)).toBe(202);
    await callbackCount(3);
    await expect.poll(letters).toEqual([]);
  });

  it('takes room for what is on disk, however often it is tried again', async () => {
    const store = await CallStore.open(join(gate.place, 'other-queue'), () => undefined);
    const asyncCalls = new AsyncCalls(store, {
      calls: {
        invoke: () =>
          Promise.resolve({
            ...{ status: 503, headers: {}, body: Buffer.alloc(1000), instance: 'i' },
            ...{ queueMs: 0, isColdStart: false },
          }),
      },
      deploymentOf: () => undefined,
      log: () => undefined,
      attemptsMax: 1,
      deliver: () => Promise.resolve(),
    });
    const call = { id: '1', functionName: 'f', method: 'POST', path: '/', query: '', headers: {} };
    await asyncCalls.accept({ ...call, callbackUrl: 'http://a/' }, Buffer.alloc(10));
    await expect.poll(() => asyncCalls.counts).toEqual({ waiting: 0, dead: 1 });
    const { bytes } = asyncCalls;
    for (let times = 0; times < 3; times++) {
      await asyncCalls.redrive(1);
      await expect.poll(() => asyncCalls.counts).toEqual({ waiting: 0, dead: 1 });
    }
    expect(asyncCalls.bytes).toBe(bytes);
    await asyncCalls.discard(1);
    expect([asyncCalls.bytes, asyncCalls.counts]).toEqual([0, { waiting: 0, dead: 0 }]);
    await asyncCalls.close(0);
  });
});
