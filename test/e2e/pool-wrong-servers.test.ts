import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';

import { shippedModels } from 'axle';
import { afterAll, describe, expect, it, vi } from 'vitest';

import { BadLink, spoils } from './bad-link.js';
import { describeWhere } from './describe-where.js';
import { expectNoHarm, LoadClient } from './load-client.js';
import { effectServer, open, poolOf } from './pool-kit.js';
import { axlePath, bytesOf, folder, serveUnix } from './serve.js';
import { afterTest } from './tenants-server.js';

const waitMs = 30_000;
const sample = readFileSync(join(shippedModels, 'samples', 'A.png'));
const skewedClock = new URL('skewed-clock.mjs', import.meta.url).href;
const isRoot = process.platform === 'linux' && process.getuid?.() === 0;
const noTimeSpaces =
  isRoot && spawnSync('unshare', ['--time', '--monotonic', '7', 'true']).status === 0
    ? undefined
    : 'only root makes time namespaces, and not everywhere';
const noMountSpaces =
  isRoot && spawnSync('unshare', ['--mount', 'true']).status === 0
    ? undefined
    : 'only root makes mount namespaces, and not everywhere';
const processes: ChildProcess[] = [];

afterAll(() => {
  for (const child of processes) child.kill('SIGKILL');
});

function pathOf(name: string): string {
  return join(folder, `${name}.sock`);
}

/** A command that ends up as `axle serve` on a socket of that name. */
async function serveBy(
  name: string,
  command: readonly string[],
  environment: NodeJS.ProcessEnv = {},
): Promise<ChildProcess> {
  const [program = '', ...args] = command;
  const server = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, TMPDIR: folder, ...environment },
  });
  processes.push(server);
  const [line] = (await once(createInterface(server.stdout), 'line')) as [string];
  expect(line).toContain(pathOf(name));
  return server;
}

/** The same model in other bytes: one more field at the end, a doc_string of ModelProto (6, text). */
function withAnotherText(model: Buffer): Buffer {
  return Buffer.concat([model, Buffer.from([0x32, 4]), Buffer.from('mine')]);
}

describe('a server that answers wrongly', () => {
  it('harms no call, whatever it says, and is used again when it speaks as it should', async () => {
    const effects = ['right', 'wrong'].map((name) => join(folder, `effects-${name}`));
    for (const file of effects) writeFileSync(file, '');
    const [right = '', wrong = ''] = effects;
    await effectServer('right', right);
    await effectServer('behind', wrong);
    const link = await BadLink.at(pathOf('wrong'), pathOf('behind'));
    afterTest(() => link.close());
    const client = await LoadClient.start(
      poolOf('right', 'wrong'),
      'misled',
      join(folder, 'acks-misled'),
      { ops: 'append,reverse' },
    );
    const effectsOf = () => readFileSync(wrong, 'utf8').length;
    const isUsed = async () => {
      const before = effectsOf();
      await vi.waitUntil(() => effectsOf() > before, { timeout: waitMs });
    };
    const pauses: string[] = [];
    for (const [how, spoil] of Object.entries(spoils)) {
      await isUsed();
      client.forget();
      link.spoil = spoil;
      await client.more(100, 'reverse');
      link.mend();
      await client.more(20, 'append', 'reverse');
      pauses.push(`${how} ${(await client.figures()).longestMs.reverse.toFixed(0)} ms`);
    }
    await isUsed();
    const figures = await client.stop();
    console.log(`longest time without an answer to a kind of call: ${pauses.join(', ')}`);
    console.log(expectNoHarm([client], [figures], effects));
  });
});

describeWhere(noTimeSpaces, 'servers whose clocks are hours off', () => {
  it('keep deadlines as all others do, which travel as the time that is left', async () => {
    const serve = (name: string) => [axlePath, 'serve', '--listen', `unix:${pathOf(name)}`];
    const hourMs = 3_600_000;
    // Both what time it is and what time has passed since the machine was started.
    await serveBy(
      'ahead',
      [
        ...[
          'unshare',
          '--time',
          '--monotonic',
          '18000',
          '--boottime',
          '18000',
          '--kill-child',
          '--',
        ],
        ...[process.execPath, ...serve('ahead')],
      ],
      { NODE_OPTIONS: `--import=${skewedClock}`, AXLE_TEST_SKEW_MS: String(5 * hourMs) },
    );
    await serveBy('behindhand', [process.execPath, ...serve('behindhand')], {
      NODE_OPTIONS: `--import=${skewedClock}`,
      AXLE_TEST_SKEW_MS: String(-7 * hourMs),
    });
    await serveUnix('ontime.sock');
    const names = ['ahead', 'behindhand', 'ontime'];
    const client = await open(poolOf(...names));
    const input = bytesOf(20_000);
    for (const device of names) {
      const { steps } = await client.compress(input, { device, strict: true, deadlineMs: 20_000 });
      expect(steps[0]?.device).toBe(`${device}/cpu-fallback:0`);
      // One that is over at once is refused everywhere, on time.
      const began = performance.now();
      const late = client.compress(bytesOf(3_000_000), {
        ...{ device, strict: true, deadlineMs: 1 },
        ...{ codec: 'gzip' as const, level: 9 },
      });
      await expect(late).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
      expect(performance.now() - began).toBeLessThan(waitMs);
    }
    const results = await client.compress(
      Array.from({ length: 60 }, () => input),
      { deadlineMs: 20_000 },
    );
    expect(new Set(results.map(({ steps }) => steps[0]?.device.split('/')[0])).size).toBe(3);
  });
});

describeWhere(noMountSpaces, 'a server whose disk is full', () => {
  it('takes no models of clients, and the pool finds one that does', async () => {
    const store = join(folder, 'full-store');
    mkdirSync(store);
    const serve = `"${process.execPath}" "${axlePath}" serve --listen "unix:${pathOf('full')}" --store "${store}"`;
    const script = `mount -t tmpfs -o size=256k tmpfs "${store}" && exec ${serve}`;
    const { pid } = await serveBy('full', ['unshare', '--mount', 'sh', '-c', script]);
    const filler = ['dd', 'if=/dev/zero', `of=${join(store, 'filler')}`, 'bs=4k'];
    const { stderr } = spawnSync('nsenter', ['--target', String(pid), '--mount', ...filler]);
    expect(String(stderr)).toContain('No space left on device');
    const fullOnly = await open(poolOf('full'));
    const mine = join(folder, 'mine');
    cpSync(join(shippedModels, 'glyphs'), mine, { recursive: true });
    // Another model than the one that servers have.
    const config = join(mine, 'config.pbtxt');
    const text = readFileSync(config, 'utf8').replace(/glyphs/g, 'mine');
    writeFileSync(config, text);
    const onnx = join(mine, '1', 'model.onnx');
    writeFileSync(onnx, withAnotherText(readFileSync(onnx)));
    // With nothing else it says so.
    await expect(fullOnly.classify(sample, { model: mine })).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
    });
    await serveUnix('roomy.sock');
    const client = await open(poolOf('full', 'roomy'));
    for (let i = 0; i < 20; i++) {
      const { results, steps } = await client.classify(sample, { model: mine });
      expect(results[0]).toMatchObject({ label: 'A' });
      expect(steps.at(-1)?.device).toBe('roomy/cpu-fallback:0');
    }
    // What needs no disk runs there all the same.
    const input = bytesOf(1000);
    const { steps } = await client.compress(input, { device: 'full', strict: true });
    expect(steps[0]?.device).toBe('full/cpu-fallback:0');
  });
});
