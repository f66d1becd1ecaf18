import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { ErrorCode } from '../../src/generated/constants.js';
import type { NativeMapping } from '../../src/native-binding.js';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';

import { binding } from './harness.js';

const folder = mkdtempSync(join(tmpdir(), 'axle-memory-'));
const path = join(folder, 'a.sock');
const request = Uint8Array.of(1, 2, 3);
const mebibyte = 1024 * 1024;
const timeoutMs = 10_000;
let server: Server | undefined;
const connections = new Set<Socket>();

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

afterEach(async () => {
  for (const socket of connections) socket.destroy();
  server?.close();
  if (server !== undefined) await once(server, 'close');
  server = undefined;
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** Answers the first thing that a connection says. */
async function answering(answer: (socket: Socket, heard: Buffer) => void): Promise<void> {
  server = createServer((socket) => {
    connections.add(socket);
    socket.once('data', (heard) => {
      answer(socket, heard);
    });
    socket.on('error', () => undefined);
  });
  server.listen(path);
  await once(server, 'listening');
}

function descriptorOf(socket: Socket): number {
  return (socket as unknown as { _handle: { fd: number } })._handle.fd;
}

/** Hands over what stands behind the descriptor, and closes. */
function handOver(socket: Socket, descriptor: number, answer = Uint8Array.of(7, 8)): void {
  binding.sharedMemorySend(descriptorOf(socket), answer, descriptor);
  closeSync(descriptor);
  socket.end();
}

function attach(bytesMax = mebibyte, within = timeoutMs) {
  return binding.sharedMemoryAttach(path, request, bytesMax, within);
}

function rangeOf(mapping: NativeMapping | undefined, offset: number, bytes: number): ArrayBuffer {
  return binding.sharedMemoryRange(mapping as NativeMapping, offset, bytes);
}

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

describe('shared memory', () => {
  it('is the same bytes on both sides, and zeros at first', async () => {
    const { mapping: made, descriptor } = binding.sharedMemoryCreate(mebibyte);
    const ours = new Uint8Array(rangeOf(made, 0, mebibyte));
    expect(ours.every((byte) => byte === 0)).toBe(true);
    let heard: Buffer | undefined;
    await answering((socket, data) => {
      heard = data;
      handOver(socket, descriptor);
    });
    const { answer, mapping, bytes } = await attach();
    expect(heard).toEqual(Buffer.from(request));
    expect([...answer]).toEqual([7, 8]);
    expect(bytes).toBe(mebibyte);
    const theirs = new Uint8Array(rangeOf(mapping, mebibyte - 64, 64));
    theirs[63] = 42;
    expect(ours[mebibyte - 1]).toBe(42);
    expect(() => rangeOf(mapping, mebibyte - 64, 65)).toThrow('bytes');
    expect(() => rangeOf(mapping, mebibyte + 64, 0)).toThrow('offset');
  });

  it('comes to whoever asks again and again, and leaves no descriptor open', async () => {
    await answering((socket) => {
      handOver(socket, binding.sharedMemoryCreate(4096).descriptor);
    });
    await attach();
    const before = openDescriptors();
    for (let i = 0; i < 50; i++) await attach();
    // The last connection of the server may still be closing.
    expect(openDescriptors()).toBeLessThanOrEqual(before + 1);
  });

  it('is refused when it could shrink under the reader', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, Buffer.alloc(4096));
    await answering((socket) => {
      handOver(socket, openSync(file, 'r+'));
    });
    await expect(attach()).rejects.toMatchObject({
      status: ErrorCode.FAILED_PRECONDITION,
      message: expect.stringContaining('sealed') as string,
    });
  });

  it('is refused when it is larger than the reader takes', async () => {
    await answering((socket) => {
      handOver(socket, binding.sharedMemoryCreate(8192).descriptor);
    });
    await expect(attach(4096)).rejects.toMatchObject({
      status: ErrorCode.FAILED_PRECONDITION,
      message: expect.stringContaining('has 8192 bytes; 1 to 4096 are taken') as string,
    });
  });

  it('may not come, and the answer says why', async () => {
    await answering((socket) => socket.end('no'));
    const { answer, mapping } = await attach();
    expect(Buffer.from(answer).toString()).toBe('no');
    expect(mapping).toBeUndefined();
  });

  it('is not waited for longer than was asked', async () => {
    await answering(() => undefined);
    await expect(attach(mebibyte, 50)).rejects.toMatchObject({
      status: ErrorCode.DEADLINE_EXCEEDED,
    });
  });

  it('is refused with an answer without end', async () => {
    await answering((socket) => socket.write(Buffer.alloc(100_000)));
    await expect(attach()).rejects.toMatchObject({ status: ErrorCode.FAILED_PRECONDITION });
  });

  it('says so where nobody listens, and where a path is too long', async () => {
    await expect(attach()).rejects.toMatchObject({ status: ErrorCode.UNAVAILABLE });
    const long = `/${'x'.repeat(200)}`;
    await expect(
      binding.sharedMemoryAttach(long, request, mebibyte, timeoutMs),
    ).rejects.toMatchObject({ status: ErrorCode.INVALID_ARGUMENT });
  });

  it('cannot be cut short or made longer by whoever has it', () => {
    const { descriptor } = binding.sharedMemoryCreate(mebibyte);
    for (const bytes of [0, mebibyte - 1, mebibyte + 1]) {
      expect(() => {
        ftruncateSync(descriptor, bytes);
      }).toThrow('EPERM');
    }
    closeSync(descriptor);
  });

  it('tells of a range once nothing refers to it, and stays until then', async () => {
    const { mapping: made, descriptor } = binding.sharedMemoryCreate(mebibyte);
    await answering((socket) => {
      handOver(socket, descriptor);
    });
    const { mapping } = await attach();
    const kept = new Uint8Array(rangeOf(mapping, 128, 64)).subarray(1);
    (() => new Uint8Array(rangeOf(mapping, 4096, 64)).fill(7))();
    const ours = new Uint8Array(rangeOf(made, 0, mebibyte));
    expect(ours[4096]).toBe(7);
    const returned: number[] = [];
    await vi.waitFor(() => {
      collectGarbage();
      returned.push(...binding.sharedMemoryReturned(mapping as NativeMapping));
      expect(returned).toEqual([4096]);
    });
    kept.fill(9);
    expect(ours.subarray(129, 192).every((byte) => byte === 9)).toBe(true);
  });

  it('is not made of nothing, nor without bound', () => {
    expect(() => binding.sharedMemoryCreate(0)).toThrow('bytes');
    expect(() => binding.sharedMemoryCreate(2 ** 41)).toThrow('bytes');
  });
});
