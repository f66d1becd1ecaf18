import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { afterAll, describe, expect, it } from 'vitest';

import { runTarget } from './run-target.mjs';
import { scriptTargets } from './targets.mjs';

const targets = [...(await scriptTargets())];
const folder = mkdtempSync(join(tmpdir(), 'axle-fuzz-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** A target that is compiled where coverage looks: in a folder named dist. */
function planted(name: string, parse: string): string {
  const dist = join(folder, 'dist');
  const path = join(folder, `${name}.mjs`);
  mkdirSync(dist, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{"type": "module"}');
  writeFileSync(join(dist, `${name}.js`), `export function parse(bytes) { ${parse} }`);
  writeFileSync(
    path,
    `import { parse } from './dist/${name}.js';
     export const target = { about: '', run: parse, seeds: () => ['seed'] };`,
  );
  return pathToFileURL(path).href;
}

describe('fuzzing', () => {
  it.each(targets)('finds nothing in %s', { timeout: 120_000 }, async (_name, { url }) => {
    const outcome = await runTarget(url, { seed: 1, seconds: 2 });
    expect(outcome).toMatchObject({ progress: expect.anything() as unknown });
    const { runs, corpus } = 'progress' in outcome ? outcome.progress : { runs: 0, corpus: 0 };
    expect(runs).toBeGreaterThan(100);
    expect(corpus).toBeGreaterThan(3);
  });

  it('finds by coverage what chance alone would not', { timeout: 120_000 }, async () => {
    const url = planted(
      'magic',
      `if (bytes[0] === 0x41) { if (bytes[1] === 0x58) {
         if (bytes[2] === 0x4c) throw new Error('planted'); } }`,
    );
    const outcome = await runTarget(url, { seed: 1, seconds: 60 });
    expect(outcome).toMatchObject({ problem: expect.stringContaining('planted') as string });
    const input = 'input' in outcome ? outcome.input : Buffer.alloc(0);
    expect(input.subarray(0, 3).toString()).toBe('AXL');
    expect(await runTarget(url, { replay: input })).toMatchObject({
      problem: expect.stringContaining('planted') as string,
    });
    expect(await runTarget(url, { replay: Buffer.from('AX') })).toHaveProperty('progress');
  });

  it('finds memory without bound, and an end without error', async () => {
    const hungry = planted(
      'hungry',
      'const all = []; for (;;) all.push(new Array(1e5).fill(0.5));',
    );
    expect(await runTarget(hungry, { seed: 1, seconds: 60 })).toMatchObject({
      problem: expect.stringContaining('memory') as string,
    });
    const leaving = planted('leaving', 'process.exit(0);');
    expect(await runTarget(leaving, { seed: 1, seconds: 60 })).toHaveProperty('problem');
  });

  it('finds an input that never ends', async () => {
    const url = planted('endless', 'if (bytes.length === 4) for (;;);');
    const outcome = await runTarget(url, { seed: 1, seconds: 1 }, 500);
    expect(outcome).toMatchObject({ problem: 'it took more than 500 ms' });
    expect('input' in outcome && outcome.input.toString()).toBe('seed');
  });
});

describe('npm run fuzz', () => {
  const fuzz = (...args: string[]) =>
    spawnSync(process.execPath, [join(import.meta.dirname, 'main.mjs'), ...args], {
      encoding: 'utf8',
    });

  it('lists its targets and says how it is used', () => {
    const { stdout, status } = fuzz('--list');
    for (const [name] of targets) expect(stdout).toContain(name);
    expect(stdout).toContain('archives');
    expect(status).toBe(0);
    expect(fuzz('--help')).toMatchObject({ status: 0 });
    for (const wrong of [[], ['nothing'], ['npy', '--seconds', 'x'], ['npy', '--what']]) {
      expect(fuzz(...wrong)).toMatchObject({ status: 2, stderr: /^fuzz: .*\n$/ });
    }
  });

  it('prints its seed, and runs a saved input again', () => {
    const run = fuzz('image-head', '--seconds', '1', '--seed', '5');
    expect(run).toMatchObject({ status: 0, stdout: expect.stringContaining('seed 5') as string });
    const file = join(folder, 'input');
    writeFileSync(file, 'any');
    expect(fuzz('npy', '--replay', file)).toMatchObject({ status: 0 });
  });
});
