import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';

import { connect } from 'axle';
import { runGuest, type GuestOptions } from '@axle/unikernel-glue';
import { beforeAll, describe, expect, it } from 'vitest';

import { buildLinuxGuest } from '../../../scripts/guests.mjs';
import { guestKernelPackage } from '../../../scripts/setup/guest-kernel.mjs';
import { isOnPath } from '../../../scripts/setup/system-packages.mjs';
import { axlePath, bytesOf, folder, serveUnix } from '../serve.js';

const lack = !isOnPath('qemu-system-x86_64')
  ? 'qemu-system-x86_64 is not installed'
  : guestKernelPackage() === undefined
    ? 'the kernel of Linux guests is not here'
    : undefined;
/** An emulated processor, which starts all of Linux, beside whatever else runs here. */
const timeoutMs = 110_000;
/** Of an end that nobody else tells of. */
const gone = { timeout: 30_000, interval: 10 };

let socket = '';
let guest = '';

/** Runs it on an emulated processor, joined to the server of these tests. */
async function run(image: string, more: Partial<GuestOptions> = {}) {
  let serial = '';
  const ended = await runGuest({
    ...{ image, socket, accelerator: 'tcg', timeoutMs, ...more },
    onOutput: (data) => {
      serial += Buffer.from(data).toString();
      more.onOutput?.(Buffer.from(serial));
    },
  });
  return { ...ended, serial };
}

describe.skipIf(lack !== undefined)(`a Linux microVM${lack ? ` (${lack})` : ''}`, () => {
  beforeAll(async () => {
    const server = await serveUnix('linux-guest.sock');
    socket = server.endpoint.replace('axle+unix:', '');
    guest = buildLinuxGuest('classify');
  });

  it(
    'classifies the image that it carries, and powers off',
    async () => {
      const { serial, firstByteMs, firstResultMs, ...ended } = await run(guest);
      expect(serial).toMatch(/^axle: up\r?\nclassify A 9\d{5} of a million, [\d.]+ ms\r?$/m);
      expect(serial).toMatch(/^noop, [\d.]+ ms\r?$/m);
      expect(serial).toMatch(/^compress \d+ to \d+ bytes, [\d.]+ ms\r?$/m);
      expect(serial).toMatch(/^infer 34 scores, [\d.]+ ms\r?$/m);
      expect(ended).toMatchObject({ kind: 'microvm', isDone: true, failure: undefined });
      expect(firstByteMs ?? NaN).toBeLessThan(firstResultMs ?? 0);
    },
    timeoutMs,
  );

  it(
    'passes every scenario over its virtio port',
    async () => {
      const { serial } = await run(buildLinuxGuest('conformance'));
      expect(serial).toMatch(/^PASS \d+ passed, 0 failed\r?$/m);
    },
    timeoutMs,
  );

  it(
    'passes every scenario over AF_VSOCK, by the loopback that its kernel has',
    async () => {
      const { serial } = await run(buildLinuxGuest('conformance'), { commandLine: 'vsock' });
      expect(serial).toMatch(/^axle: by the loopback of vsock\r?$/m);
      expect(serial).toMatch(/^PASS \d+ passed, 0 failed\r?$/m);
    },
    timeoutMs,
  );

  it(
    'is killed in the middle of its work, and its server goes on',
    async () => {
      const abort = new AbortController();
      const ended = run(buildLinuxGuest('conformance'), {
        signal: abort.signal,
        onOutput: (serial) => {
          if (Buffer.from(serial).includes('ok empty')) abort.abort();
        },
      });
      await expect(ended).rejects.toMatchObject({ name: 'AbortError' });
      await using client = await connect(`axle+unix:${socket}`);
      expect((await client.compress(bytesOf(100))).device).toContain('cpu-fallback');
    },
    timeoutMs,
  );

  it.each([
    ['has no initrd.img', 'NOT_FOUND', (image: string) => rmSync(join(image, 'initrd.img'))],
    [
      'has something else as its kernel',
      'INVALID_ARGUMENT',
      (image: string) => writeFileSync(join(image, 'vmlinuz'), 'no kernel'),
    ],
  ])('is refused where its folder %s', async (_, code, spoil) => {
    const image = join(folder, `image-${code}`);
    await cp(guest, image, { recursive: true });
    spoil(image);
    await expect(run(image)).rejects.toMatchObject({ code });
  });

  it('is refused where its kernel is given alone, or less memory than it needs', async () => {
    await expect(run(join(guest, 'vmlinuz'))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('give the folder') as string,
    });
    await expect(run(guest, { memoryMiB: 32 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it(
    'is run by axle guest run, which ends it however it ends itself',
    async () => {
      const env = { ...process.env, TMPDIR: folder, AXLE_ENDPOINT: `axle+unix:${socket}` };
      const args = [axlePath, 'guest', 'run', guest, '--accel', 'tcg', '--timeout', '100'];
      const whole = spawn(process.execPath, [...args, '--json'], { env });
      const closed = once(whole, 'close');
      expect(JSON.parse(await text(whole.stdout))).toMatchObject({ kind: 'microvm', isDone: true });
      expect((await closed)[0]).toBe(0);
      const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
      for await (const line of createInterface(child.stdout)) {
        if (line.startsWith('axle: up')) break;
      }
      expect(monitorsOf(guest)).toHaveLength(1);
      child.kill('SIGKILL');
      await expect.poll(() => monitorsOf(guest), gone).toEqual([]);
    },
    2 * timeoutMs,
  );

  it('is small but for its kernel', () => {
    expect(existsSync(join(guest, 'vmlinuz'))).toBe(true);
    expect(statSync(join(guest, 'initrd.img')).size).toBeLessThan(2 * 1024 ** 2);
  });
});

/** Processes that run the kernel of this image. */
function monitorsOf(image: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    const path = `/proc/${pid}/cmdline`;
    if (!/^\d+$/.test(pid) || !existsSync(path)) return false;
    const words = readCommandLine(path);
    return words[0]?.includes('qemu') === true && words.includes(join(image, 'vmlinuz'));
  });
}

function readCommandLine(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\0');
  } catch {
    return []; // It ended meanwhile.
  }
}
