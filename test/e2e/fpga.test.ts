// The FPGA plugin on our own XRT, whose card is the kernels as Verilator runs them: all of the plugin, down to the clock
// edge. No card takes part, and nothing here says how fast one would be.
import { execFile, execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { connect, type Client } from 'axle';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { mixed } from './mixed.js';
import { emulatedFpga, noEmulatedFpga, type BuiltPlugin } from './plugins.js';

const block = 64 * 1024;
const toLz4 = { device: 'fpga-xrt', strict: true, codec: 'lz4' } as const;

function lz4(args: readonly string[], input: Uint8Array): Buffer {
  const stdio = ['pipe', 'pipe', 'ignore'] as const;
  return execFileSync('lz4', ['-c', ...args], { input, stdio: [...stdio], maxBuffer: 2 ** 30 });
}

beforeEach(({ skip }) => {
  if (noEmulatedFpga !== undefined) skip(noEmulatedFpga);
});

describe('lz4 by the kernel', () => {
  let client: Client;
  beforeAll(async () => {
    client = await connect({ plugins: [{ name: 'fpga-xrt', ...emulatedFpga }] });
  });
  afterAll(() => client.close());

  it('is on a device that says that it is emulated', async () => {
    const { devices } = await client.devices();
    const [card] = devices.filter(({ backend }) => backend === 'fpga-xrt');
    expect(card).toMatchObject({
      id: 'fpga-xrt:0',
      kind: 'FPGA',
      emulated: true,
      health: 'OK',
    });
    expect(card?.name).toMatch(/^Emulated FPGA 0 \(no hardware\), image 61786c65-/);
  });

  it.each([
    ...[0, 1, 4, 5, 12, 13, 14, 64, 270, 271, 4095],
    ...[block - 1, block, block + 1, 2 * block + 13],
  ])('of %i bytes is read by the lz4 tool and by the CPU plugin', async (bytes) => {
    for (const data of [mixed(bytes), Buffer.alloc(bytes), randomBytes(bytes)]) {
      const { data: packed, device } = await client.compress(data, toLz4);
      expect(device).toBe('fpga-xrt:0');
      expect(lz4(['-d'], packed).equals(data)).toBe(true);
      const unpacked = await client.decompress(packed, { device: 'cpu', strict: true });
      expect(unpacked.data.equals(data)).toBe(true);
    }
  });

  it('of more than the card has at once comes in order, and the same whoever else is there', async () => {
    const data = Buffer.concat([randomBytes(3 * block), mixed(9 * block), randomBytes(100)]);
    const alone = (await client.compress(data, toLz4)).data;
    expect(lz4(['-d'], alone).equals(data)).toBe(true);
    const others = await Promise.all(Array.from({ length: 4 }, () => client.compress(data, toLz4)));
    for (const { data: packed } of others) expect(packed.equals(alone)).toBe(true);
  });

  it('is about as small as that of lz4 -1 -B4', async () => {
    const text = readFileSync(fileURLToPath(import.meta.url));
    const data = Buffer.concat(Array.from({ length: 20 }, (_, i) => text.subarray(i * 97)));
    const { data: packed } = await client.compress(data, toLz4);
    expect(packed.length).toBeLessThan(lz4(['-1', '-B4'], data).length / 0.9);
  });

  it.each([{ codec: 'zstd' }, { codec: 'lz4', level: 3 }] as const)(
    'does not stand for %j, which others do',
    async (asked) => {
      const on = { device: 'fpga-xrt', strict: true } as const;
      const refused = client.compress(Buffer.alloc(10), { ...asked, ...on });
      await expect(refused).rejects.toThrow(
        /fpga-xrt (has a kernel for codec 2|compresses lz4 with)/,
      );
      const { device } = await client.compress(Buffer.alloc(10), asked);
      expect(device).toBe('cpu-fallback:0');
    },
  );
});

interface Outcome {
  readonly first: string;
  readonly second: string;
  readonly fallback: string;
  readonly health?: string;
  readonly reason?: string;
}

async function outcomeOf(
  fault: string,
  options: Readonly<Record<string, string>> = {},
): Promise<Outcome> {
  const script = fileURLToPath(new URL('fpga-emulation.mjs', import.meta.url));
  const plugin: BuiltPlugin = { ...emulatedFpga, options: { ...emulatedFpga.options, ...options } };
  const run = await promisify(execFile)(
    process.execPath,
    [script, JSON.stringify({ name: 'fpga-xrt', ...plugin })],
    { env: { ...process.env, AXLE_EMULATED_XRT: fault } },
  );
  return JSON.parse(run.stdout) as Outcome;
}

describe('an XRT or a card that fails', () => {
  it.each([
    ['none', 'XRT shows no card'],
    ['abort', 'XRT ends its process (signal 6)'],
    ['load', 'card 0 does not take'],
    ['uuid', 'holds the image 60786c65-'],
    ['kernel', 'has no kernel axle_lz4_compress'],
    ['memory', 'the card has no room'],
  ])('by "%s" leaves the plugin unavailable, and the process alive', async (fault, reason) => {
    const outcome = await outcomeOf(fault);
    expect(outcome.reason).toContain(reason);
    expect(outcome.fallback).toBe('cpu-fallback:0');
  });

  it.each([
    ['error', 'UNAVAILABLE: ', 'the card ended a run with an error'],
    // As on the noop device of XRT, which says that a run is done and has not begun it.
    ['idle', 'INTERNAL: ', "the kernel's record is wrong: status 0"],
  ])('by "%s" fails the task and gives no wrong bytes', async (fault, code, reason) => {
    const { first, health } = await outcomeOf(fault);
    expect(first).toContain(code);
    expect(first).toContain(reason);
    expect(health).toBe('OK');
  });

  it('by runs that never end is lost after the time-out, and later tasks do not wait', async () => {
    // Two blocks a task: the third task is the first one that hangs.
    const outcome = await outcomeOf('hang-later', { run_timeout_ms: '300' });
    expect(outcome.first).toBe('fpga-xrt:0');
    expect(outcome.second).toBe('fpga-xrt:0');
    expect(outcome.fallback).toBe('cpu-fallback:0');
    const { first, second, health } = await outcomeOf('hang', { run_timeout_ms: '300' });
    expect(first).toMatch(/^UNAVAILABLE: .*did not end in 300 ms/);
    expect(second).toMatch(/^UNAVAILABLE: /);
    expect(health).toBe('LOST');
  });
});

describe('an image', () => {
  const folder = mkdtempSync(join(tmpdir(), 'axle-fpga-'));
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  it.each<[string, (image: Buffer) => Buffer, string]>([
    ['is cut off', (image) => image.subarray(0, image.length - 1), 'says that it has'],
    ['is no xclbin', () => Buffer.alloc(5000, 'x'), 'is no xclbin'],
    ['is empty', () => Buffer.alloc(0), 'is no xclbin'],
    [
      'has a section outside of it',
      (image) =>
        Buffer.concat([image.subarray(0, 456 + 24), Buffer.alloc(8, 255), image.subarray(488)]),
      'has a damaged head',
    ],
    [
      'has no UUID',
      (image) => Buffer.concat([image.subarray(0, 416), Buffer.alloc(16), image.subarray(432)]),
      'has no UUID',
    ],
  ])('that %s is refused with the reason', async (_, spoil, reason) => {
    const path = join(folder, 'image.xclbin');
    writeFileSync(path, spoil(readFileSync(emulatedFpga.options['xclbin'] ?? '')));
    const options = { ...emulatedFpga.options, xclbin: path };
    await using client = await connect({
      plugins: [{ name: 'fpga-xrt', path: emulatedFpga.path, options }],
    });
    const { unavailable } = await client.devices();
    const [found] = unavailable.filter(({ backend }) => backend === 'fpga-xrt');
    expect(found?.reason).toContain(reason);
  });
});
