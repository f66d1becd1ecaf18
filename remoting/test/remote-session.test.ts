import { duplexPair, type Duplex } from 'node:stream';

import {
  AxleError,
  type BackendTask,
  type CancelListener,
  type Device,
  type ModelSource,
  type TaskOutcome,
  Tensor,
  tensorElsewhere,
  type TensorPlace,
} from '@axle/core/internal';
import { describe, expect, it } from 'vitest';

import { goawayOf } from '../src/connection/connection.js';
import type { NamedOnServer } from '../src/client/named-models.js';
import { KeptHandle, KeptPlace } from '../src/client/kept-place.js';
import { RemotePut } from '../src/client/remote-put.js';
import { RemoteModels } from '../src/client/remote-models.js';
import { noCredentials } from '../src/client/credentials.js';
import type { ConnectionTimes } from '../src/connection/times.js';
import { RemoteBinding } from '../src/client/remote-binding.js';
import { RemoteCall } from '../src/client/remote-call.js';
import { RemoteSession, type SessionOptions } from '../src/client/remote-session.js';
import { decodeFrame } from '../src/wire/decode-frame.js';
import type { BindFrame, CallFrame, Frame } from '../src/wire/frames.js';
import { FrameSplitter } from '../src/wire/frame-splitter.js';
import { FrameWriter } from '../src/wire/frame-writer.js';
import { VirtualTimers } from './virtual-timers.js';

/** The server's end of a connection, which says what the test says. */
class Peer {
  readonly frames: Frame[] = [];
  private heard: () => void = () => undefined;

  constructor(
    readonly stream: Duplex,
    /** The client's end, which breaks when it is destroyed. */
    readonly far: Duplex,
  ) {
    const splitter = new FrameSplitter('client');
    stream.on('data', (chunk: Buffer) => {
      splitter.push(chunk, (raw) => this.frames.push(decodeFrame(raw)));
      this.heard();
    });
  }

  get calls(): CallFrame[] {
    return this.frames.filter((frame) => frame.type === 'CALL');
  }

  say(...frames: readonly Frame[]): void {
    const writer = new FrameWriter();
    for (const frame of frames) writer.write(frame);
    for (const part of writer.take()) this.stream.write(part);
  }

  async hears(type: Frame['type']): Promise<void> {
    while (!this.frames.some((frame) => frame.type === type)) {
      await new Promise<void>((resolve) => {
        this.heard = resolve;
      });
    }
  }
}

const welcome: Frame = {
  type: 'WELCOME',
  id: 0,
  version: 1,
  versionMin: 1,
  versionMax: 1,
  features: 0,
  instance: new Uint8Array(16).fill(1),
  payloadMax: 65536,
  streamWindow: 1 << 20,
  connectionWindow: 1 << 22,
  callsMax: 100,
  handlesMax: 100,
  idleMs: 0,
  requestBytesMax: 1000,
  modelBytesMax: 1000,
  lastHandle: 0,
  resumeMs: 0,
  tenant: '',
  agent: '',
};

function bindFrame(id: number): BindFrame {
  return {
    type: 'BIND',
    id,
    strict: true,
    names: true,
    labels: false,
    steps: false,
    op: 0,
    opVersion: 1,
    first: 0,
    last: 0,
    opName: 'test.axle/append',
    device: 'effect:0',
    model: 0,
    outputBytesMax: 0,
    args: [],
    inputNames: [],
  };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** A session, its time, and the peers of its connections in order. */
async function openSession(times?: ConnectionTimes, onChange?: SessionOptions['onChange']) {
  const timers = new VirtualTimers();
  const peers: Peer[] = [];
  const dial = () => {
    const [client, server] = duplexPair();
    peers.push(new Peer(server, client));
    return Promise.resolve({ stream: client, credentials: noCredentials });
  };
  const url = new URL('axle+unix:/nowhere');
  const options = { url, dial, timers, times, onChange, alternates: new Map() };
  const session = await RemoteSession.open(options);
  const [first] = peers as [Peer];
  first.say(welcome);
  await first.hears('HELLO');
  await turn();
  return { session, timers, peers, first };
}

describe('a session', () => {
  it('takes a silent server for lost, and connects anew', async () => {
    const times = { pingAfterMs: 20, pongMs: 40, stallMs: 10_000 };
    const { session, timers, peers, first } = await openSession(times);
    const failed = new Promise((resolve) => {
      const answer = { onFrame: () => false, onFailed: resolve };
      session.ask({ type: 'DESCRIBE', id: session.newHandle(), watch: false }, answer);
    });
    await first.hears('PING');
    const failure = await failed;
    expect(failure).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    while (peers.length < 2) await turn();
    await peers[1]?.hears('HELLO');
    session.close(failure as AxleError);
    await turn();
    expect(timers.waiting).toBe(0);
  });

  it('that gave up looks for its server again when it is asked to, and says what becomes of it', async () => {
    const changes: (string | undefined)[] = [];
    const { session, timers, peers, first } = await openSession(undefined, (lostBy) =>
      changes.push(lostBy?.code),
    );
    first.far.destroy();
    while (peers.length < 2) await turn();
    // Past all tries of a round, none of which is answered.
    for (let i = 0; i < 100; i++) {
      timers.advance(1000);
      await turn();
    }
    const tried = peers.length;
    session.seek();
    while (peers.length === tried) await turn();
    peers[tried]?.say(welcome);
    while (session.lostReason !== undefined) await turn();
    expect(changes).toEqual(['UNAVAILABLE', undefined]);
    session.close(new AxleError('CANCELLED', 'over'));
    session.seek();
    await turn();
    expect(peers).toHaveLength(tried + 1);
    expect(timers.waiting).toBe(0);
  });

  it('makes again what it holds under the old numbers in their order, once the greeting is answered', async () => {
    const { session, peers, first } = await openSession();
    const hold = (id: number) => {
      session.hold({
        id,
        sendOn: (client) => {
          client.ask({ type: 'LIST', id }, { onFrame: () => true, onFailed: () => undefined });
        },
        onFailed: () => undefined,
      });
    };
    const ids = [session.newHandle(), session.newHandle(), session.newHandle()] as const;
    for (const id of ids) hold(id);
    session.release(ids[1]);
    await first.hears('RELEASE');
    first.far.destroy();
    while (peers.length < 2) await turn();
    const second = peers[1] as Peer;
    await second.hears('HELLO');
    expect(second.frames).toHaveLength(1);
    second.say(welcome);
    await second.hears('LIST');
    expect(second.frames.slice(1)).toMatchObject([{ id: ids[0] }, { id: ids[2] }]);
    const nonces = [first, second].map(
      ({ frames: [frame] }) => (frame as { nonce?: Uint8Array }).nonce,
    );
    expect(nonces[0]).toEqual(nonces[1]);
    expect(session.newHandle()).toBe(ids[2] + 1);
    session.close(new AxleError('CANCELLED', 'over'));
  });

  it.each([
    { instance: 1, becomes: 'is replayed' },
    { instance: 2, becomes: 'is reported' },
  ])(
    'a call that must not run twice $becomes when instance $instance follows 1',
    async ({ instance }) => {
      const { session, peers, first } = await openSession();
      const outcomes: TaskOutcome[] = [];
      const task = taskOf((outcome) => outcomes.push(outcome));
      const binding = new RemoteBinding(
        bindFrame(session.newHandle()),
        false,
        undefined,
        () => undefined,
      );
      session.hold(binding);
      session.call(
        new RemoteCall(session, session.newHandle(), task, binding, {
          name: 'remote',
          deviceIdAt: () => '',
        }),
      );
      await first.hears('CALL');
      first.far.destroy();
      while (peers.length < 2) await turn();
      const second = peers[1] as Peer;
      await second.hears('HELLO');
      second.say({ ...welcome, instance: new Uint8Array(16).fill(instance) });
      await second.hears('BIND');
      const replayed = second.frames.filter(({ type }) => type === 'CALL');
      if (instance === 1) {
        expect(replayed).toMatchObject([{ replay: true }]);
        expect(outcomes).toEqual([]);
      } else {
        expect(replayed).toEqual([]);
        expect(outcomes).toMatchObject([{ error: { code: 'ABORTED', outcomeUnknown: true } }]);
      }
      session.close(new AxleError('CANCELLED', 'over'));
    },
  );

  it('hears that a model is loaded from a server that leaves', async () => {
    const { session, peers, first } = await openSession();
    const models = new RemoteModels(session, () => undefined);
    const device = { id: 'd:0' } as Device;
    const named = { reference: 'm', takeHandle: () => 0 } as NamedOnServer;
    const loaded = await models.load(device, {} as ModelSource, named);
    const loading = models.prefetch(loaded, 'd:0');
    await first.hears('LOAD');
    const [load] = first.frames.filter(({ type }) => type === 'LOAD') as [Frame];
    const leaving = goawayOf(new AxleError('UNAVAILABLE', 'it leaves'), 0);
    first.say({ ...leaving, code: 'OK', last: load.id });
    while (peers.length < 2) await turn();
    const counts = { memoryBytes: 0, device: 0, inputCount: 0, outputCount: 0 };
    first.say({ type: 'LOADED', id: load.id, ...counts });
    await loading;
    await first.hears('RELEASE');
    session.close(new AxleError('CANCELLED', 'over'));
  });

  it('lets go of a tensor that was put for nobody', async () => {
    const { session, first } = await openSession();
    let giveUp: (reason: unknown) => void = () => undefined;
    const cancellation = {
      subscribe: ({ cancelled }: CancelListener) => {
        giveUp = cancelled;
      },
    };
    const tensor = Tensor.from('UINT8', new Uint8Array(8), [8]);
    const put = RemotePut.send(session, 'remote', tensor, cancellation);
    await first.hears('PUT');
    giveUp(new Error('given up'));
    await expect(put).rejects.toThrow('given up');
    await first.hears('CANCEL');
    const [{ id }] = first.frames.filter(({ type }) => type === 'PUT') as [Frame];
    first.say({ type: 'DONE', id });
    await first.hears('RELEASE');
    expect(first.frames.at(-1)).toMatchObject({ type: 'RELEASE', id });
    session.close(new AxleError('CANCELLED', 'over'));
  });

  it('names what the server keeps, in its place among the inputs, and releases a handle once', async () => {
    const { session, first } = await openSession();
    const client = session.connected();
    const binding = new RemoteBinding(
      bindFrame(session.newHandle()),
      true,
      undefined,
      () => undefined,
    );
    session.hold(binding);
    const outcomes: TaskOutcome[] = [];
    const here = Tensor.from('UINT8', new Uint8Array(8), [8]);
    const place = new KeptPlace('remote', 8, new KeptHandle(client, 77, 2), 1);
    const inputs = [here, tensorElsewhere('UINT8', [8], place), here].map((tensor, i) => {
      return { name: `${i}`, tensor };
    });
    const task = { ...taskOf((outcome) => outcomes.push(outcome)), inputs, keeps: true };
    session.call(new RemoteCall(session, session.newHandle(), task, binding, noDevices));
    await first.hears('CALL');
    const [call] = first.frames.filter(({ type }) => type === 'CALL') as [Frame];
    expect(call).toMatchObject({
      keep: true,
      omit: true,
      inputs: [
        { source: 'INLINE', slot: 0 },
        { source: 'HANDLE', slot: 1, handle: 77, output: 1 },
        { source: 'INLINE', slot: 2 },
      ],
    });
    const omitted = { source: 'OMITTED', dtype: 'UINT8', shape: [4], name: '', bytes: 4 } as const;
    const outputs = [0, 1].map((slot) => ({ ...omitted, slot }));
    first.say({ ...resultOf(call.id), outputs } as Frame);
    while (outcomes.length === 0) await turn();
    const [outcome] = outcomes as [TaskOutcome & { ok: true }];
    const [one, other] = outcome.outputs.map(({ tensor }) => tensor.place as TensorPlace);
    expect(one).toMatchObject({ byteLength: 4, output: 0 });
    one?.release();
    one?.release();
    other?.release();
    await first.hears('RELEASE');
    const released = first.frames.filter(({ type }) => type === 'RELEASE');
    expect(released).toMatchObject([{ id: call.id }]);
    session.close(new AxleError('CANCELLED', 'over'));
  });

  it('finds the call that ends servers without giving up any other', async () => {
    const { session, timers, peers, first } = await openSession();
    const binding = new RemoteBinding(
      bindFrame(session.newHandle()),
      true,
      undefined,
      () => undefined,
    );
    session.hold(binding);
    const outcomes: TaskOutcome[] = [];
    const deadly = 100;
    for (let i = 0; i < 5; i++) {
      const task = taskOf((outcome) => (outcomes[i] = outcome), i === 2 ? deadly : 0);
      session.call(new RemoteCall(session, session.newHandle(), task, binding, noDevices));
    }
    const answered = new Map<Peer, number>();
    /** Each server ends with that call in hand, and answers none that it has at the same time. */
    const serve = (peer: Peer) => {
      const from = answered.get(peer);
      if (from === undefined && peer.frames.length > 0) {
        peer.say({ ...welcome, instance: new Uint8Array(16).fill(peers.length) });
        answered.set(peer, 0);
      }
      const calls = peer.calls.slice(from);
      answered.set(peer, peer.calls.length);
      if (calls.some(({ priority }) => priority === deadly)) peer.far.destroy();
      else for (const { id } of calls) peer.say(resultOf(id));
    };
    answered.set(first, 0);
    while (Object.keys(outcomes).length < 5) {
      serve(peers.at(-1) as Peer);
      await turn();
      timers.advance(1000);
    }
    expect(peers).toHaveLength(4);
    expect(outcomes[2]).toMatchObject({ error: { code: 'INTERNAL', retryable: false } });
    expect(outcomes.map(({ ok }) => ok)).toEqual([true, true, false, true, true]);
    session.close(new AxleError('CANCELLED', 'over'));
  });
});

const noDevices = { name: 'remote', deviceIdAt: () => '' };

/** A task of the op that `bindFrame` binds. */
function taskOf(settle: (outcome: TaskOutcome) => void, priority = 0): BackendTask {
  return {
    range: { name: 'test.axle/append', op: 0, version: 1, first: 0, last: 0 },
    args: {},
    model: undefined,
    inputs: [],
    outputBytesMax: 0,
    deadlineAt: undefined,
    priority,
    tenant: 'a',
    settle,
  };
}

function resultOf(id: number): Frame {
  return {
    type: 'RESULT',
    id,
    steps: [],
    fallbacks: [],
    outputs: [],
    queueUs: 0,
    transferUs: 0,
    computeUs: 0,
    totalUs: 0,
    batchSize: 1,
    device: 0,
  };
}
