import { randomFillSync } from 'node:crypto';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { gunzipSync } from 'node:zlib';

import { runGuest } from '@axle/unikernel-glue';
import type { Frame, Place, ResultFrame } from '@axle/remoting';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { buildGuest } from '../../../scripts/guests.mjs';
import { isOnPath } from '../../../scripts/setup/system-packages.mjs';
import { runProgram } from '../../guest/run-program.js';
import { builtPlugin } from '../plugins.js';
import { bindCompress, callOf, hello, RawPeer } from '../raw-peer.js';
import { axlePath, folder, serve } from '../serve.js';

const lack = isOnPath('qemu-system-x86_64') ? undefined : 'qemu-system-x86_64 is not installed';
const MiB = 2 ** 20;
const machineMiB = 96;
const plugin = ['--plugin', `echo=${builtPlugin('echo').path}`];
/** GUEST_MEMORY. */
const feature = 2;
const wanting = { ...hello, features: feature };
const bindGzip = bindCompress(1, {
  args: [
    { name: 'codec', type: 'INT', value: 3 },
    { name: 'level', type: 'INT', value: 1 },
  ],
});
const bindEcho = bindCompress(1, { op: 0, opName: 'echo.axle/echo', args: [] });

/** Memory that is no disk's, where there is such. */
const memoryFolder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'axle-'));
afterAll(() => {
  rmSync(memoryFolder, { recursive: true });
});

/** Zeros, of which the system takes a page only when it is written to. */
function memoryOf(name: string, bytes: number): string {
  const path = join(memoryFolder, name);
  writeFileSync(path, '');
  truncateSync(path, bytes);
  return path;
}

function readAt(path: string, offset: number, bytes: number): Buffer {
  const file = openSync(path, 'r');
  const data = Buffer.alloc(bytes);
  readSync(file, data, 0, bytes, offset);
  closeSync(file);
  return data;
}

function writeAt(path: string, offset: number, data: Uint8Array): void {
  const file = openSync(path, 'r+');
  writeSync(file, data, 0, data.byteLength, offset);
  closeSync(file);
}

const place = (offset: number, bytes: number, arena = 0): Place => ({ arena, offset, bytes });

/** A call whose input is a range, and whose output has a place. */
function sharedCall(id: number, input: Place, output?: Place): Frame {
  const shape = [input.bytes];
  return callOf(id, 1, new Uint8Array(0), {
    inputs: [{ source: 'SHARED', slot: 0, dtype: 'UINT8', shape, name: '', ...input }],
    place: output,
  });
}

let memory = '';
let socket = '';
let otherSocket = '';

beforeAll(async () => {
  memory = memoryOf('vm1', machineMiB * MiB);
  [socket, otherSocket] = [join(folder, 'vm1.sock'), join(folder, 'vm2.sock')];
  await serve(
    ...['--listen', `unix:${socket},tenant=vm1,memory=${memory}`],
    ...['--listen', `unix:${otherSocket},tenant=vm2`],
    ...plugin,
  );
});

describe.skipIf(lack !== undefined)(`a unikernel's memory${lack ? ` (${lack})` : ''}`, () => {
  async function printed(commandLine: string, memoryFile: string | undefined): Promise<string> {
    let serial = '';
    const ended = await runGuest({
      ...{ image: buildGuest('shared'), socket, memoryMiB: machineMiB, accelerator: 'tcg' },
      ...{ timeoutMs: 100_000, commandLine, memoryFile },
      onOutput: (data) => {
        serial += Buffer.from(data).toString();
      },
    });
    expect(serial).not.toContain('FAILED');
    expect(ended).toMatchObject({ isDone: true, failure: undefined });
    return serial;
  }

  // The guest compares all bytes itself, and fails where they went another way than it was told.
  it.each(['ops', 'stream ops'])(
    'carries 1, 4 and 16 MiB there and back, byte by byte (%s)',
    async (words) => {
      const serial = await printed(words, memory);
      expect(serial.match(/^\d+ \d+\r?$/gm)).toHaveLength(3);
      expect(serial.match(/^codec \d+ \d+\r?$/gm)).toHaveLength(3);
      expect(serial).toMatch(/^infer ok\r?$/m);
      expect(serial).toMatch(/^kept ok\r?$/m);
    },
    120_000,
  );

  it('is shared by axle guest run, of itself', async () => {
    const args = ['guest', 'run', buildGuest('shared'), '--memory', String(machineMiB), ...plugin];
    const { code, output } = await runProgram([process.execPath, axlePath, ...args]);
    expect(output).not.toContain('FAILED');
    expect(code).toBe(0);
  }, 120_000);
});

describe('memory of a guest', () => {
  const sharing = (bind = bindGzip, path = socket): Promise<RawPeer> =>
    RawPeer.at(path, wanting, bind);

  it('is granted to who asks, on the listener that has it', async () => {
    for (const [path, greeting, granted] of [
      [socket, wanting, feature],
      [socket, hello, 0],
      [otherSocket, wanting, 0],
    ] as const) {
      const peer = await RawPeer.at(path, greeting);
      const welcome = await peer.waitFor(({ type }) => type === 'WELCOME');
      expect(welcome).toMatchObject({ features: granted });
      peer.close();
    }
  });

  it('is read and written where the call says, and nowhere else', async () => {
    const input = randomFillSync(new Uint8Array(3 * MiB + 8));
    const before = randomFillSync(Buffer.alloc(8 * MiB));
    writeAt(memory, 64 * MiB, before);
    writeAt(memory, 32 * MiB, input);
    const peer = await sharing();
    peer.send(sharedCall(2, place(32 * MiB, input.byteLength), place(65 * MiB, 4 * MiB)));
    const { outputs } = (await peer.answerOf(2)) as ResultFrame;
    const [output] = outputs;
    if (output?.source !== 'SHARED') throw new Error(`it came ${output?.source ?? 'not'}`);
    expect(output).toMatchObject({ arena: 0, offset: 65 * MiB });
    const after = readAt(memory, 64 * MiB, 8 * MiB);
    const archive = after.subarray(MiB, MiB + output.bytes);
    expect(Buffer.compare(gunzipSync(archive), input)).toBe(0);
    before.set(archive, MiB);
    expect(Buffer.compare(before, after)).toBe(0);
    peer.close();
  });

  it('is left alone by outputs that do not fit their place', async () => {
    writeAt(memory, 0, randomFillSync(new Uint8Array(40_000)));
    const before = readAt(memory, MiB, 65_536);
    const peer = await sharing();
    peer.send(sharedCall(2, place(0, 40_000), place(MiB, 64)));
    const { outputs } = (await peer.answerOf(2)) as ResultFrame;
    expect(outputs).toMatchObject([{ source: 'FOLLOWS' }]);
    expect(Buffer.compare(before, readAt(memory, MiB, 65_536))).toBe(0);
    peer.close();
  });

  it.each<[string, Place, Place | undefined]>([
    ['an input past its end', place(machineMiB * MiB - 64, 128), undefined],
    ['an input behind its end', place(machineMiB * MiB + 64, 64), undefined],
    ['an input far longer than it is', place(64, 2 ** 30 - 64), undefined],
    ['an input that wraps around', place(2 ** 53 - 64, 128), undefined],
    ['an input that wraps 32 bits', place(2 ** 32, 64), undefined],
    ['an input at no multiple of 64', place(8, 64), undefined],
    ['an input of an arena that was never offered', place(0, 64, 1), undefined],
    ['a place past its end', place(0, 64), place(machineMiB * MiB - 64, 128)],
    ['a place that wraps around', place(0, 64), place(2 ** 53 - 64, Number.MAX_SAFE_INTEGER)],
    ['a place at no multiple of 64', place(0, 64), place(1, 64)],
    ['a place of another arena', place(0, 64), place(0, 64, 3)],
  ])('fails a call with %s, and no other', async (_, input, output) => {
    const peer = await sharing();
    peer.send(sharedCall(2, input, output), sharedCall(3, place(0, 64)));
    expect(await peer.answerOf(2)).toMatchObject({ type: 'ERROR', code: 'OUT_OF_RANGE' });
    expect(await peer.answerOf(3)).toMatchObject({ type: 'RESULT' });
    peer.close();
  });

  it.each([
    ['did not ask for it', 'own', hello],
    ['is another tenant', 'other', wanting],
  ])('cannot be named by a connection that %s', async (_, whose, greeting) => {
    const at = whose === 'own' ? socket : otherSocket;
    const peer = await RawPeer.at(at, greeting, bindGzip);
    peer.send(sharedCall(2, place(0, 64)), sharedCall(3, place(0, 64), place(0, 64)));
    const put = { source: 'SHARED', slot: 0, dtype: 'UINT8', shape: [64], name: '' } as const;
    peer.send({ type: 'PUT', id: 4, tensor: { ...put, ...place(0, 64) } });
    for (const id of [2, 3, 4]) {
      expect(await peer.answerOf(id)).toMatchObject({ type: 'ERROR', code: 'OUT_OF_RANGE' });
    }
    peer.close();
  });

  it.each([
    ['parses it', bindGzip],
    ['reads it', bindEcho],
  ])('is copied before anything %s: a guest that scribbles harms itself', async (_, bind) => {
    const peer = await sharing(bind);
    const bytes = 2 * MiB;
    const ids = Array.from({ length: 12 }, (__, i) => i + 2);
    const noise = new Uint8Array(2 * bytes);
    for (const id of ids) peer.send(sharedCall(id, place(0, bytes), place(bytes, 2 * bytes)));
    const scribble = setInterval(() => {
      writeAt(memory, 0, randomFillSync(noise));
    }, 0);
    const answers = await Promise.all(ids.map((id) => peer.answerOf(id)));
    clearInterval(scribble);
    expect(answers.map(({ type }) => type)).toEqual(ids.map(() => 'RESULT'));
    peer.close();
  });

  it('does not let many calls name the same bytes until memory is gone', async () => {
    const peer = await sharing();
    const whole = place(0, machineMiB * MiB);
    const calls = Array.from({ length: 16 }, (_, i) => sharedCall(i + 2, whole));
    peer.send(...calls);
    expect(await peer.answerOf(17)).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    peer.close();
  });

  it('may be cut short at any time: calls fail, and nothing else does', async () => {
    const path = memoryOf('cut', 32 * MiB);
    const at = join(folder, 'cut.sock');
    const server = await serve('--listen', `unix:${at},tenant=vm1,memory=${path}`, ...plugin);
    const peer = await sharing(bindEcho, at);
    const [input, output] = [place(0, 8 * MiB), place(16 * MiB, 8 * MiB)];
    // The server has the file open from here on, with its size.
    peer.send(sharedCall(2, input, output));
    expect(await peer.answerOf(2)).toMatchObject({ type: 'RESULT' });
    const ids = Array.from({ length: 24 }, (_, i) => i + 3);
    let isShort = false;
    const cut = setInterval(() => {
      isShort = !isShort;
      truncateSync(path, isShort ? 4096 : 32 * MiB);
    }, 1);
    for (const id of ids) {
      peer.send(sharedCall(id, input, output));
      const answer = await peer.answerOf(id);
      if (answer.type !== 'RESULT') expect(answer).toMatchObject({ code: 'OUT_OF_RANGE' });
    }
    clearInterval(cut);
    truncateSync(path, MiB);
    // What is short fails, says so, and is not made longer again.
    for (const [id, from, to] of [
      [100, input, place(0, 8 * MiB)],
      [101, place(0, 65_536), output],
      [102, place(2 * MiB, 4096), output],
    ] as const) {
      peer.send(sharedCall(id, from, to));
      const answer = await peer.answerOf(id);
      expect(answer).toMatchObject({ type: 'ERROR', code: 'OUT_OF_RANGE' });
      expect(answer).toMatchObject({ message: expect.stringMatching('cut short') as string });
    }
    expect(statSync(path).size).toBe(MiB);
    peer.send(sharedCall(103, place(0, 65_536), place(65_536, 65_536)));
    expect(await peer.answerOf(103)).toMatchObject({ type: 'RESULT' });
    expect(server.process.exitCode).toBeNull();
    peer.close();
  });

  it('that is not there, or is none, is not shared, and calls stream', async () => {
    for (const [name, what] of [
      ['gone', join(memoryFolder, 'nothing')],
      ['folder', memoryFolder],
    ]) {
      const at = join(folder, `${name}.sock`);
      await serve('--listen', `unix:${at},tenant=vm1,memory=${what}`);
      const peer = await RawPeer.at(at, wanting, bindGzip);
      peer.send(callOf(2, 1, new Uint8Array(100)));
      expect(await peer.answerOf(2)).toMatchObject({ type: 'RESULT' });
      expect(peer.frames[0]).toMatchObject({ type: 'WELCOME', features: 0 });
      peer.close();
    }
  });

  it('is let go of with the connection, also in the middle of a copy', async () => {
    const path = memoryOf('let-go', 64 * MiB);
    const at = join(folder, 'let-go.sock');
    const { process: server } = await serve('--listen', `unix:${at},memory=${path}`, ...plugin);
    const { readdirSync, readlinkSync } = await import('node:fs');
    const openOnes = (): number => {
      const files = `/proc/${server.pid}/fd`;
      const targets = readdirSync(files).map((fd) => {
        try {
          return readlinkSync(join(files, fd));
        } catch {
          return ''; // Closed since.
        }
      });
      return targets.filter((target) => target === path).length;
    };
    for (let i = 0; i < 4; i++) {
      const peer = await sharing(bindEcho, at);
      await peer.answerOf(1);
      expect(openOnes()).toBeGreaterThan(0);
      peer.send(sharedCall(2, place(0, 32 * MiB), place(32 * MiB, 32 * MiB)));
      peer.close();
      await once(peer.socket, 'close');
    }
    await expect.poll(openOnes).toBe(0);
  });
});
