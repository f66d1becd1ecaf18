import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { CallStore } from '../src/async/call-store.js';
import type { QueuedCall } from '../src/async/queued-call.js';

let folder: string;
let lines: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'axle-queue-'));
  lines = [];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const open = (): Promise<CallStore> => CallStore.open(folder, (line) => lines.push(line));

function callOf(id: number): QueuedCall {
  const request = { method: 'POST', path: '/', query: '', headers: {}, callbackUrl: undefined };
  return { id: String(id), functionName: 'f', ...request, acceptedAt: '', attempts: 0 };
}

/** Of calls from 1; all at once. */
async function add(store: CallStore, count: number, bodyBytes: number): Promise<void> {
  const numbers = Array.from({ length: count }, (_, i) => i + 1);
  await Promise.all(
    numbers.map((number) => store.add(number, callOf(number), Buffer.alloc(bodyBytes, number))),
  );
}

async function numbersOf(store: CallStore): Promise<number[]> {
  const numbers: number[] = [];
  for await (const { number } of store.all()) numbers.push(number);
  return numbers;
}

describe('the queue on disk', () => {
  it('takes many at once, each with its own body, and more than go to the disk together', async () => {
    const store = await open();
    await add(store, 30, 1024 * 1024);
    await Promise.all([store.remove(3), store.noteAttempt(4, { ...callOf(4), attempts: 2 })]);
    await store.close();
    const again = await open();
    expect(await numbersOf(again)).toEqual([1, 2, ...Array.from({ length: 27 }, (_, i) => i + 4)]);
    expect((await again.read(4)).attempts).toBe(2);
    expect((await again.body(7, 'body')).equals(Buffer.alloc(1024 * 1024, 7))).toBe(true);
    expect((await again.body(3, 'body')).byteLength).toBe(0);
    await again.close();
    expect(lines).toEqual([]);
  });

  it('that is none is not opened, and told with its folder', async () => {
    await (await open()).close();
    writeFileSync(join(folder, 'CURRENT'), 'nothing\n');
    await expect(open()).rejects.toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringContaining(`the queue in ${folder} cannot be opened: `) as string,
    });
  });

  it('tells the operator what of it was lost', async () => {
    const store = await open();
    for (const number of [1, 2, 3]) await store.add(number, callOf(number), Buffer.alloc(100));
    await store.close();
    const [log = ''] = readdirSync(folder).filter((name) => name.endsWith('.log'));
    const bytes = readFileSync(join(folder, log));
    bytes[20] = 255 - (bytes[20] as number);
    writeFileSync(join(folder, log), bytes);
    const again = await open();
    expect(await numbersOf(again)).not.toContain(1);
    await again.close();
    expect(lines).toEqual([
      expect.stringMatching(
        /^the queue in \S+ was damaged: \d+ bytes of its log could not be read/,
      ),
    ]);
  });
});
