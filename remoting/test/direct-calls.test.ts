import { setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import type { PluginSpec } from '@axle/core/internal';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { callOf, hello, type RawPeer } from '../../test/e2e/raw-peer.js';
import { WireFront, type Admitted } from '../src/server/wire-front.js';
import type { BindFrame, CallFrame, Frame, WireArg } from '../src/wire/frames.js';
import { FrameWriter } from '../src/wire/frame-writer.js';
import { bindCustom, peerOf } from './front-kit.js';

// Read when the modules are loaded.
vi.hoisted(() => {
  process.env['AXLE_DIRECT_CALLS'] = 'early';
});

const path = fileURLToPath(
  new URL('../../core/native/build/Release/axle_test_plugin.so', import.meta.url),
);
const plugin: PluginSpec = { name: 'test', path };
const device = 'test:test:0';

function bytes(length: number, value = 7): Uint8Array {
  return new Uint8Array(length).fill(value);
}

function bindOp(id: number, op: string, args: readonly WireArg[] = [], changes = {}): BindFrame {
  const inputNames = ['any'];
  return bindCustom(id, { opName: op, args, device, strict: true, inputNames, ...changes });
}

const label = { name: 'label', type: 'STRING', value: 'a' } as const;
const echo = (id: number, changes: Partial<BindFrame> = {}) =>
  bindOp(id, 'test.axle/echo', [label], changes);

/** How many bytes of calls went past connections. */
let taken = 0;
/** The last that was asked. */
let front: WireFront | undefined;

beforeEach(() => {
  taken = 0;
  process.env['AXLE_DIRECT_CALLS'] = 'early';
  const takeCalls = WireFront.prototype.takeCalls;
  vi.spyOn(WireFront.prototype, 'takeCalls').mockImplementation(function (
    this: WireFront,
    ...args
  ) {
    const bytesTaken = takeCalls.apply(this, args);
    taken += bytesTaken;
    // eslint-disable-next-line @typescript-eslint/no-this-alias -- the front that was called
    front = this;
    return bytesTaken;
  });
});

afterEach(() => {
  vi.restoreAllMocks();
});

/** A RESULT without what differs from run to run. */
function timeless(frame: Frame): Frame {
  if (frame.type !== 'RESULT') return frame;
  return { ...frame, queueUs: 0, transferUs: 0, computeUs: 0, totalUs: 0, batchSize: 1 };
}

/** A peer that was let in, with one binding under 1, past whose first call others may go. */
async function directPeer(bind: BindFrame, first = callOf(2, 1, bytes(1))): Promise<RawPeer> {
  const peer = await peerOf([], {}, [plugin]);
  peer.send(hello, bind, first);
  await peer.answerOf(2);
  return peer;
}

/** The same whose tenant is looked at. */
async function countedPeer(bind: BindFrame): Promise<{ peer: RawPeer; admitted: Admitted }> {
  let admitted: Admitted | undefined;
  const began = WireFront.prototype.onFrame;
  vi.spyOn(WireFront.prototype, 'onFrame').mockImplementation(function (this: WireFront, raw) {
    began.call(this, raw);
    admitted ??= { session: this.session, tenant: this.tenant };
  });
  const peer = await directPeer(bind);
  return { peer, admitted: admitted as unknown as Admitted };
}

describe('calls that go past their connection', () => {
  it('are answered as others, many of them in one chunk', async () => {
    const peer = await directPeer(echo(1));
    const calls = Array.from({ length: 50 }, (_, i) => callOf(3 + i, 1, bytes(64, i)));
    peer.send(...calls);
    for (const call of calls) {
      const [input] = call.inputs;
      expect(await peer.answerOf(call.id)).toMatchObject({
        type: 'RESULT',
        device: 0,
        batchSize: 1,
        outputs: [
          {
            source: 'INLINE',
            slot: 0,
            dtype: 'UINT8',
            shape: [64],
            data: bytes(64, call.id - 3),
          },
        ],
      });
      expect(input).toBeDefined();
    }
    expect(taken).toBeGreaterThan(49 * 64);
    peer.close();
  });

  it('carry names of inputs, and of outputs where the binding asks for them', async () => {
    const describe = bindOp(1, 'test.axle/describe', [], { names: true });
    const peer = await directPeer(describe, callOf(2, 1, bytes(8)));
    const ordinary = await peer.answerOf(2);
    peer.send(callOf(3, 1, bytes(8)));
    const direct = await peer.answerOf(3);
    expect(taken).toBeGreaterThan(0);
    expect(direct).toMatchObject({ outputs: [{ name: 'text' }] });
    // What the op was given, as text.
    expect({ ...timeless(direct), id: 2 }).toEqual(timeless(ordinary));
    peer.close();
  });

  it('leave to the connection what is not plain', async () => {
    const peer = await directPeer(echo(1));
    const [input] = callOf(1, 1, bytes(8)).inputs;
    const asBytes = { source: 'INLINE', slot: 0, dtype: 'BYTES', shape: [1], name: '' } as const;
    const others: Partial<CallFrame>[] = [
      { keep: true },
      { omit: true },
      { deadlineUs: 10_000_000 },
      { priority: 1 },
      { inputs: [{ ...asBytes, data: Buffer.of(1, 0, 0, 0, 9) }] },
      { inputs: [{ source: 'FOLLOWS', slot: 0, dtype: 'UINT8', shape: [8], name: '', bytes: 8 }] },
    ];
    for (const [i, changes] of others.entries()) peer.send(callOf(3 + i, 1, bytes(8), changes));
    peer.send({ type: 'DATA', id: 3 + others.length - 1, end: false, data: bytes(8) });
    for (const i of others.keys()) {
      expect(await peer.answerOf(3 + i)).toMatchObject({ type: 'RESULT' });
    }
    expect(input).toBeDefined();
    expect(taken).toBe(0);
    peer.close();
  });

  it('go the ordinary way when their outputs do not fit a frame', async () => {
    const fill = (size: number, chunks: number): readonly WireArg[] => [
      { name: 'bytes', type: 'INT', value: size },
      { name: 'chunks', type: 'INT', value: chunks },
    ];
    for (const [size, chunks] of [
      [100_000, 1],
      [64, 4],
    ] as const) {
      const peer = await directPeer(bindOp(1, 'test.axle/fill', fill(size, chunks)));
      const before = taken;
      peer.send(callOf(3, 1, bytes(8)));
      const result = await peer.answerOf(3);
      expect(taken).toBeGreaterThan(before);
      expect(result).toMatchObject({ type: 'RESULT', outputs: [{ shape: [size] }] });
      peer.close();
    }
  });

  it('fail as others do', async () => {
    const peer = await directPeer(echo(1, { outputBytesMax: 32 }));
    peer.send(callOf(3, 1, bytes(64)), callOf(4, 1, bytes(32)));
    expect(await peer.answerOf(3)).toMatchObject({
      type: 'ERROR',
      code: 'RESOURCE_EXHAUSTED',
    });
    expect(await peer.answerOf(4)).toMatchObject({ type: 'RESULT' });
    expect(taken).toBeGreaterThan(0);
    peer.close();
  });

  it('end at once when they are cancelled, and count until then', async () => {
    const sleep = bindOp(1, 'test.axle/sleep', [{ name: 'ms', type: 'INT', value: 60_000 }]);
    const { peer, admitted } = await countedPeer(echo(1));
    const { tenant, session } = admitted;
    peer.send({ ...sleep, id: 3 });
    peer.send(callOf(4, 3, bytes(8)), { type: 'CANCEL', id: 4 });
    expect(await peer.answerOf(4)).toMatchObject({ code: 'CANCELLED' });
    expect(taken).toBe(0);
    peer.send(callOf(5, 3, bytes(8)));
    while (taken === 0) await turn();
    expect(session.directCalls).toBe(1);
    expect(tenant.usage.used('calls')).toBe(1);
    expect(tenant.usage.used('requestBytes')).toBe(8);
    peer.send({ type: 'CANCEL', id: 5 });
    expect(await peer.answerOf(5)).toMatchObject({ type: 'ERROR', code: 'CANCELLED' });
    expect(session.directCalls).toBe(0);
    expect(tenant.usage.used('calls')).toBe(0);
    expect(tenant.usage.used('requestBytes')).toBe(0);
    // It cannot be cancelled twice.
    peer.send({ type: 'CANCEL', id: 5 }, callOf(6, 1, bytes(8)));
    expect(await peer.answerOf(6)).toMatchObject({ type: 'RESULT' });
    peer.close();
  });

  it('give back what they take when they are answered, or fail', async () => {
    const { peer, admitted } = await countedPeer(echo(1, { outputBytesMax: 32 }));
    const { tenant, session } = admitted;
    const sizes = [8, 64, 32, 40, 1];
    peer.send(...sizes.map((size, i) => callOf(3 + i, 1, bytes(size))));
    for (const [i, size] of sizes.entries()) {
      expect(await peer.answerOf(3 + i)).toMatchObject({ type: size > 32 ? 'ERROR' : 'RESULT' });
    }
    expect(taken).toBeGreaterThan(0);
    expect(session.directCalls).toBe(0);
    expect(tenant.usage.used('calls')).toBe(0);
    expect(tenant.usage.used('requestBytes')).toBe(0);
    // The binding's.
    expect(tenant.usage.used('handles')).toBe(1);
    peer.close();
  });

  it('give back what they take when their connection ends before', async () => {
    const sleep = bindOp(3, 'test.axle/sleep', [{ name: 'ms', type: 'INT', value: 60_000 }]);
    const { peer, admitted } = await countedPeer(echo(1));
    const { tenant, session } = admitted;
    peer.send(sleep, callOf(4, 3, bytes(8)), { type: 'CANCEL', id: 4 });
    await peer.answerOf(4);
    peer.send(callOf(5, 3, bytes(8)), callOf(6, 3, bytes(16)));
    while (session.directCalls < 2) await turn();
    expect(tenant.usage.used('requestBytes')).toBe(24);
    // Against the rules, which ends the connection.
    peer.send(hello);
    await peer.untilClosed();
    expect(session.directCalls).toBe(0);
    expect(tenant.usage.isIdle).toBe(true);
  });

  it('are answered after their binding was released', async () => {
    const peer = await directPeer(echo(1));
    peer.send(callOf(3, 1, bytes(8)), { type: 'RELEASE', id: 1 }, callOf(4, 1, bytes(8)));
    expect(await peer.answerOf(3)).toMatchObject({ type: 'RESULT' });
    expect(await peer.answerOf(4)).toMatchObject({ type: 'ERROR', code: 'NOT_FOUND' });
    expect(taken).toBeGreaterThan(0);
    peer.close();
  });

  it('keep no outputs, which a call that names them is told', async () => {
    const peer = await directPeer(echo(1));
    const inputs = [{ source: 'HANDLE', slot: 0, handle: 3, output: 0 }] as const;
    peer.send(callOf(3, 1, bytes(8)), callOf(4, 1, bytes(0), { inputs }));
    expect(await peer.answerOf(4)).toMatchObject({ code: 'FAILED_PRECONDITION' });
    expect(taken).toBeGreaterThan(0);
    peer.close();
  });

  it('may not use a handle again', async () => {
    const peer = await directPeer(echo(1));
    peer.send(callOf(7, 1, bytes(8)), callOf(7, 1, bytes(8)));
    const frames = await peer.untilClosed();
    expect(frames.at(-1)).toMatchObject({ type: 'GOAWAY' });
  });

  it('are past the quota of calls no more than others', async () => {
    const { peer, admitted } = await countedPeer(echo(1));
    const { quotas } = admitted.tenant.settings;
    admitted.tenant.usage.quotas = { ...quotas, calls: 0 };
    peer.send(callOf(3, 1, bytes(8)));
    expect(await peer.answerOf(3)).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    expect(taken).toBe(0);
    peer.close();
  });
});

describe('what goes past a connection and what does not', () => {
  const shape = fc.array(fc.nat(6), { maxLength: 4 });
  /** Not in the length and the type, so that frames stay where they are, nor in the deadline, which is a matter of luck. */
  const place = fc.integer({ min: 5, max: 200 }).filter((at) => at < 24 || at > 27);
  const call = fc.record({
    shape,
    dtype: fc.constantFrom('UINT8', 'FP32', 'INT64', 'BOOL', 'BYTES' as const),
    binding: fc.constantFrom(1, 1, 1, 2, 9),
    slot: fc.constantFrom(0, 0, 0, 1),
    priority: fc.constantFrom(0, 0, 0, 5),
    flips: fc.array(fc.tuple(place, fc.nat(255)), { maxLength: 1 }),
  });
  const sizes = { UINT8: 1, FP32: 4, INT64: 8, BOOL: 1, BYTES: 0 } as const;

  /** As they go over the wire, with bytes changed. */
  function framesOf(calls: readonly (typeof call extends fc.Arbitrary<infer T> ? T : never)[]) {
    return calls.map(({ shape, dtype, binding, slot, priority, flips }, i) => {
      const count = shape.reduce((product, size) => product * size, 1);
      const data = bytes(
        dtype === 'BYTES' ? 4 * count : count * sizes[dtype],
        dtype === 'BYTES' ? 0 : 1,
      );
      const writer = new FrameWriter();
      const inputs = [{ source: 'INLINE', slot, dtype, shape, name: '', data }] as const;
      writer.write(callOf(10 + i, binding, data, { inputs, priority }));
      const frame = Buffer.concat(writer.take());
      for (const [at, value] of flips) frame[at < frame.length ? at : 5] = value;
      return frame;
    });
  }

  async function answersTo(frames: readonly Buffer[], cut: number, mode: string): Promise<Frame[]> {
    process.env['AXLE_DIRECT_CALLS'] = mode;
    const peer = await peerOf([], {}, [plugin]);
    peer.send(
      hello,
      echo(1),
      bindOp(2, 'test.axle/batched'),
      callOf(3, 1, bytes(1)),
      callOf(4, 2, bytes(1)),
    );
    await peer.answerOf(4);
    const all = Buffer.concat(frames);
    peer.sendBytes(all.subarray(0, cut));
    peer.sendBytes(all.subarray(cut));
    peer.send({ type: 'LIST', id: 1_000_000 });
    const listed = ({ id, type }: Frame) => id === 1_000_000 && type === 'DONE';
    const ended = await peer.waitFor(listed).then(
      () => false,
      () => true,
    );
    while (!ended && (front?.unanswered ?? 0) > 0) await turn();
    await turn();
    peer.close();
    // What was on its way when the connection ended may be answered or not.
    const told = ended ? ({ type }: Frame) => type === 'GOAWAY' : ({ id }: Frame) => id >= 10;
    return peer.frames
      .filter(told)
      .map(timeless)
      .sort((a, b) => a.id - b.id);
  }

  it('have the same answers', async () => {
    let all = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(call, { minLength: 1, maxLength: 40 }),
        fc.nat(4000),
        async (calls, cut) => {
          const frames = framesOf(calls);
          const ordinary = await answersTo(frames, cut, 'off');
          expect(taken).toBe(0);
          const direct = await answersTo(frames, cut, 'early');
          all += taken;
          taken = 0;
          expect(direct).toEqual(ordinary);
        },
      ),
      { numRuns: 50 },
    );
    expect(all).toBeGreaterThan(1000);
  });
});
