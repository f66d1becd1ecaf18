import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { expect, it } from 'vitest';

const built = new URL('../dist/server/server-heap.js', import.meta.url).href;

/** How far a heap may grow after a full collection, in parts of what lived, of a process that V8 keeps small. */
async function growthAfter(first: string): Promise<number> {
  const program = `${first}
    globalThis.lives = Array.from({ length: 200_000 }, (_, i) => ({ i }));
    globalThis.gc();`;
  const flags = ['--optimize-for-size', '--trace-gc-verbose', '--expose-gc'];
  const args = [...flags, '--input-type=module', '--eval', program];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args);
  expect(stderr).toBe('');
  const limits = [
    ...stdout.matchAll(/\[HeapController\] Limit: old size: (\d+) KB, new limit: (\d+) KB/g),
  ];
  const [, lives, limit] = limits.at(-1) ?? [];
  return Number(limit) / Number(lives);
}

it('lets the heap of a server grow where V8 would collect it soon', async () => {
  expect(await growthAfter('')).toBeLessThan(2);
  const letGrow = `const { setUpServerHeap } = await import(${JSON.stringify(built)}); setUpServerHeap();`;
  expect(await growthAfter(letGrow)).toBeGreaterThan(3.5);
});
