import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Answer } from '../../test/e2e/faas/gate-client.js';
import { password, TestFrontEnd } from './front-end.js';
import { signed } from './signed.js';

let gate: TestFrontEnd;

/** Fails in the way that its payload names. */
const poser = `
import { AxleError } from 'axle';
class OutOfStock extends Error {}
const ways = {
  type: () => { throw new TypeError('is no list'); },
  class: () => { throw new OutOfStock('none left'); },
  text: () => { throw 'just text'; },
  axle: () => { throw new AxleError('NOT_FOUND', 'no such model'); },
  late: () => { throw new AxleError('DEADLINE_EXCEEDED', 'the pool took too long'); },
  exit: () => process.exit(3),
  signal: () => process.kill(process.pid, 'SIGKILL'),
  hang: () => new Promise(() => undefined),
  large: () => 'x'.repeat(7 * 1024 * 1024),
  none: () => ({ status: 999 }),
  refuse: () => ({ status: 422, body: 'no' }),
  getter: () => { throw Object.defineProperty(new Error('x'), 'stack', { get() { throw new Error('look'); } }); },
  evil: () => { throw new Proxy(new Error('x'), { get() { throw new Error('look'); } }); },
};
export default async (event) => ways[await event.json()]();`;

beforeAll(async () => {
  gate = await TestFrontEnd.start();
  await gate.deploy('poser', poser, { envVars: { exec_timeout: '1500ms' } });
});
afterAll(() => gate.close());

function invoke(name: string, payload: string): Promise<Answer> {
  const path = `/2015-03-31/functions/${name}/invocations`;
  const body = JSON.stringify(payload);
  return gate.ask('POST', path, { body, headers: signed(gate.url, path, body, password) });
}

interface Failure {
  readonly errorType: string;
  readonly errorMessage: string;
  readonly trace?: readonly string[];
}

const failureOf = ({ text }: Answer): Failure => JSON.parse(text) as Failure;
/** As an SDK reads it: it repeats no call that was answered with 200. */
const unhandled = { status: 200, headers: { 'x-amz-function-error': 'Unhandled' } };

describe("Lambda's door", () => {
  it.each([
    ['type', 'TypeError', 'is no list'],
    ['class', 'OutOfStock', 'none left'],
    ['axle', 'AxleError', 'no such model'],
    ['late', 'AxleError', 'the pool took too long'],
  ])('tells what a handler throws as it threw it: %s', async (way, errorType, errorMessage) => {
    const answer = await invoke('poser', way);
    expect(answer).toMatchObject(unhandled);
    const { trace = [], ...rest } = failureOf(answer);
    expect(rest).toEqual({ errorType, errorMessage });
    expect(trace[0]).toContain(errorMessage);
    expect(trace[1]).toMatch(/^ +at .*handler\.mjs:\d+/);
    expect(trace.length).toBeLessThanOrEqual(32);
  });

  it('tells what is thrown and is no error by its type', async () => {
    expect(failureOf(await invoke('poser', 'text'))).toEqual({
      errorType: 'string',
      errorMessage: 'just text',
      trace: [],
    });
    for (const way of ['evil', 'getter']) {
      expect(failureOf(await invoke('poser', way))).toMatchObject({
        errorType: 'Runtime.Unknown',
        errorMessage: expect.stringContaining('what throws when it is looked at') as string,
      });
    }
  });

  it.each([
    ['exit', 'Runtime.ExitError', /^RequestId: [\w-]{36} Error: the instance ended: exit code 3$/],
    ['signal', 'Runtime.ExitError', /the instance ended: SIGKILL$/],
    [
      'hang',
      'Sandbox.Timedout',
      /^RequestId: [\w-]{36} Error: Task timed out after 1\.50 seconds$/,
    ],
    ['none', 'Runtime.Unknown', /the function answered with the status 999/],
    ['large', 'Function.ResponseSizeTooLarge', /the answer has more than 6291456 bytes/],
  ])('answers for a function that ends by %s, as AWS does', async (way, errorType, message) => {
    const answer = await invoke('poser', way);
    expect(answer).toMatchObject(unhandled);
    expect(answer.headers['x-amzn-requestid']).toMatch(/^[\w-]{36}$/);
    expect(failureOf(answer)).toMatchObject({
      errorType,
      errorMessage: expect.stringMatching(message) as string,
    });
  });

  it('answers for a program that fails', async () => {
    const manifest = JSON.stringify({ name: 'fails', command: ['./run.sh'] });
    const files = { 'axle-function.json': manifest, 'run.sh': '#!/bin/sh\nexit 9\n' };
    await gate.deploy('fails', files);
    const answer = await invoke('fails', 'x');
    expect(answer).toMatchObject(unhandled);
    expect(failureOf(answer)).toMatchObject({
      errorType: 'Runtime.ExitError',
      errorMessage: expect.stringContaining('exit code 9') as string,
    });
  });

  it('tells what a module throws while it is loaded', async () => {
    await gate.deploy('unable', 'null.x; export default () => 1');
    const answer = await invoke('unable', 'x');
    expect(answer).toMatchObject(unhandled);
    expect(failureOf(answer)).toMatchObject({
      errorType: 'TypeError',
      errorMessage: expect.stringMatching(/^Cannot read properties of null/) as string,
      trace: expect.arrayContaining([expect.stringContaining('handler.mjs')]) as string[],
    });
  });

  it('lets clients try again what the front end is to blame for', async () => {
    await gate.system('POST', '/system/secrets', { name: 'key', value: 'x' });
    await gate.deploy('keyless', 'export default () => 1', {
      ...{ secrets: ['key'] },
      labels: { 'com.openfaas.scale.min': '0', 'com.openfaas.scale.zero': 'true' },
    });
    await gate.stop();
    await rm(join(gate.place, 'state', 'secrets', 'key'));
    await gate.open();
    expect(await invoke('keyless', 'x')).toMatchObject({
      status: 502,
      headers: { 'x-amzn-errortype': 'ResourceNotReadyException' },
    });
  });

  it('keeps what a function answers with by itself', async () => {
    expect(await invoke('poser', 'refuse')).toMatchObject({
      status: 200,
      text: 'no',
      headers: { 'x-amz-function-error': 'Handled' },
    });
  });
});
