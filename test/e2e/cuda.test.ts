// The CUDA plugin on its emulated driver: all of its host code, and its kernels as this machine's compiler made them. No
// GPU takes part, and nothing here says how fast one would be.
import { execFile, execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { connect, type Client, type DeviceReport } from 'axle';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { mixed } from './mixed.js';
import { emulatedCuda, emulatedCudaDevice } from './plugins.js';

const plugin = { name: 'cuda', ...emulatedCuda };
const onCuda = { device: 'cuda', strict: true } as const;
const toLz4 = { ...onCuda, codec: 'lz4' } as const;

let client: Client;
beforeAll(async () => {
  client = await connect({ plugins: [plugin] });
});
afterAll(() => client.close());

function lz4(args: readonly string[], input: Uint8Array): Buffer {
  const stdio = ['pipe', 'pipe', 'ignore'] as const;
  return execFileSync('lz4', ['-c', ...args], { input, stdio: [...stdio], maxBuffer: 2 ** 30 });
}

const chunk = 64 * 1024;

describe('lz4 by the kernels', () => {
  it('is on a device that says that it is emulated', async () => {
    const { devices } = await client.devices();
    const [gpu] = devices.filter(({ backend }) => backend === 'cuda');
    expect(gpu).toMatchObject({
      id: emulatedCudaDevice,
      kind: 'GPU',
      emulated: true,
      health: 'OK',
    });
    expect(gpu?.name).toMatch(/^Emulated GPU 0 \(no hardware\)/);
  });

  // Around every edge of the format: no match begins in the last 12 bytes, 15 and 255 begin another byte of a length,
  // a chunk has 64 KiB.
  it.each([
    ...[0, 1, 3, 4, 5, 11, 12, 13, 14, 15, 16, 19, 31, 32, 33, 63, 64, 65, 254, 255, 256, 269, 270],
    ...[271, 510, 1000, 4095, chunk - 1, chunk, chunk + 1, 2 * chunk - 13, 3 * chunk + 12],
  ])('of %i bytes is read by the lz4 tool and by itself', async (bytes) => {
    const contents = [mixed(bytes), Buffer.alloc(bytes), randomBytes(bytes)];
    for (const data of contents) {
      const { data: packed, device } = await client.compress(data, toLz4);
      expect(device).toBe(emulatedCudaDevice);
      expect(lz4(['-d'], packed).equals(data)).toBe(true);
      const unpacked = await client.decompress(packed, toLz4);
      expect(unpacked.device).toBe(emulatedCudaDevice);
      expect(unpacked.data.equals(data)).toBe(true);
    }
  });

  it('of more than passes through at once comes in order', async () => {
    // Three pieces of 4 MiB; what does not compress goes quickest.
    const data = Buffer.concat([randomBytes(9_000_000), mixed(100_000)]);
    const { data: packed } = await client.compress(data, toLz4);
    expect(lz4(['-d'], packed).equals(data)).toBe(true);
    expect((await client.decompress(packed, toLz4)).data.equals(data)).toBe(true);
    // Blocks that reach into those of the piece before them.
    const period = randomBytes(50_000);
    const linked = Buffer.concat(Array.from({ length: 100 }, () => period));
    const archive = lz4(['-B4', '-BD'], linked);
    expect((await client.decompress(archive, toLz4)).data.equals(linked)).toBe(true);
  });

  it('is about as small as that of lz4 -1 -B4', async () => {
    const text = Buffer.from(execFileSync('cat', [fileURLToPath(import.meta.url)]));
    const data = Buffer.concat(Array.from({ length: 20 }, (_, i) => text.subarray(i * 97)));
    const { data: packed } = await client.compress(data, toLz4);
    expect(packed.length).toBeLessThan(lz4(['-1', '-B4'], data).length / 0.9);
  });

  it.each([
    [['-B4']],
    [['-B5']],
    [['-B7']],
    [['-B4', '-BD']],
    [['-B5', '-BD', '-9']],
    [['-B4', '-BX']],
    [['--no-frame-crc']],
    [['--content-size', '-12']],
  ])('reads what lz4 %j wrote', async (args) => {
    const data = mixed(400_000);
    const packed = lz4(args, data);
    const twice = Buffer.concat([packed, Buffer.from('502a4d1803000000616263', 'hex'), packed]);
    expect((await client.decompress(packed, toLz4)).data.equals(data)).toBe(true);
    expect((await client.decompress(twice, toLz4)).data.equals(Buffer.concat([data, data]))).toBe(
      true,
    );
  });

  it('refuses what is damaged as the CPU plugin does', async () => {
    const packed = (await client.compress(mixed(100_000), toLz4)).data;
    const codeOf = async (bytes: Uint8Array, device: string) =>
      client.decompress(bytes, { codec: 'lz4', device, strict: true }).then(
        () => 'OK',
        (error: unknown) => (error as { code: string }).code,
      );
    const linked = lz4(['-B4', '-BD'], mixed(100_000));
    for (const archive of [packed, linked]) {
      for (let i = 0; i < 60; i++) {
        const damaged = Buffer.from(archive);
        const at = Math.floor((i * archive.length) / 60);
        damaged[at] = (damaged[at] ?? 0) ^ (1 + (i % 255));
        const [given, wanted] = [await codeOf(damaged, 'cuda'), await codeOf(damaged, 'cpu')];
        // Of a frame that is damaged in two ways either may be said.
        const damage = ['INVALID_ARGUMENT', 'DATA_LOSS'];
        expect(damage.includes(wanted) ? damage : [wanted], `byte ${at}`).toContain(given);
      }
    }
  });

  it('leaves to others what it has no kernel for', async () => {
    const data = mixed(1000);
    for (const options of [{ codec: 'zstd' }, { codec: 'lz4', level: 9 }] as const) {
      const { device } = await client.compress(data, { ...options, device: 'cuda' });
      expect(device).toBe('cpu-fallback:0');
      await expect(client.compress(data, { ...options, ...onCuda })).rejects.toThrow(
        /compress cannot run on 'cuda'/,
      );
    }
  });
});

interface Emulation {
  readonly first: string;
  readonly second: string;
  readonly fallback: string;
  readonly gpus: readonly DeviceReport[];
  readonly unavailable: readonly { readonly backend: string; readonly reason: string }[];
}

const script = fileURLToPath(new URL('cuda-emulation.mjs', import.meta.url));

async function emulate(
  settings: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Emulation> {
  const { stdout } = await promisify(execFile)(process.execPath, [script, JSON.stringify(plugin)], {
    env: { ...process.env, AXLE_EMULATED_CUDA: settings, ...env },
  });
  return JSON.parse(stdout) as Emulation;
}

describe('a driver', () => {
  it('with several devices has them all, each with an id of its own', async () => {
    const { gpus } = await emulate('devices=3,mig=1');
    expect(new Set(gpus.map(({ id }) => id)).size).toBe(3);
    expect(gpus[0]?.id).toMatch(/^cuda:MIG-/);
  });

  it('shows those of CUDA_VISIBLE_DEVICES', async () => {
    const { gpus } = await emulate('devices=3', { CUDA_VISIBLE_DEVICES: '2,0' });
    expect(gpus.map(({ name }) => name.slice(0, 14))).toEqual(['Emulated GPU 2', 'Emulated GPU 0']);
  });

  it.each([
    ['init-fails=100', /cuda: the NVIDIA driver does not start: CUDA_ERROR_NO_DEVICE/],
    ['version=10020', /is of CUDA 10\.2; 11\.4 is the oldest/],
    ['devices=0', /CUDA_ERROR_NO_DEVICE/],
  ])('that is told %s makes the plugin unavailable with the reason', async (settings, reason) => {
    const { unavailable, fallback } = await emulate(settings);
    expect(unavailable.map((one) => `${one.backend}: ${one.reason}`).join()).toMatch(reason);
    expect(fallback).toBe('cpu-fallback:0');
  });

  it.each([
    ['launch-fails=2', /^UNAVAILABLE: .*CUDA_ERROR_LAUNCH_FAILED/],
    ['lost=3', /^UNAVAILABLE: .*CUDA_ERROR_DEVICE_UNAVAILABLE/],
    ['context-fails=1', /^UNAVAILABLE: .*CUDA_ERROR_OUT_OF_MEMORY/],
  ])('whose device goes by %s is left for the CPU, and says so', async (settings, failure) => {
    const { first, second, fallback, gpus } = await emulate(settings);
    expect(first).toMatch(failure);
    expect(second).toMatch(/^UNAVAILABLE/);
    expect(fallback).toBe('cpu-fallback:0');
    expect(gpus[0]).toMatchObject({ health: 'LOST' });
    expect(gpus[0]?.healthMessage).toMatch(/CUDA_ERROR/);
  });

  it('without memory fails the call, and is used again', async () => {
    const { first, gpus } = await emulate('memory=100000');
    expect(first).toMatch(/^RESOURCE_EXHAUSTED: .*CUDA_ERROR_OUT_OF_MEMORY/);
    expect(gpus[0]).toMatchObject({ health: 'OK' });
    const { first: served } = await emulate('alloc-fails=1');
    expect(served).toBe(emulatedCudaDevice);
  });

  it('that is slow with contexts and copies gives the same', async () => {
    const { first, second } = await emulate('context-ms=300,copy-us=2000,copy-us-per-mib=20000');
    expect([first, second]).toEqual([emulatedCudaDevice, emulatedCudaDevice]);
  });
});
