import { setImmediate as turn } from 'node:timers/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { bindCustom, peerOf } from './front-kit.js';
import { PoolBackend } from '../src/pool/pool-backend.js';
import { CallLanes } from '../src/server/call-lanes.js';
import { WireFront, type Admitted } from '../src/server/wire-front.js';
import type { BindFrame, CallFrame, Frame, ResultFrame, WireArg } from '../src/wire/frames.js';
import { FrameWriter } from '../src/wire/frame-writer.js';
import { kill, socketOf } from '../../test/e2e/pool-kit.js';
import { callOf, hello, type RawPeer } from '../../test/e2e/raw-peer.js';
import { folder, serve, type RunningServer } from '../../test/e2e/serve.js';
import { afterTest } from '../../test/e2e/tenants-server.js';

// Read when the modules are loaded.
vi.hoisted(() => {
  process.env['AXLE_DIRECT_CALLS'] = 'early';
});

const plugin = fileURLToPath(
  new URL('../../core/native/build/Release/axle_test_plugin.so', import.meta.url),
);

function startTestServer(name: string): Promise<RunningServer> {
  const where = ['--listen', `unix:${join(folder, `${name}.sock`)}`];
  return serve('--in-process', ...where, '--plugin', `test=${plugin}`);
}

function bytes(length: number, value = 7): Uint8Array {
  return new Uint8Array(length).fill(value);
}

function bindOp(id: number, op: string, args: readonly WireArg[] = [], changes = {}): BindFrame {
  const inputNames = ['any'];
  return bindCustom(id, { opName: op, args, inputNames, names: true, ...changes });
}

const label = { name: 'label', type: 'STRING', value: 'a' } as const;
const echo = (id: number, changes: Partial<BindFrame> = {}) =>
  bindOp(id, 'test.axle/echo', [label], changes);

/** How many calls went on as they came. */
let taken = 0;
let admitted: Admitted | undefined;
let front: WireFront | undefined;

beforeEach(() => {
  taken = 0;
  admitted = undefined;
  const { madeElsewhere, onFrame } = WireFront.prototype;
  vi.spyOn(WireFront.prototype, 'madeElsewhere').mockImplementation(function (
    this: WireFront,
    last,
    calls,
  ) {
    taken += calls;
    madeElsewhere.call(this, last, calls);
  });
  vi.spyOn(WireFront.prototype, 'onFrame').mockImplementation(function (this: WireFront, raw) {
    onFrame.call(this, raw);
    // eslint-disable-next-line @typescript-eslint/no-this-alias -- the front that was called
    front = this;
    admitted = { session: this.session, tenant: this.tenant };
  });
});

afterEach(() => {
  vi.restoreAllMocks();
});

/** In front of a pool of servers of those names, past whose first call others may go. */
async function peerOfPool(names: readonly string[], ...binds: readonly BindFrame[]) {
  const servers = names.map((name) => new URL(socketOf(name)));
  const backend = await PoolBackend.connect({ servers, connect: {}, actsForTenants: false });
  afterTest(() => backend.close());
  const peer = await peerOf([backend]);
  afterTest(() => Promise.resolve(peer.close()));
  peer.send(hello, ...binds);
  // After one answer of each binding its lane is open, and the kind is known.
  for (const [i, { id }] of binds.entries()) {
    peer.send(callOf(100 + i, id, bytes(1)));
    await peer.answerOf(100 + i);
  }
  return { backend, peer };
}

function dataOf(frame: Frame): Uint8Array | undefined {
  const [output] = frame.type === 'RESULT' ? frame.outputs : [];
  return output?.source === 'INLINE' ? output.data : undefined;
}

async function untilIdle(): Promise<void> {
  while ((front?.unanswered ?? 0) > 0) await turn();
}

describe('calls that a pool hands on as they came', () => {
  it('are answered as others, give back what they took, and fail with what the server says', async () => {
    await startTestServer('lanes1');
    const fill = [
      { name: 'bytes', type: 'INT', value: 200_000 },
      { name: 'chunks', type: 'INT', value: 1 },
    ] as const;
    const { peer, backend } = await peerOfPool(
      ['lanes1'],
      echo(1),
      echo(2, { outputBytesMax: 32 }),
      bindOp(3, 'test.axle/fill', fill),
    );
    const before = backend.servers[0]?.finished ?? 0;
    const ordinary = (await peer.answerOf(100)) as ResultFrame;
    const calls = Array.from({ length: 50 }, (_, i) => callOf(200 + i, 1, bytes(64, i)));
    peer.send(...calls);
    for (const { id } of calls) {
      const answer = await peer.answerOf(id);
      expect(answer).toMatchObject({ type: 'RESULT', device: ordinary.device, batchSize: 1 });
      expect(dataOf(answer)).toEqual(bytes(64, id - 200));
    }
    expect(taken).toBeGreaterThanOrEqual(50);
    // They count as tasks of their server.
    expect((backend.servers[0]?.finished ?? 0) - before).toBe(50);
    peer.send(callOf(300, 2, bytes(64)), callOf(301, 2, bytes(32)));
    expect(await peer.answerOf(300)).toMatchObject({ type: 'ERROR', code: 'RESOURCE_EXHAUSTED' });
    expect(dataOf(await peer.answerOf(301))).toEqual(bytes(32));
    // No frame holds its outputs.
    peer.send(callOf(302, 3, bytes(8)));
    expect(await peer.answerOf(302)).toMatchObject({
      type: 'RESULT',
      outputs: [{ source: 'FOLLOWS', bytes: 200_000 }],
    });
    expect(taken).toBeGreaterThanOrEqual(53);
    await untilIdle();
    const { tenant, session } = admitted as Admitted;
    expect(session.directCalls).toBe(0);
    expect(tenant.usage.used('calls')).toBe(0);
    expect(tenant.usage.used('requestBytes')).toBe(0);
    // The bindings'.
    expect(tenant.usage.used('handles')).toBe(3);
  });

  it('end when they are cancelled, or their connection is', async () => {
    await startTestServer('lanes2');
    const sleep = bindOp(199, 'test.axle/sleep', [{ name: 'ms', type: 'INT', value: 60_000 }]);
    const { peer, backend } = await peerOfPool(['lanes2'], echo(1));
    peer.send(sleep, callOf(200, 199, bytes(8)), { type: 'CANCEL', id: 200 });
    expect(await peer.answerOf(200)).toMatchObject({ code: 'CANCELLED' });
    const before = taken;
    peer.send(callOf(201, 199, bytes(8)), callOf(202, 199, bytes(8)));
    while (taken < before + 2) await turn();
    const { tenant, session } = admitted as Admitted;
    expect(session.directCalls).toBe(2);
    peer.send({ type: 'CANCEL', id: 201 });
    expect(await peer.answerOf(201)).toMatchObject({ type: 'ERROR', code: 'CANCELLED' });
    expect(session.directCalls).toBe(1);
    expect(tenant.usage.used('requestBytes')).toBe(8);
    // Against the rules, which ends the connection.
    peer.send(hello);
    await peer.untilClosed();
    expect(tenant.usage.isIdle).toBe(true);
    expect(session.directCalls).toBe(0);
    // The server was told, and does not sleep on.
    await vi.waitUntil(() => backend.servers[0]?.inFlight === 0, { timeout: 10_000 });
  });

  it('go elsewhere when their server is killed: each is answered once, with its own bytes', async () => {
    const servers = {
      lanes3: await startTestServer('lanes3'),
      lanes4: await startTestServer('lanes4'),
    };
    const { peer, backend } = await peerOfPool(['lanes3', 'lanes4'], echo(1));
    const before = taken;
    const dataFor = (i: number) => Buffer.from(`call ${i}`.padEnd(64));
    const burst = 50;
    let total = 0;
    const sendBurst = async () => {
      // A tenant may have 4096.
      while ((front?.unanswered ?? 0) > 2000) await turn();
      const first = total;
      total += burst;
      peer.send(
        ...Array.from({ length: burst }, (_, k) => callOf(200 + first + k, 1, dataFor(first + k))),
      );
      await turn();
    };
    while (total < 1500) await sendBurst();
    // Which of the two the pool likes better is a matter of luck.
    const [likedBest] = [...backend.servers].sort((a, b) => b.finished - a.finished);
    const killed = servers[likedBest?.label as keyof typeof servers];
    const sent = () =>
      backend.servers.find(({ label: name }) => name === likedBest?.label)?.inFlight ?? 0;
    // So that it has some of those that it is sent when it is killed.
    for (;;) {
      killed.process.kill('SIGSTOP');
      for (let k = 0; k < 4; k++) await sendBurst();
      // What it answered before it stood still is taken: the rest is what it keeps.
      for (let before = Infinity; sent() !== before;) {
        before = sent();
        for (let k = 0; k < 5; k++) await turn();
      }
      if (sent() > 0) break;
      // It was avoided for a while.
      killed.process.kill('SIGCONT');
      await sendBurst();
    }
    await kill(killed);
    const beforeLast = total;
    while (total < beforeLast + 1500) await sendBurst();
    let wrong = 0;
    for (let i = 0; i < total; i++) {
      if (!dataFor(i).equals(dataOf(await peer.answerOf(200 + i)) ?? bytes(0))) wrong += 1;
    }
    await untilIdle();
    const answers = peer.frames.filter(({ id, type }) => id >= 200 && type !== 'CREDIT');
    console.log(
      `lanes: ${taken - before} of ${total} calls went on as they came, moves ${backend.counts.moves}`,
    );
    expect({ wrong, answers: answers.length }).toEqual({ wrong: 0, answers: total });
    expect(taken - before).toBeGreaterThan(total / 2);
    expect(backend.counts.moves).toBeGreaterThan(0);
  });
});

describe('whatever a client sends to a pool', () => {
  const call = fc.record({
    shape: fc.array(fc.nat(6), { maxLength: 4 }),
    dtype: fc.constantFrom('UINT8', 'FP32', 'INT64', 'BOOL', 'BYTES' as const),
    binding: fc.constantFrom(1, 1, 1, 2, 9),
    slot: fc.constantFrom(0, 0, 0, 1),
    priority: fc.constantFrom(0, 0, 0, 5),
    /** Not in the length and the type, so that frames stay where they are, nor in the deadline, which is a matter of luck. */
    flips: fc.array(
      fc.tuple(
        fc.integer({ min: 5, max: 200 }).filter((at) => at < 24 || at > 27),
        fc.nat(255),
      ),
      { maxLength: 1 },
    ),
  });
  const sizes = { UINT8: 1, FP32: 4, INT64: 8, BOOL: 1, BYTES: 0 } as const;

  function framesOf(calls: readonly (typeof call extends fc.Arbitrary<infer T> ? T : never)[]) {
    return calls.map(({ shape, dtype, binding, slot, priority, flips }, i) => {
      const count = shape.reduce((product, size) => product * size, 1);
      const isText = dtype === 'BYTES';
      const data = bytes(isText ? 4 * count : count * sizes[dtype], isText ? 0 : 1);
      const writer = new FrameWriter();
      const inputs: CallFrame['inputs'] = [
        { source: 'INLINE', slot, dtype, shape, name: '', data },
      ];
      writer.write(callOf(200 + i, binding, data, { inputs, priority }));
      const frame = Buffer.concat(writer.take());
      for (const [at, value] of flips) frame[at < frame.length ? at : 5] = value;
      return frame;
    });
  }

  function timeless(frame: Frame): Frame {
    if (frame.type !== 'RESULT') return frame;
    return { ...frame, queueUs: 0, transferUs: 0, computeUs: 0, totalUs: 0, batchSize: 1 };
  }

  async function answersTo(peer: RawPeer, frames: readonly Buffer[], cut: number) {
    const all = Buffer.concat(frames);
    peer.sendBytes(all.subarray(0, cut));
    peer.sendBytes(all.subarray(cut));
    peer.send({ type: 'DESCRIBE', id: 1_000_000, watch: false });
    const described = ({ id }: Frame) => id === 1_000_000;
    const ended = await peer.waitFor(described).then(
      () => false,
      () => true,
    );
    if (!ended) await untilIdle();
    await turn();
    peer.close();
    // What was on its way when the connection ended may be answered or not.
    const told = ended
      ? ({ type }: Frame) => type === 'GOAWAY'
      : ({ id }: Frame) => id >= 200 && id < 1_000_000;
    return peer.frames
      .filter(told)
      .map(timeless)
      .sort((a, b) => a.id - b.id);
  }

  it('has the same answers as without lanes, and harms no other client', async () => {
    await startTestServer('lanes5');
    const servers = [new URL(socketOf('lanes5'))];
    const backend = await PoolBackend.connect({ servers, connect: {} });
    afterTest(() => backend.close());
    const binds = [echo(1), bindOp(2, 'test.axle/batched')];
    const openPeer = async () => {
      const peer = await peerOf([backend]);
      peer.send(hello, ...binds, callOf(100, 1, bytes(1)), callOf(101, 2, bytes(1)));
      await peer.answerOf(101);
      return peer;
    };
    const { take } = CallLanes.prototype;
    const lanes = vi.spyOn(CallLanes.prototype, 'take');
    let all = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(call, { minLength: 1, maxLength: 40 }),
        fc.nat(4000),
        async (calls, cut) => {
          const frames = framesOf(calls);
          lanes.mockImplementation(() => 0);
          const ordinary = await answersTo(await openPeer(), frames, cut);
          expect(taken).toBe(0);
          lanes.mockImplementation(take);
          const direct = await answersTo(await openPeer(), frames, cut);
          all += taken;
          taken = 0;
          expect(direct).toEqual(ordinary);
        },
      ),
      { numRuns: 50 },
    );
    expect(all).toBeGreaterThan(10);
    // No connection to the server was lost over it.
    expect(backend.servers).toMatchObject([{ state: 'up' }]);
    await vi.waitUntil(() => backend.servers[0]?.inFlight === 0, { timeout: 10_000 });
    expect(backend.counts.moves).toBe(0);
  });
});
