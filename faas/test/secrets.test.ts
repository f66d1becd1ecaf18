import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { Answer } from '../../test/e2e/faas/gate-client.js';
import { secretBytesMax } from '../src/secrets/secret-store.js';
import { TestFrontEnd } from './front-end.js';

/** Tries of an asynchronous call that is given up; a test waits for none of them. */
const attemptsMax = 8;

let gate: TestFrontEnd;
const attempts: number[] = [];
beforeEach(async () => {
  attempts.length = 0;
  const backOffMs = (attempt: number): number => {
    attempts.push(attempt);
    return 1;
  };
  gate = await TestFrontEnd.start({ asynchronous: { attemptsMax, backOffMs } });
});
afterEach(() => gate.close());

const tellsKey = 'export default (event, { secrets }) => secrets.get("key").toString()';
const put = (method: string, value: string): Promise<Answer> =>
  gate.system(method, '/system/secrets', { name: 'key', value });
const remove = (): Promise<Answer> => gate.system('DELETE', '/system/secrets', { name: 'key' });

const file = (): string => join(gate.place, 'state', 'secrets', 'key');

/** As a copy of the state is that was not whole. */
async function whileStopped(change: () => Promise<void>): Promise<void> {
  await gate.stop();
  await change();
  await gate.open();
}

async function failureOf(name: string): Promise<unknown> {
  const { text } = await gate.system('GET', `/system/function/${name}`);
  return (JSON.parse(text) as { failure?: unknown }).failure;
}

describe('a secret', () => {
  it.each([
    [{ rawValue: '!!!!' }, 'rawValue is no base64'],
    [{ rawValue: 'c2VjcmV0=' }, 'rawValue is no base64'],
    [{ rawValue: 7 }, 'rawValue is no base64'],
    [{ value: 7 }, 'value is to be text'],
    [{ value: 'a', rawValue: 'YQ==' }, 'give one of them'],
    [{}, 'has no value'],
  ])('is refused as %j, without a word of it', async (fields, message) => {
    const answer = await gate.system('POST', '/system/secrets', { name: 'key', ...fields });
    expect([answer.status, answer.text]).toEqual([400, expect.stringContaining(message)]);
  });

  it('is what base64 says', async () => {
    const rawValue = Buffer.from('s3cr\u00e9t').toString('base64');
    await gate.system('POST', '/system/secrets', { name: 'key', value: '', rawValue });
    await gate.deploy('first', tellsKey, { secrets: ['key'] });
    expect((await gate.ask('GET', '/function/first')).text).toBe('s3cr\u00e9t');
  });

  it('in use is not removed, and its users are told', async () => {
    await put('POST', 'one');
    await gate.deploy('first', tellsKey, { secrets: ['key'] });
    await gate.deploy('second', tellsKey, { secrets: ['key'] });
    expect(await remove()).toMatchObject({
      status: 409,
      headers: { 'axle-code': 'ABORTED' },
      text: 'the secret key is used by first, second; deploy without it, or remove them, first\n',
    });
    expect((await gate.ask('GET', '/function/first')).text).toBe('one');
    for (const functionName of ['first', 'second'])
      await gate.system('DELETE', '/system/functions', { functionName });
    expect((await remove()).status).toBe(202);
  });

  it.each([
    ['made again', 'POST', 201, () => rm(file())],
    ['put in order', 'PUT', 202, () => writeFile(file(), Buffer.alloc(secretBytesMax + 1))],
  ])('that is %s lets the functions start that waited for it', async (_, method, status, spoil) => {
    await put('POST', 'one');
    await gate.deploy('waits', tellsKey, { secrets: ['key'] });
    await whileStopped(spoil);
    // Several tries in vain: the next one is seconds away.
    await expect.poll(() => attemptsOf('waits'), { timeout: 20_000 }).toBeGreaterThan(5);
    expect(await failureOf('waits')).toBeDefined();
    const since = performance.now();
    expect((await put(method, 'two')).status).toBe(status);
    expect((await gate.ask('GET', '/function/waits')).text).toBe('two');
    // The next try was more than three seconds away.
    expect(performance.now() - since).toBeLessThan(3000);
    expect(await failureOf('waits')).toBeUndefined();
  });

  it('that is missing costs an asynchronous call a try, as all that keeps a function from running', async () => {
    await put('POST', 'one');
    await gate.deploy('waits', tellsKey, { secrets: ['key'] });
    await whileStopped(() => rm(file()));
    await gate.ask('POST', '/async-function/waits', { headers: { 'x-call-id': 'patient' } });
    const letters = async () => (await gate.system('GET', '/axle/v1/dead-letters')).text;
    await expect.poll(letters).toContain('patient');
    expect(JSON.parse(await letters())).toMatchObject([
      { id: 'patient', step: 'call', attempts: attemptsMax },
    ]);
    expect(attempts).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });
});

/** Starts of it that failed, by its log. */
async function attemptsOf(name: string): Promise<number> {
  const { text } = await gate.system('GET', `/system/logs?name=${name}`);
  return text.split('\n').filter((line) => line.includes('(did not start')).length;
}
