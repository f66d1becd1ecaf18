import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Answer } from '../../test/e2e/faas/gate-client.js';
import { basic, password, TestFrontEnd } from './front-end.js';
import { signed } from './signed.js';

let gate: TestFrontEnd;

/** Tells what it was called with; and does what its query says. */
const mirror = `
export default async function (event, context) {
  if (event.query.has('fail')) throw new Error('it broke');
  if (event.query.has('status')) return { status: Number(event.query.get('status')), body: 'as asked' };
  if (event.query.has('print')) console.log(event.query.get('print'));
  if (event.query.has('bytes')) return (async function* () { for (let i = 0; i < 64; i++) yield new Uint8Array(65536).fill(i); })();
  if (event.query.has('stream')) return event.body;
  const { method, path, headers } = event;
  return { method, path, query: event.query.toString(), headers, body: await event.text() };
}`;

beforeAll(async () => {
  gate = await TestFrontEnd.start({ commit: 'abc' });
  await gate.system('POST', '/system/secrets', { name: 'key', value: 's3cret' });
  await gate.deploy('mirror', mirror, {
    secrets: ['key'],
    labels: { 'com.openfaas.scale.max': '2' },
  });
  // Its first call starts an instance; the others need not wait for it.
  await gate.ask('GET', '/function/mirror');
});
afterAll(() => gate.close());

const jsonOf = ({ text }: Answer): unknown => JSON.parse(text);

describe('a function', () => {
  it('is called with everything, by any method, and answers with its headers and ours', async () => {
    const answer = await gate.ask('PATCH', '/function/mirror.openfaas-fn/a/b%20c?x=1&x=2', {
      body: 'hello',
      headers: { 'x-own': 'yes', te: 'trailers', authorization: basic, 'x-call-id': 'mine-7' },
    });
    expect(answer).toMatchObject({
      status: 200,
      headers: { 'content-type': 'application/json', 'x-call-id': 'mine-7' },
    });
    expect(answer.headers['x-start-time']).toMatch(/^\d{19}$/);
    expect(answer.headers['x-duration-seconds']).toMatch(/^\d+\.\d{6}$/);
    expect(jsonOf(answer)).toMatchObject({
      method: 'PATCH',
      path: '/a/b%20c',
      query: 'x=1&x=2',
      body: 'hello',
    });
    const { headers } = jsonOf(answer) as { headers: object };
    expect(headers).toMatchObject({
      'x-own': 'yes',
      'x-call-id': 'mine-7',
      'x-forwarded-for': '127.0.0.1',
    });
    // The password of the front end is none of its business.
    expect(headers).not.toHaveProperty('authorization');
    expect(headers).not.toHaveProperty('te');
  });

  it('gets its body as it comes and answers as it reads', async () => {
    const request = httpRequest(`${gate.url}/function/mirror?stream`, { method: 'POST' });
    request.write('one');
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    const chunks = response[Symbol.asyncIterator]();
    expect(String((await chunks.next()).value)).toBe('one');
    request.end('two');
    expect(String((await chunks.next()).value)).toBe('two');
    expect((await chunks.next()).done).toBe(true);
  });

  it('answers with megabytes to who reads slowly', async () => {
    const { text } = await gate.ask('GET', '/function/mirror?bytes');
    expect(text).toHaveLength(64 * 65536);
  });

  it.each([
    ['?status=418', 418, 'as asked'],
    ['?fail', 500, 'it broke'],
    ['?status=999', 500, ''],
  ])('that answers to %s gives %i', async (query, status, text) => {
    const answer = await gate.ask('GET', `/function/mirror${query}`);
    expect(answer.status).toBe(status);
    expect(answer.text).toContain(text);
  });

  it('that is not there is 404, and no label of the metrics', async () => {
    for (const path of [
      '/function/nobody',
      '/async-function/nobody',
      '/function/',
      '/function/..%2f..',
      '/nothing',
    ]) {
      expect(await gate.ask('GET', path)).toMatchObject({
        status: 404,
        headers: { 'axle-code': 'NOT_FOUND' },
      });
    }
    const { text } = await gate.metrics();
    expect(text).not.toContain('"nobody');
    expect(text).toMatch(
      /gateway_function_invocation_total\{function_name="mirror.openfaas-fn",code="418"\} 1/,
    );
    expect(text).toMatch(
      /gateway_functions_seconds_count\{function_name="mirror.openfaas-fn",code="200"\} \d+/,
    );
    expect(text).toMatch(/gateway_service_count\{function_name="mirror.openfaas-fn"\} [12]\n/);
  });

  it('takes a thousand calls at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 1000 }, (_, i) =>
        gate.ask('POST', '/function/mirror', { body: String(i) }),
      ),
    );
    const bodies = answers.map((answer) => (jsonOf(answer) as { body: string }).body);
    expect(bodies).toEqual(answers.map((_, i) => String(i)));
  });

  it('that is full says when there should be a place, by what its calls took', async () => {
    const work = `export default ({ body }) => new Promise((done) => setTimeout(done, 1200, 'done'));`;
    await gate.deploy('full', work, { envVars: { max_inflight: '1' } });
    const both = () => Promise.all([1, 2].map(() => gate.ask('POST', '/function/full')));
    const sorted = async () => (await both()).sort((a, b) => a.status - b.status);
    // Of a function of which no call has ended, nobody knows.
    const [first, early] = await sorted();
    expect([first?.status, early?.status]).toEqual([200, 429]);
    expect(early?.headers['retry-after']).toBe('1');
    const [second, late] = await sorted();
    expect([second?.status, late?.status]).toEqual([200, 429]);
    expect(late?.headers['retry-after']).toBe('2');
    await gate.system('DELETE', '/system/functions', { functionName: 'full' });
  });
});

describe('an event of CloudEvents', () => {
  const event = {
    specversion: '1.0',
    id: 'é 1',
    source: '/test',
    type: 'made',
    subject: 'a b',
    n: 7,
  };
  const send = (body: object, type = 'application/cloudevents+json; charset=utf-8') =>
    gate.ask('POST', '/function/mirror', {
      body: JSON.stringify(body),
      headers: { 'content-type': type },
    });

  it('in structured mode comes to the function in binary mode', async () => {
    const answer = await send({ ...event, data: { a: 1 } });
    expect(jsonOf(answer)).toMatchObject({
      body: '{"a":1}',
      headers: {
        ...{
          'ce-specversion': '1.0',
          'ce-id': '%C3%A9%201',
          'ce-source': '/test',
          'ce-type': 'made',
        },
        ...{
          'ce-subject': 'a%20b',
          'ce-n': '7',
          'content-type': 'application/json',
          'content-length': '7',
        },
      },
    });
    const bytes = await send({ ...event, data_base64: 'aGk=', datacontenttype: 'text/plain' });
    expect(jsonOf(bytes)).toMatchObject({ body: 'hi', headers: { 'content-type': 'text/plain' } });
  });

  it('in binary mode comes as it is', async () => {
    const headers = {
      'ce-specversion': '1.0',
      'ce-id': '1',
      'ce-source': '/test',
      'ce-type': 'made',
    };
    const answer = await gate.ask('POST', '/function/mirror', { body: 'data', headers });
    expect(jsonOf(answer)).toMatchObject({ body: 'data', headers });
  });

  it.each([
    ['of another version', { ...event, specversion: '0.3' }, 400],
    ['without an id', { ...event, id: undefined }, 400],
    ['with an attribute that is none', { ...event, 'Not-One': 1 }, 400],
    ['with an attribute that is an object', { ...event, x: {} }, 400],
    ['with data twice', { ...event, data: 1, data_base64: 'aGk=' }, 400],
    ['with what is no base64', { ...event, data_base64: '*' }, 400],
    ['that is a list', [], 400],
    ['with attributes that headers cannot hold', { ...event, long: 'é'.repeat(6000) }, 400],
  ])('%s is refused', async (_, body, status) => {
    expect(await send(body)).toMatchObject({ status });
  });

  it('in a batch, or half of one in binary mode, is refused', async () => {
    expect((await send([event], 'application/cloudevents-batch+json')).status).toBe(501);
    for (const wrong of [
      ...[{ source: 'a b' }, { source: '<x>' }, { source: '1a:b' }, { source: '/a#b#c' }],
      ...[{ source: '/%zz' }, { time: 'today' }, { time: 7 }, { time: '2026-02-30T00:00:00Z' }],
      ...[{ time: '2026-01-31' }, { time: '2026-01-31T24:00:00Z' }, { time: '' }],
    ]) {
      const [name = ''] = Object.keys(wrong);
      const refused = {
        status: 400,
        text: expect.stringMatching(`^the CloudEvent's ${name} is no (URI|time)`) as string,
      };
      expect(await send({ ...event, ...wrong }), JSON.stringify(wrong)).toMatchObject(refused);
      const headers: Record<string, string> = { 'ce-specversion': '1.0', 'ce-id': '1' };
      for (const [key, value] of Object.entries({ source: '/a', type: 'x', ...wrong }))
        headers[`ce-${key}`] = String(value);
      expect(await gate.ask('POST', '/function/mirror', { headers })).toMatchObject(refused);
    }
    for (const right of [
      ...[{ source: 'urn:a:b' }, { source: 'https://u@[::1]:8/a?b=/?#c' }, { source: 'a/b:c' }],
      ...[{ source: '//host' }, { source: '?a' }, { source: 'a%20b' }, { time: null }],
      ...[{ time: '2024-02-29t23:59:60.123456789+05:30' }, { time: '2026-01-31T12:00:00Z' }],
    ])
      expect((await send({ ...event, ...right })).status, JSON.stringify(right)).toBe(200);
    const half = { headers: { 'ce-specversion': '1.0', 'ce-id': '1' } };
    expect(await gate.ask('POST', '/function/mirror', half)).toMatchObject({
      status: 400,
      text: expect.stringContaining('ce-source') as string,
    });
  });
});

describe('the system', () => {
  it.each([
    ['nothing', undefined],
    ['a wrong password', `Basic ${Buffer.from('admin:wrong').toString('base64')}`],
    ['a wrong user', `Basic ${Buffer.from(`root:${password}`).toString('base64')}`],
    ['another scheme', `Bearer ${password}`],
  ])('is not for who gives %s', async (_, authorization) => {
    const headers = authorization === undefined ? {} : { authorization };
    for (const path of [
      '/system/functions',
      '/axle/v1/bundles',
      '/system/nothing',
      '/axle/v1/dead-letters',
    ]) {
      const answer = await gate.ask('GET', path, { headers });
      expect(answer).toMatchObject({
        status: 401,
        headers: { 'www-authenticate': expect.stringContaining('Basic') as string },
      });
      expect(answer.text).not.toContain(password);
    }
  });

  it('deploys what is new by POST and what is there by PUT, as clients of OpenFaaS do', async () => {
    await gate.push('once', 'export default () => "v1"');
    const deployment = { service: 'once', image: 'once' };
    expect((await gate.system('PUT', '/system/functions', deployment)).status).toBe(404);
    expect((await gate.system('POST', '/system/functions', deployment)).status).toBe(202);
    expect((await gate.system('POST', '/system/functions', deployment)).status).toBe(409);
    expect((await gate.ask('GET', '/function/once')).text).toBe('v1');
    await gate.push('once', 'export default (event, context) => "v2"');
    const noted = await gate.system('PUT', '/system/functions', {
      ...deployment,
      envProcess: 'node x',
    });
    expect(noted).toMatchObject({
      status: 202,
      text: expect.stringContaining('envProcess') as string,
    });
    const functionName = 'once';
    expect((await gate.system('DELETE', '/system/functions', { functionName })).status).toBe(202);
    expect((await gate.system('DELETE', '/system/functions', { functionName })).status).toBe(404);
    expect((await gate.ask('GET', '/function/once')).status).toBe(404);
    expect((await gate.metrics()).text).not.toContain('"once');
  });

  it('lists functions as OpenFaaS does', async () => {
    const one = {
      ...{ name: 'mirror', image: 'mirror:latest', namespace: 'openfaas-fn', secrets: ['key'] },
      ...{ labels: { 'com.openfaas.scale.max': '2' }, limits: { memory: '256Mi' } },
    };
    const [first] = jsonOf(await gate.system('GET', '/system/functions')) as object[];
    expect(first).toMatchObject(one);
    const status = jsonOf(await gate.system('GET', '/system/function/mirror?usage=1'));
    expect(status).toMatchObject({
      ...one,
      replicas: expect.any(Number) as number,
      usage: { totalMemoryBytes: expect.any(Number) as number },
    });
    expect((await gate.system('GET', '/system/function/nobody')).status).toBe(404);
    expect(jsonOf(await gate.system('GET', '/system/namespaces'))).toEqual(['openfaas-fn']);
    expect(jsonOf(await gate.system('GET', '/system/info'))).toMatchObject({
      provider: { provider: 'axle', version: { release: 'test', sha: 'abc' } },
      version: { release: 'test', sha: 'abc' },
    });
    expect((await gate.ask('GET', '/healthz')).status).toBe(200);
  });

  it('scales, to none as well, and the next call brings one back', async () => {
    const scale = (replicas: unknown) =>
      gate.system('POST', '/system/scale-function/mirror', { serviceName: 'mirror', replicas });
    const replicas = async () =>
      (jsonOf(await gate.system('GET', '/system/function/mirror')) as { replicas: number })
        .replicas;
    expect((await scale(2)).status).toBe(202);
    expect(await replicas()).toBe(2);
    expect((await scale(0)).status).toBe(202);
    await expect.poll(replicas).toBe(0);
    expect((await gate.ask('GET', '/function/mirror')).status).toBe(200);
    expect(await replicas()).toBeGreaterThan(0);
    for (const wrong of [-1, 1.5, '2', 100_000]) expect((await scale(wrong)).status).toBe(400);
  });

  it('scales no further than its most, says so, and goes back by itself', async () => {
    const labels = {
      'com.openfaas.scale.max': '3',
      'com.openfaas.scale.zero-duration': '500ms',
    };
    await gate.deploy('pushed', 'export default () => 1', { labels });
    const ofPushed = async () =>
      jsonOf(await gate.system('GET', '/system/function/pushed')) as { replicas: number };
    const asked = { serviceName: 'pushed', replicas: 50 };
    expect(await gate.system('POST', '/system/scale-function/pushed', asked)).toMatchObject({
      status: 202,
      text: 'replicas: 3 instead of 50, by com.openfaas.scale.min and max\n',
    });
    expect((await ofPushed()).replicas).toBe(3);
    await expect.poll(async () => (await ofPushed()).replicas, { timeout: 20_000 }).toBe(1);
  });

  it('tells names of secrets and never their values', async () => {
    const { text } = await gate.system('GET', '/system/secrets');
    expect(JSON.parse(text)).toEqual([{ name: 'key', namespace: 'openfaas-fn' }]);
    const broken = await gate.ask('POST', '/system/secrets', {
      body: '{"name":"other","value":"hidden',
      headers: { authorization: basic },
    });
    expect(broken.status).toBe(400);
    expect(broken.text).not.toContain('hidden');
    expect(
      (await gate.system('POST', '/system/secrets', { name: 'key', value: 'again' })).status,
    ).toBe(409);
    expect((await gate.system('DELETE', '/system/secrets', { name: 'nobody' })).status).toBe(404);
    const missing = await gate.deploy('x', 'export default () => 1', { secrets: ['nobody'] });
    expect(missing).toMatchObject({
      status: 400,
      text: expect.stringContaining('no secret nobody') as string,
    });
    expect(gate.lines.join()).not.toMatch(/s3cret|hidden/);
  });

  it.each([
    ['tail=-5', /^tail takes a whole number, or -1 for all/],
    ['tail=two', /^tail takes/],
    ['follow=maybe', /^follow takes true or false/],
  ])('refuses logs with %s', async (query, message) => {
    const answer = await gate.system('GET', `/system/logs?name=mirror&${query}`);
    expect([answer.status, answer.text]).toEqual([400, expect.stringMatching(message)]);
  });

  it('scales the function that both name', async () => {
    const scale = (serviceName: string) =>
      gate.system('POST', '/system/scale-function/mirror', { serviceName, replicas: 1 });
    expect(await scale('other')).toMatchObject({
      status: 400,
      text: 'serviceName is "other", and the path names "mirror"; make them one\n',
    });
    for (const name of ['', 'mirror', 'mirror.openfaas-fn'])
      expect((await scale(name)).status).toBe(202);
  });

  it('gives logs, and goes on with what comes', async () => {
    await gate.ask('GET', '/function/mirror?print=first');
    await gate.ask('GET', '/function/mirror?print=second');
    const linesOf = ({ text }: Answer) =>
      text
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as { text: string });
    const tail = () =>
      gate.system('GET', '/system/logs?name=mirror&tail=1&follow=false').then(linesOf);
    await expect.poll(tail).toMatchObject([{ name: 'mirror', text: 'second' }]);
    const following = httpRequest(`${gate.url}/system/logs?name=mirror&tail=0&follow=true`, {
      headers: { authorization: basic },
    }).end();
    const [response] = (await once(following, 'response')) as [IncomingMessage];
    await gate.ask('GET', '/function/mirror?print=third');
    const [chunk] = (await once(response, 'data')) as [Buffer];
    expect(JSON.parse(String(chunk))).toMatchObject({ text: 'third' });
    following.destroy();
    expect((await gate.system('GET', '/system/logs?name=mirror&since=soon')).status).toBe(400);
    expect((await gate.system('GET', '/system/logs?name=nobody')).status).toBe(404);
  });

  it('keeps bundles by their names', async () => {
    await gate.push('kept', 'export default () => 1');
    expect(jsonOf(await gate.system('GET', '/axle/v1/bundles'))).toContainEqual(
      expect.objectContaining({ name: 'kept', tag: 'latest' }),
    );
    expect((await gate.system('DELETE', '/axle/v1/bundles/tags/kept%3Alatest')).status).toBe(200);
    expect((await gate.system('DELETE', '/axle/v1/bundles/tags/kept')).status).toBe(404);
    const blob = `/axle/v1/bundles/blobs/${'0'.repeat(64)}`;
    const wrong = await gate.ask('PUT', blob, { body: 'x', headers: { authorization: basic } });
    expect(wrong).toMatchObject({
      status: 400,
      headers: { 'axle-code': 'INVALID_ARGUMENT' },
      text: expect.stringContaining('what came has the SHA-256') as string,
    });
    expect(gate.lines.join('\n')).not.toContain('SHA-256');
    expect(
      (await gate.system('POST', '/axle/v1/bundles/missing', { files: [{ path: 1 }] })).status,
    ).toBe(400);
  });
});

describe('bad input', () => {
  it.each([
    ['broken JSON', 'POST', '/system/functions', '{', 400],
    ['no object', 'POST', '/system/functions', '[1]', 400],
    ['a method that is not there', 'PATCH', '/system/functions', '', 501],
    ['a deployment over the limit', 'POST', '/system/functions', ' '.repeat(1024 * 1024 + 1), 413],
    ['a path with half of a percent', 'DELETE', '/axle/v1/bundles/tags/%', '', 400],
  ])('is answered: %s', async (_, method, path, body, status) => {
    const answer = await gate.ask(method, path, { body, headers: { authorization: basic } });
    expect(answer.status).toBe(status);
  });

  async function raw(...pieces: readonly string[]): Promise<string> {
    const socket = connect(Number(new URL(gate.url).port), '127.0.0.1');
    let text = '';
    socket.on('data', (chunk) => (text += chunk.toString()));
    socket.on('error', () => undefined);
    for (const piece of pieces) socket.write(piece);
    await once(socket, 'close');
    return text;
  }

  it.each(['call/7', 'a b', 'x'.repeat(65), 'ü'])(
    'in an id of a call is told, not dropped: %j',
    async (id) => {
      for (const door of ['function', 'async-function']) {
        const answer = await gate.ask('POST', `/${door}/mirror`, {
          headers: { 'x-call-id': Buffer.from(id).toString('latin1') },
        });
        expect(answer).toMatchObject({
          status: 400,
          headers: { 'axle-code': 'INVALID_ARGUMENT', 'axle-answered-by': 'front-end' },
          text: expect.stringMatching(/X-Call-Id takes one id of 1 to 64 letters/) as string,
        });
      }
    },
  );

  it('is no whole URL, which clients give that take this for a proxy', async () => {
    const close = 'host: a\r\nconnection: close\r\n\r\n';
    const whole = await raw(`GET http://any.host:81/function/mirror/a?x=1 HTTP/1.1\r\n${close}`);
    expect(whole).toMatch(/^HTTP\/1.1 200 /);
    expect(whole).toContain('"path":"/a","query":"x=1"');
    expect(await raw(`GET http://any.host?x HTTP/1.1\r\n${close}`)).toMatch(/^HTTP\/1.1 404 /);
  });

  it('that is no HTTP ends its connection only', async () => {
    expect(await raw('hello\r\n\r\n')).toMatch(/^HTTP\/1.1 400 /);
    expect(await raw(`GET / HTTP/1.1\r\nhost: a\r\nx: ${'y'.repeat(40_000)}\r\n\r\n`)).toMatch(
      /^HTTP\/1.1 431 /,
    );
    const many = Array.from({ length: 200 }, (_, i) => `x${i}: y\r\n`).join('');
    expect(await raw(`GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n${many}\r\n`)).toMatch(
      /^HTTP\/1.1 400 /,
    );
    const long = `content-length: ${2 ** 40}\r\n`;
    expect(await raw(`POST /function/mirror HTTP/1.1\r\nhost: a\r\n${long}\r\n`)).toMatch(
      /^HTTP\/1.1 413 /,
    );
    expect((await gate.ask('GET', '/healthz')).status).toBe(200);
  });

  it('of a client that goes away in the middle takes nothing along', async () => {
    const socket = connect(Number(new URL(gate.url).port), '127.0.0.1');
    socket.write(
      'POST /function/mirror?stream HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n',
    );
    await once(socket, 'data');
    socket.end();
    await once(socket, 'close');
    const gone = /invocation_total\{function_name="mirror.openfaas-fn",code="499"\} 1/;
    await expect.poll(async () => (await gate.metrics()).text).toMatch(gone);
    expect((await gate.ask('GET', '/function/mirror')).status).toBe(200);
  });
});

describe("Lambda's Invoke", () => {
  const invoke = (
    name: string,
    body: string,
    more: Record<string, string> = {},
    secret = password,
    at = new Date(),
  ) => {
    const path = `/2015-03-31/functions/${name}/invocations`;
    return gate.ask('POST', path, {
      body,
      headers: signed(gate.url, path, body, secret, more, at),
    });
  };

  it('answers with what the function answers, and its log', async () => {
    await gate.deploy(
      'lambda',
      'export default async (e) => { console.log("seen"); const x = await e.json(); if (x.fail) throw new TypeError("bad"); return { twice: x.n * 2 }; }',
    );
    const answer = await invoke('lambda', '{"n":4}', { 'x-amz-log-type': 'Tail' });
    expect(answer).toMatchObject({
      status: 200,
      text: '{"twice":8}',
      headers: { 'x-amz-executed-version': '$LATEST' },
    });
    expect(answer.headers).not.toHaveProperty('x-amz-function-error');
    expect(answer.headers).toHaveProperty('x-amz-log-result');
    const failed = await invoke('lambda', '{"fail":1}');
    expect(failed).toMatchObject({ status: 200, headers: { 'x-amz-function-error': 'Unhandled' } });
    expect(jsonOf(failed)).toMatchObject({
      errorMessage: expect.stringContaining('bad') as string,
    });
    expect((await invoke('lambda', '{}', { 'x-amz-invocation-type': 'DryRun' })).status).toBe(204);
    expect((await invoke('lambda', '{"n":1}', { 'x-amz-invocation-type': 'Event' })).status).toBe(
      202,
    );
  });

  it.each([
    [
      'a forged signature',
      () => invoke('mirror', '{}', {}, 'wrong password'),
      403,
      'InvalidSignatureException',
    ],
    [
      'an old one',
      () => invoke('mirror', '{}', {}, password, new Date(Date.now() - 600_000)),
      403,
      'InvalidSignatureException',
    ],
    [
      'none',
      () => gate.ask('POST', '/2015-03-31/functions/mirror/invocations'),
      403,
      'MissingAuthenticationTokenException',
    ],
    [
      'a function that is not there',
      () => invoke('nobody', '{}'),
      404,
      'ResourceNotFoundException',
    ],
    ['another version', () => invoke('mirror:7', '{}'), 403, 'InvalidSignatureException'],
    ['what is no JSON', () => invoke('mirror', '{'), 400, 'InvalidRequestContentException'],
    [
      'a kind that is none',
      () => invoke('mirror', '{}', { 'x-amz-invocation-type': 'X' }),
      400,
      'InvalidParameterValueException',
    ],
  ])('tells %s as Lambda does', async (_, call, status, type) => {
    const answer = await call();
    expect(answer).toMatchObject({ status, headers: { 'x-amzn-errortype': type } });
    expect(jsonOf(answer)).toMatchObject({ Type: 'User', Message: expect.any(String) as string });
  });
});
