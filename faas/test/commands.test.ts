import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { isRunning, RunningFunctions, textOf } from './running-functions.js';

const mebibyte = 1024 ** 2;
/** Of an end that nobody else tells of. */
const gone = { timeout: 30_000, interval: 5 };

let functions: RunningFunctions;
beforeAll(async () => {
  functions = await RunningFunctions.open({ graceMs: 100 });
  functions.secrets.set('key', Buffer.from('a secret'));
});
afterAll(() => functions[Symbol.asyncDispose]());

describe('a command', () => {
  it('gets the body and gives the answer', async () => {
    await functions.deploy('upper', '', {
      manifest: { command: ['bin/upper.sh', 'x'] },
      files: {
        'bin/upper.sh':
          '#!/bin/sh\necho "$1 $Http_X_Name $Http_Query $(cat $AXLE_SECRETS/key)"\nexec tr a-z A-Z\n',
      },
    });
    const answer = await functions.call('upper', {
      query: 'q',
      headers: { 'x-name': 'of call' },
      body: Buffer.from('body'),
    });
    expect(await textOf(answer)).toBe('x of call q a secret\nBODY');
    await functions.deploy('cat', '', { manifest: { command: ['cat'] } });
    expect(await functions.text('cat', 'y'.repeat(3 * mebibyte))).toHaveLength(3 * mebibyte);
  });

  it('that fails, is over its memory or runs too long is ended with all that it started', async () => {
    await functions.deploy('fails', '', {
      manifest: { command: ['sh', '-c', 'echo why >&2; exit 4'] },
    });
    await expect(functions.call('fails')).rejects.toMatchObject({
      code: 'INTERNAL',
      message: 'the program ended: exit code 4',
    });
    await functions.line(/^why$/);
    await functions.deploy('sleeps', '', {
      manifest: { command: ['sh', '-c', 'sleep 1000 & echo $! >&2; wait'], timeoutMs: 1500 },
    });
    await expect(functions.call('sleeps')).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    const { text } = await functions.line(/^\d+$/);
    await expect.poll(() => isRunning(Number(text)), gone).toBe(false);
  });

  it('ends with its program, whatever it left behind that holds its output', async () => {
    await functions.deploy('leaves', '', {
      manifest: {
        command: ['sh', '-c', 'setsid sleep 1000 & head -c 300000 /dev/zero; echo end'],
      },
    });
    const text = await functions.text('leaves');
    expect([text.length, text.slice(-4)]).toEqual([300_004, 'end\n']);
  });

  it('that cannot be given a call fails it, and takes the next', async () => {
    await functions.deploy('long', '', {
      manifest: { command: ['cat'] },
      scaling: { inFlightMax: 1, queueMax: 1 },
    });
    // More than the kernel lets a program's environment have.
    const names = Array.from({ length: 120 }, (_, i) => `x-long-${i}`);
    const headers = Object.fromEntries(names.map((name) => [name, 'x'.repeat(30_000)]));
    const calls = [1, 2].map(() => functions.call('long', { headers }));
    for (const call of calls) {
      await expect(call).rejects.toMatchObject({
        code: 'INTERNAL',
        message: /cannot take the call/,
      });
    }
    expect(await functions.text('long', 'fine')).toBe('fine');
  });
});
