import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';

import { connect } from 'axle';
import { runGuest, type GuestOptions } from '@axle/unikernel-glue';
import { beforeAll, describe, expect, it } from 'vitest';

import { buildGuest } from '../../../scripts/guests.mjs';
import { isOnPath } from '../../../scripts/setup/system-packages.mjs';
import { axlePath, bytesOf, folder, serveUnix } from '../serve.js';

const lack = isOnPath('qemu-system-x86_64') ? undefined : 'qemu-system-x86_64 is not installed';
/** An emulated processor beside whatever else runs here. */
const timeoutMs = 50_000;

let socket = '';
let guest = '';

/** Joined to the server of these tests, on an emulated processor. */
function options(image: string, more: Partial<GuestOptions> = {}): GuestOptions {
  return { image, socket, memoryMiB: 32, accelerator: 'tcg', timeoutMs, ...more };
}

/** `axle` with these arguments, to its end. */
async function axle(args: readonly string[], endpoint?: string) {
  const env = { ...process.env, TMPDIR: folder, ...(endpoint && { AXLE_ENDPOINT: endpoint }) };
  const child = spawn(process.execPath, [axlePath, ...args], { env });
  const closed = once(child, 'close');
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const [code] = (await closed) as [number | null];
  return { code, stdout, stderr };
}

describe.skipIf(lack !== undefined)(`a unikernel${lack ? ` (${lack})` : ''}`, () => {
  beforeAll(async () => {
    const server = await serveUnix('unikernel.sock');
    socket = server.endpoint.replace('axle+unix:', '');
    guest = buildGuest('classify');
  });

  it('classifies the image that it carries, and says when it is done', async () => {
    let serial = '';
    const ended = await runGuest(
      options(guest, {
        onOutput: (data) => {
          serial += Buffer.from(data).toString();
        },
      }),
    );
    expect(serial).toMatch(/^classify A 9\d{5} of a million, [\d.]+ ms\r?$/m);
    expect(serial).toMatch(/^noop, [\d.]+ ms\r?$/m);
    expect(serial).toMatch(/^compress \d+ to \d+ bytes, [\d.]+ ms\r?$/m);
    expect(serial).toMatch(/^infer 34 scores, [\d.]+ ms\r?$/m);
    expect(ended).toMatchObject({ isDone: true, accelerator: 'tcg', failure: undefined });
    expect(ended.firstByteMs).toBeLessThan(ended.firstResultMs ?? 0);
  });

  it('passes every scenario over its virtio port', async () => {
    let serial = '';
    const conformance = buildGuest('conformance');
    await runGuest(
      options(conformance, {
        onOutput: (data) => {
          serial += Buffer.from(data).toString();
        },
      }),
    );
    expect(serial).toMatch(/^PASS \d+ passed, 0 failed\r?$/m);
  });

  it('is small', () => {
    expect(statSync(guest).size).toBeLessThan(48 * 1024);
  });

  it('is ended when its time is over, and leaves the server to others', async () => {
    // Nobody answers there.
    const { createServer } = await import('node:net');
    const silent = createServer(() => undefined);
    const path = `${folder}/silent.sock`;
    await once(silent.listen(path), 'listening');
    const ended = runGuest(options(guest, { socket: path, timeoutMs: 2000 }));
    await expect(ended).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    silent.close();
    await using client = await connect(`axle+unix:${socket}`);
    expect((await client.compress(bytesOf(100))).device).toContain('cpu-fallback');
  });

  it('is killed in the middle of its work, and its server goes on', async () => {
    const abort = new AbortController();
    let serial = '';
    const ended = runGuest(
      options(buildGuest('conformance'), {
        signal: abort.signal,
        onOutput: (data) => {
          serial += Buffer.from(data).toString();
          if (serial.includes('ok empty')) abort.abort();
        },
      }),
    );
    await expect(ended).rejects.toMatchObject({ name: 'AbortError' });
    await using client = await connect(`axle+unix:${socket}`);
    expect((await client.compress(bytesOf(100))).device).toContain('cpu-fallback');
  });

  it('is told when its server is killed', async () => {
    const server = await serveUnix('killed.sock');
    let serial = '';
    const ended = await runGuest(
      options(buildGuest('conformance'), {
        socket: server.endpoint.replace('axle+unix:', ''),
        onOutput: (data) => {
          serial += Buffer.from(data).toString();
          if (serial.includes('ok empty')) server.process.kill('SIGKILL');
        },
      }),
    );
    expect(serial).toMatch(/^FAILED \S+: .*the server ended the connection/m);
    expect(ended.isDone).toBe(true);
  });

  it('has 31 others and one that sends garbage beside it, and all of them get their results', async () => {
    const guests = Array.from({ length: 32 }, () => runGuest(options(guest)));
    // What is no Axle at all, a megabyte of it; the server cuts it off.
    const hostile = runGuest(options(buildGuest('bench'), { commandLine: 'raw', timeoutMs: 5000 }));
    const ended = hostile.catch((error: unknown) => error);
    for (const each of await Promise.all(guests)) {
      expect(each).toMatchObject({ isDone: true, failure: undefined });
    }
    expect(await ended).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  }, 120_000);

  it.each([
    ['is not there', '/nowhere.elf', 'NOT_FOUND'],
    ['is no program', import.meta.filename, 'INVALID_ARGUMENT'],
  ])('is refused when its image %s', async (_, image, code) => {
    await expect(runGuest(options(image))).rejects.toMatchObject({ code });
  });

  it('is run by axle guest run, for a tenant of its own', async () => {
    const server = `axle+unix:${socket}`;
    const args = ['guest', 'run', guest, '--json', '--accel', 'tcg'];
    const { code, stdout, stderr } = await axle([...args, '--tenant', 'local'], server);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ isDone: true, accelerator: 'tcg', emulated: true });
  });

  it('is ended with the command, which leaves nothing behind', async () => {
    const env = { ...process.env, TMPDIR: folder };
    const args = [axlePath, 'guest', 'run', buildGuest('conformance'), '--accel', 'tcg'];
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const closed = once(child, 'close');
    for await (const line of createInterface(child.stdout)) {
      if (line.startsWith('ok')) break;
    }
    child.kill('SIGINT');
    expect((await closed)[0]).toBe(130);
    expect(readdirSync(folder).filter((name) => name.startsWith('axle-guest-'))).toEqual([]);
    expect(existsSync(guest)).toBe(true);
  });
});
