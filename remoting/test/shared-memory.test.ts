import { Tensor, type BackendTask } from '@axle/core/internal';
import { describe, expect, it } from 'vitest';

import { callOf, hello } from '../../test/e2e/raw-peer.js';
import { ServerArena } from '../src/shared-memory/server-arena.js';
import type { CallFrame, Frame, Place, ResultFrame } from '../src/wire/frames.js';
import { bindCustom, CustomBackend, giveBack, peerOf } from './front-kit.js';

const KiB = 1024;
const pure = 3;
const arena = 1;

/** A peer that shares memory with a server whose device does what the test says. */
async function sharing(run: (task: BackendTask) => void, flags = pure) {
  const memory = new Uint8Array(1024 * KiB);
  const backend = new CustomBackend('device', flags, run);
  const offer = {
    arena: new ServerArena(arena, {
      view: (offset, bytes) => memory.subarray(offset, offset + bytes),
      byteLength: memory.byteLength,
    }),
    bytes: memory.byteLength,
    ticket: new Uint8Array(16),
    end: () => undefined,
  };
  const arenas = { offer: () => offer, handOver: () => undefined };
  const peer = await peerOf([backend], { arenas });
  peer.send({ ...hello, features: 1 }, { type: 'ARENA_READY', id: 0, arena }, bindCustom(1));
  return { peer, memory, backend };
}

function sharedCall(id: number, input: Place, changes: Partial<CallFrame> = {}): Frame {
  const shape = [input.bytes];
  return callOf(id, 1, new Uint8Array(0), {
    inputs: [{ source: 'SHARED', slot: 0, dtype: 'UINT8', shape, name: '', ...input }],
    ...changes,
  });
}

const input = { arena, offset: 0, bytes: 40 * KiB };
const place = { arena, offset: 64 * KiB, bytes: 64 * KiB };

function outputOf(frame: Frame) {
  return (frame as ResultFrame).outputs[0];
}

describe('shared memory of a call', () => {
  it('is not answered for while a device may write to it, also after CANCEL', async () => {
    const tasks: BackendTask[] = [];
    const { peer, backend } = await sharing((task) => tasks.push(task));
    backend.cancel = () => undefined;
    peer.send(sharedCall(2, input, { place }), callOf(3, 1, Uint8Array.of(1)));
    await expect.poll(() => tasks.length).toBe(2);
    peer.send({ type: 'CANCEL', id: 2 }, { type: 'CANCEL', id: 3 });
    // This one has nothing of the client's.
    expect(await peer.answerOf(3)).toMatchObject({ type: 'ERROR', code: 'CANCELLED' });
    expect(peer.frames.some(({ id }) => id === 2)).toBe(false);
    for (const task of tasks) giveBack(task);
    expect(await peer.answerOf(2)).toMatchObject({ type: 'ERROR', code: 'CANCELLED' });
    expect(peer.frames.filter(({ id }) => id === 2)).toHaveLength(1);
    peer.close();
  });

  it('is copied for devices that do not say that their inputs may change', async () => {
    const { peer, memory } = await sharing((task) => {
      memory.fill(2, 0, 40 * KiB);
      giveBack(task);
    });
    memory.fill(1, 0, 40 * KiB);
    peer.send(sharedCall(2, input, { place }));
    expect(outputOf(await peer.answerOf(2))).toMatchObject({ source: 'SHARED', offset: 64 * KiB });
    expect(memory.subarray(64 * KiB, 104 * KiB).every((byte) => byte === 1)).toBe(true);
    peer.close();
  });

  it('has outputs where the device laid them, and others behind', async () => {
    const { peer, memory } = await sharing((task) => {
      const into = task.into as Uint8Array;
      const [first] = task.inputs;
      if (first === undefined) return;
      const { tensor } = first;
      const laid = into.subarray(1024, 1024 + 20 * KiB).fill(5);
      const timing = { queueMs: 0, transferMs: 0, computeMs: 1, batchSize: 1 };
      const outputs = [
        { name: '', tensor },
        { name: '', tensor: Tensor.fromBytes('UINT8', laid, [laid.byteLength]) },
      ];
      task.settle({ ok: true, outputs, timing });
    });
    memory.fill(1, 0, 40 * KiB);
    peer.send(sharedCall(2, input, { place }));
    const { outputs } = (await peer.answerOf(2)) as ResultFrame;
    expect(outputs).toMatchObject([
      { source: 'SHARED', offset: 64 * KiB + 1024 + 20 * KiB },
      { source: 'SHARED', offset: 64 * KiB + 1024 },
    ]);
    expect(memory[64 * KiB + 1024]).toBe(5);
    expect(memory[64 * KiB + 1024 + 20 * KiB]).toBe(1);
    peer.close();
  });

  it('is no place for a device where outputs stay on the server, which copies them there', async () => {
    const places: unknown[] = [];
    const { peer, memory } = await sharing((task) => {
      places.push(task.into);
      giveBack(task);
    });
    memory.fill(3, 0, 40 * KiB);
    peer.send(sharedCall(2, input, { place, keep: true }));
    expect(outputOf(await peer.answerOf(2))).toMatchObject({ source: 'SHARED' });
    expect(places).toEqual([undefined]);
    memory.fill(0);
    const kept = { source: 'HANDLE', slot: 0, handle: 2, output: 0 } as const;
    peer.send(callOf(3, 1, new Uint8Array(0), { inputs: [kept], place }));
    expect(outputOf(await peer.answerOf(3))).toMatchObject({ source: 'SHARED', offset: 64 * KiB });
    expect(memory.subarray(64 * KiB, 104 * KiB).every((byte) => byte === 3)).toBe(true);
    peer.close();
  });

  it('is copied once by PUT', async () => {
    const { peer, memory } = await sharing(giveBack);
    memory.fill(4, 0, 40 * KiB);
    const tensor = {
      source: 'SHARED',
      slot: 0,
      dtype: 'UINT8',
      shape: [40 * KiB],
      name: '',
      ...input,
    } as const;
    peer.send({ type: 'PUT', id: 2, tensor });
    expect(await peer.answerOf(2)).toMatchObject({ type: 'DONE' });
    memory.fill(0);
    const put = { source: 'HANDLE', slot: 0, handle: 2, output: 0 } as const;
    peer.send(callOf(3, 1, new Uint8Array(0), { inputs: [put], place }));
    await peer.answerOf(3);
    expect(memory.subarray(64 * KiB, 104 * KiB).every((byte) => byte === 4)).toBe(true);
    peer.close();
  });

  it('is checked where what is parsed comes from it: the copy, once', async () => {
    const { peer, memory } = await sharing(giveBack);
    new DataView(memory.buffer).setUint32(0, 1000, true);
    const text = {
      source: 'SHARED',
      slot: 0,
      dtype: 'BYTES',
      shape: [1],
      name: '',
      arena,
      offset: 0,
      bytes: 64,
    } as const;
    peer.send(callOf(2, 1, new Uint8Array(0), { inputs: [text] }));
    expect(await peer.answerOf(2)).toMatchObject({ type: 'ERROR', code: 'INVALID_ARGUMENT' });
    peer.close();
  });
});
