import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Answer } from '../../test/e2e/faas/gate-client.js';
import { TestFrontEnd } from './front-end.js';

let gate: TestFrontEnd;

/** Fails with the code, or answers with what the query says. */
const poser = `
import { AxleError } from 'axle';
export default (event) => {
  const code = event.query.get('code');
  if (code) throw new AxleError(code, 'says the function');
  const given = event.query.get('answer');
  return given ? JSON.parse(given) : 'fine';
}`;

beforeAll(async () => {
  gate = await TestFrontEnd.start();
  await gate.deploy('poser', poser);
});
afterAll(() => gate.close());

const pose = (query: string, headers: Record<string, string> = {}): Promise<Answer> =>
  gate.ask('GET', `/function/poser?${query}`, { headers });
const answerWith = (answer: object, headers: Record<string, string> = {}): Promise<Answer> =>
  pose(`answer=${encodeURIComponent(JSON.stringify(answer))}`, headers);

describe('a function that fails', () => {
  it.each([
    'UNAUTHENTICATED',
    'NOT_FOUND',
    'INVALID_ARGUMENT',
    'FAILED_PRECONDITION',
    'PERMISSION_DENIED',
    'RESOURCE_EXHAUSTED',
    'UNAVAILABLE',
    'DEADLINE_EXCEEDED',
    'INTERNAL',
  ])('with %s is no refusal of the front end', async (code) => {
    const answer = await pose(`code=${code}`);
    expect(answer).toMatchObject({
      status: 500,
      text: `${code}: says the function\n`,
      headers: { 'axle-code': code, 'axle-answered-by': 'function' },
    });
    expect(answer.headers).not.toHaveProperty('www-authenticate');
  });

  it('to start is one that is broken', async () => {
    await gate.deploy('unable', 'export default 7');
    expect(await gate.ask('GET', '/function/unable')).toMatchObject({
      status: 502,
      text: expect.stringMatching(
        /^FAILED_PRECONDITION: no instance of the function unable/,
      ) as string,
      headers: { 'axle-answered-by': 'function' },
    });
  });

  it('is told from a refusal of the front end by a header, whatever it answers with', async () => {
    const posing = {
      status: 404,
      headers: { 'axle-answered-by': 'front-end', 'axle-code': 'NOT_FOUND' },
    };
    expect(await answerWith(posing)).toMatchObject({
      status: 404,
      headers: { 'axle-answered-by': 'function' },
    });
    expect(await gate.ask('GET', '/function/nobody')).toMatchObject({
      status: 404,
      headers: { 'axle-answered-by': 'front-end' },
    });
    expect(await pose('')).toMatchObject({
      status: 200,
      headers: { 'axle-answered-by': 'function' },
    });
  });

  it('is no news for the operator, and a front end that fails is, with the call', async () => {
    await pose('code=INTERNAL');
    expect(gate.lines).toEqual([]);
    // None is started before it is called.
    const labels = { 'com.openfaas.scale.min': '0', 'com.openfaas.scale.zero': 'true' };
    await gate.deploy('lost', 'export default () => 1', { labels });
    // What its instance is to be told is there, and cannot be read.
    const secrets = join(gate.place, 'state', 'secrets');
    await gate.system('POST', '/system/secrets', { name: 'key', value: 'x' });
    await gate.system('PUT', '/system/functions', {
      ...{ service: 'lost', image: 'lost', secrets: ['key'], labels },
    });
    await rm(join(secrets, 'key'));
    await mkdir(join(secrets, 'key'));
    const answer = await gate.ask('GET', '/function/lost', { headers: { 'x-call-id': 'lost-1' } });
    expect(answer.status).toBeGreaterThanOrEqual(500);
    // It says nothing of paths.
    expect(answer.text).not.toContain(gate.place);
    expect(gate.lines.join('\n')).not.toContain('its log has the reason');
    expect(gate.lines.join('\n')).toMatch(/the start of lost\.2\.\d+ failed: .*(EISDIR|ENOENT)/);
    expect(await readdir(secrets)).toEqual(['key']);
  });
});

describe('what fails between a function and the front end', () => {
  it('is told to the operator with the call, from each door', async () => {
    await gate.deploy(
      'garbles',
      `import { writeSync } from 'node:fs';
       export default () => { writeSync(3, Buffer.alloc(64, 255)); return new Promise(() => {}); }`,
    );
    const headers = { 'x-call-id': 'garbled-1' };
    const answer = await gate.ask('GET', '/function/garbles', { headers });
    expect(answer).toMatchObject({ status: 500, headers: { 'axle-answered-by': 'front-end' } });
    const logged = /the call garbled-1 of garbles failed: the instance broke its channel/;
    expect(gate.lines.join('\n')).toMatch(logged);
    expect(gate.lines.join('\n').match(/the instance broke its channel/g)).toHaveLength(1);
    await gate.ask('POST', '/async-function/garbles', { headers: { 'x-call-id': 'garbled-2' } });
    await expect
      .poll(() => gate.lines.join('\n'))
      .toMatch(/asynchronous call garbled-2 of garbles failed: the instance broke its channel/);
  });
});

describe('a function that is busy', () => {
  it('shows how many processors and how much memory it takes', async () => {
    await gate.deploy(
      'busy',
      `export default async (event, { signal }) => {
         while (!signal.aborted) {
           for (const until = Date.now() + 50; Date.now() < until; );
           await new Promise(setImmediate);
         }
       }`,
    );
    const call = new AbortController();
    const calling = fetch(`${gate.url}/function/busy`, { signal: call.signal }).catch(String);
    const usage = async () => {
      const { text } = await gate.system('GET', '/system/function/busy?usage=1');
      return (JSON.parse(text) as { usage: { cpu: number; totalMemoryBytes: number } }).usage;
    };
    await expect.poll(async () => (await usage()).cpu, { timeout: 30_000 }).toBeGreaterThan(100);
    expect((await usage()).totalMemoryBytes).toBeGreaterThan(1024 ** 2);
    call.abort();
    expect(await calling).toContain('AbortError');
  });
});

describe('an answer', () => {
  it('that has no body has no length', async () => {
    const { status, headers } = await answerWith({ status: 204 });
    expect(status).toBe(204);
    expect(headers).not.toHaveProperty('content-length');
  });

  it('may have numbers as headers', async () => {
    expect(await answerWith({ status: 200, headers: { 'X-Count': 7 }, body: 'a' })).toMatchObject({
      status: 200,
      headers: { 'x-count': '7' },
    });
  });

  const html = { status: 200, headers: { 'content-type': 'text/html' }, body: '<script></script>' };
  it.each([
    ['navigates to it', { 'sec-fetch-mode': 'navigate' }],
    ['asks for a page where browsers do not say so', { accept: 'text/html,*/*' }],
  ])('has no part in the origin of the front end where a browser %s', async (_, headers) => {
    for (const answer of [await answerWith(html, headers), await pose('code=INTERNAL', headers)]) {
      expect(answer.headers).toMatchObject({
        'content-security-policy': expect.stringMatching(
          /^sandbox allow-scripts(?!.*same-origin)/,
        ) as string,
        'x-content-type-options': 'nosniff',
      });
    }
    const own = { ...html, headers: { ...html.headers, 'content-security-policy': 'img-src *' } };
    const { headers: both } = await answerWith(own, headers);
    expect(both['content-security-policy']).toMatch(/^img-src \*, sandbox/);
  });

  it('is as the function gave it for programs and scripts', async () => {
    for (const headers of [{ accept: '*/*' }, { 'sec-fetch-mode': 'cors', accept: 'text/html' }]) {
      expect((await answerWith(html, headers)).headers).not.toHaveProperty(
        'content-security-policy',
      );
    }
  });
});

describe('a program', () => {
  it.each([
    ['may not be executed', '126', ['./run.txt'], 'chmod +x'],
    ['is not there', '127', ['not-there'], 'name a file of the function'],
  ])('that %s is told with what to do', async (_, code, command, advice) => {
    const name = `exit-${code}`;
    await gate.deploy(name, {
      'axle-function.json': JSON.stringify({ name, command }),
      'run.txt': '#!/bin/sh\n',
    });
    const { status, text } = await gate.ask('GET', `/function/${name}`);
    expect(status).toBe(500);
    expect(text).toContain(`exit code ${code}: `);
    expect(text).toContain(advice);
  });
});
