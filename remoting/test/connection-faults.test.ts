import { duplexPair } from 'node:stream';

import { adoptTensor, OpFlag } from '@axle/core/internal';
import { describe, expect, it } from 'vitest';

import { callOf, hello, type RawPeer } from '../../test/e2e/raw-peer.js';
import { Connection, type ConnectionHandler } from '../src/connection/connection.js';
import { defaultTimes } from '../src/connection/times.js';
import { WireErrorId, wireLimits } from '../src/generated/wire.js';
import type { CallFrame, Frame } from '../src/wire/frames.js';
import { FrameWriter } from '../src/wire/frame-writer.js';
import { bindCustom, CustomBackend, giveBack, peerOf } from './front-kit.js';
import { loneClient } from './lone-client.js';

const KiB = 1024;
const none = new Uint8Array(0);
const impatient = { ...defaultTimes, stallMs: 40 };
const nervous = { ...defaultTimes, pingAfterMs: 20, pongMs: 200 };

/** Of a peer that takes 128 KiB of a handle's data. */
const tight: Frame = { ...hello, streamWindow: 128 * KiB, connectionWindow: 2048 * KiB };

function echo(): CustomBackend {
  return new CustomBackend('soft', OpFlag.PURE | OpFlag.STREAMABLE, giveBack);
}

/** A call with so many bytes that follow it, and them. */
function largeCall(id: number, bytes: number): Frame[] {
  const tensor = { dtype: 'UINT8', shape: [bytes], name: '' } as const;
  const inputs: CallFrame['inputs'] = [{ source: 'FOLLOWS', slot: 0, ...tensor, bytes }];
  return [callOf(id, 1, none, { inputs }), ...dataOf(id, bytes)];
}

function dataOf(id: number, bytes: number): Frame[] {
  const piece = 32 * KiB;
  return Array.from({ length: bytes / piece }, () => ({
    type: 'DATA' as const,
    id,
    end: false,
    data: new Uint8Array(piece),
  }));
}

function received(peer: RawPeer, id: number): number {
  const sizes = peer.frames.map((frame) =>
    frame.type === 'DATA' && frame.id === id ? frame.data.byteLength : 0,
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

describe('a server whose client gives no credit', () => {
  it('fails the call whose data waits, and goes on with others', async () => {
    const peer = await peerOf([echo()], { times: impatient });
    peer.send(tight, bindCustom(1), ...largeCall(2, 256 * KiB));
    await peer.waitFor(({ type, id }) => type === 'ERROR' && id === 2);
    expect(received(peer, 2)).toBeLessThanOrEqual(128 * KiB);
    const answers = peer.frames.filter(({ type, id }) => id === 2 && type !== 'CREDIT');
    expect(answers[0]).toMatchObject({ type: 'RESULT' });
    expect(peer.frames.at(-1)).toMatchObject({ code: 'RESOURCE_EXHAUSTED', retryable: true });
    peer.send(callOf(3, 1, new Uint8Array(5)));
    expect(await peer.answerOf(3)).toMatchObject({ type: 'RESULT' });
    peer.close();
  });

  it('leaves a stream alone for as long as it is not read', async () => {
    const peer = await peerOf([echo()], { times: impatient });
    const stream = { deadlineUs: 0, priority: 0, trace: undefined };
    peer.send(tight, bindCustom(1), { type: 'STREAM', id: 2, binding: 1, ...stream });
    peer.send(...dataOf(2, 256 * KiB), { type: 'DATA', id: 2, end: true, data: none });
    // Less than a frame is left of its window then.
    await peer.waitFor(() => received(peer, 2) > 64 * KiB);
    // Waits as long, and is failed for it.
    peer.send(...largeCall(3, 256 * KiB));
    await peer.waitFor(({ type, id }) => type === 'ERROR' && id === 3);
    peer.send({ type: 'CREDIT', id: 2, bytes: 256 * KiB });
    expect(await peer.answerOf(2)).toMatchObject({ type: 'RESULT' });
    expect(received(peer, 2)).toBe(256 * KiB);
    peer.close();
  });

  it('closes the connection whose own window stays shut', async () => {
    const peer = await peerOf([echo()], { times: impatient });
    peer.send({ ...hello, connectionWindow: 256 * KiB }, bindCustom(1));
    for (let id = 2; id < 60; id++) peer.send(callOf(id, 1, new Uint8Array(10 * KiB)));
    const frames = await peer.untilClosed();
    expect(frames.at(-1)).toMatchObject({ type: 'GOAWAY', wireError: WireErrorId.CREDIT_STALL });
    expect(frames.length).toBeGreaterThan(10);
  });

  it('is patient with one that gives it slowly', async () => {
    const peer = await peerOf([echo()], { times: impatient });
    peer.send(tight, bindCustom(1), ...largeCall(2, 256 * KiB));
    while (received(peer, 2) < 256 * KiB) {
      await new Promise((resolve) => setTimeout(resolve, impatient.stallMs / 4));
      peer.send({ type: 'CREDIT', id: 2, bytes: 8 * KiB });
    }
    expect(peer.frames.map(({ type }) => type)).not.toContain('ERROR');
    peer.close();
  });
});

describe('a side that hears nothing', () => {
  it('asks for a sign of life, is content with any, and gives up without', async () => {
    const peer = await peerOf([echo()], { times: nervous });
    peer.send(hello);
    const pings = () => peer.frames.filter(({ type }) => type === 'PING');
    for (let i = 1; i <= 3; i++) {
      await peer.waitFor(() => pings().length >= i);
      peer.send({ type: 'PONG', id: pings()[0]?.id as number });
    }
    await peer.untilClosed();
    expect(pings().length).toBeGreaterThanOrEqual(4);
  });

  it('fails what a client waits for with UNAVAILABLE', async () => {
    const [near, far] = duplexPair();
    const writer = new FrameWriter();
    writer.write(welcome);
    for (const part of writer.take()) far.write(part);
    far.resume();
    const client = loneClient(near, nervous);
    const failed = new Promise((resolve) => {
      const answer = { onFrame: () => false, onFailed: resolve };
      client.ask({ type: 'DESCRIBE', id: 1, watch: false }, answer);
    });
    expect(await failed).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
  });

  it('fails a call whose data the server does not take', async () => {
    const [near, server] = silentServer();
    const client = loneClient(near, impatient);
    const id = 1;
    const bytes = 4096 * KiB;
    const failed = new Promise((resolve) => {
      const [frame] = largeCall(id, bytes);
      client.ask(frame as Frame, { onFrame: () => false, onFailed: resolve });
      client.sendTensors(id, [adoptTensor('UINT8', [new Uint8Array(bytes)], [bytes])]);
    });
    expect(await failed).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    // The connection lives on.
    expect(client.unanswered).toBe(0);
    client.ask({ type: 'LIST', id: 2 }, { onFrame: () => false, onFailed: () => undefined });
    expect(client.unanswered).toBe(1);
    server.destroy(new Error('over') as never);
    client.close(new Error('over') as never);
  });
});

/** A server that greets and then neither answers nor gives credit for what is sent to a handle. */
function silentServer(): [near: ReturnType<typeof duplexPair>[0], server: Connection] {
  const [near, far] = duplexPair();
  const windows = { connection: 64 * KiB * KiB, stream: 512 * KiB };
  const handler: ConnectionHandler = {
    onFrame: ({ type }) => {
      if (type === 'HELLO') server.send(welcome);
    },
    onStalled: () => undefined,
    onClosed: () => undefined,
  };
  const peer = { payloadBytesMax: wireLimits.payloadBytesMin, connection: 65536, stream: 4096 };
  const server: Connection = new Connection(far, 'server', windows, peer, handler);
  return [near, server];
}

const welcome: Frame = {
  type: 'WELCOME',
  id: 0,
  version: 1,
  versionMin: 1,
  versionMax: 1,
  features: 0,
  instance: new Uint8Array(16),
  payloadMax: 65536,
  streamWindow: 512 * KiB,
  connectionWindow: 64 * KiB * KiB,
  callsMax: 100,
  handlesMax: 100,
  idleMs: 0,
  requestBytesMax: 64 * KiB * KiB,
  modelBytesMax: 0,
  lastHandle: 0,
  resumeMs: 0,
  tenant: '',
  agent: 'a test',
};
