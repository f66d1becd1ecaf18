import { once } from 'node:events';
import { Duplex, PassThrough } from 'node:stream';

import { AxleError } from 'axle';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { CallChannel } from '../src/channel/call-channel.js';
import {
  creditFrameOf,
  FrameReader,
  frameOf,
  frameHeaderBytes,
  FrameType,
  headBytesMax,
  headFrameOf,
  payloadBytesMax,
  windowBytes,
  type FrameTypeName,
} from '../src/channel/frame.js';

const typeArbitrary = fc.constantFrom(...(Object.keys(FrameType) as FrameTypeName[]));

function readAll(bytes: Uint8Array, cuts: readonly number[]): unknown[] {
  const frames: unknown[] = [];
  const reader = new FrameReader(({ type, end, call, payload }) => {
    frames.push([type, end, call, payload.toString('hex')]);
  });
  let at = 0;
  for (const cut of [...cuts, bytes.byteLength]) {
    const until = Math.min(bytes.byteLength, at + cut);
    reader.push(Buffer.from(bytes.subarray(at, until)));
    at = until;
  }
  return frames;
}

describe('frames', () => {
  it('are the same however they are cut on their way', () => {
    const frame = fc.record({
      type: typeArbitrary,
      end: fc.boolean(),
      call: fc.nat(),
      payload: fc.uint8Array({ maxLength: 40 }),
    });
    const cuts = fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 40 });
    fc.assert(
      fc.property(fc.array(frame), cuts, (frames, where) => {
        const sent = frames.map(({ type, call, payload, end }) =>
          frameOf(type, call, payload, end),
        );
        const wanted = frames.map(({ type, end, call, payload }) => [
          type,
          end,
          call,
          Buffer.from(payload).toString('hex'),
        ]);
        expect(readAll(Buffer.concat(sent), where)).toEqual(wanted);
      }),
    );
  });

  it.each<[string, (header: Buffer) => void]>([
    ['of no type', (header) => header.writeUInt8(9, 4)],
    ['of type 0', (header) => header.writeUInt8(0, 4)],
    ['with a flag that is none', (header) => header.writeUInt8(2, 5)],
    ['with something where nothing is', (header) => header.writeUInt16LE(1, 6)],
    ['longer than any', (header) => header.writeUInt32LE(payloadBytesMax + 1, 0)],
  ])('%s are refused before any of them is kept', (_what, spoil) => {
    const bytes = frameOf('DATA', 1);
    spoil(bytes);
    expect(() => readAll(bytes, [])).toThrow(/is no frame/);
  });

  it('refuses heads that are too large where they are made', () => {
    const head = { headers: { a: 'x'.repeat(headBytesMax) } };
    expect(() => headFrameOf('CALL', 1, head, Buffer.alloc(0), true)).toThrow(/at most 262144/);
  });
});

describe('an instance that breaks the rules of its channel', () => {
  const answer = headFrameOf('ANSWER', 1, { status: 200, headers: {} }, Buffer.alloc(0), false);
  const noHead = frameOf('ANSWER', 1, Buffer.from([9, 0, 0, 0, 1]));
  const noJson = frameOf('ANSWER', 1, Buffer.from('\x01\0\0\0{', 'latin1'), true);
  const data = frameOf('DATA', 1, Buffer.alloc(windowBytes / 2 + 1));

  it.each<[string, readonly Buffer[]]>([
    ['answers a call that it does not have', [frameOf('FAILED', 7)]],
    ['answers twice', [answer, answer]],
    ['sends a body before its head', [frameOf('DATA', 1, Buffer.from('x'))]],
    ['sends more of a body than there is room for', [answer, data, data]],
    ['answers with a head that is longer than its frame', [noHead]],
    ['answers with what is no JSON', [noJson]],
    ['fails without saying why', [frameOf('FAILED', 1, Buffer.from('?'))]],
    ['sends what only a front end does', [frameOf('CALL', 1)]],
    ['uses more than it was sent', [creditFrameOf(1, windowBytes + 1)]],
    ['gives credit that is no number', [frameOf('CREDIT', 1, Buffer.from('x'))]],
    ['sends what is no frame', [Buffer.alloc(frameHeaderBytes, 255)]],
  ])('and %s is ended', async (_what, frames) => {
    const fromInstance = new PassThrough();
    const toInstance = new PassThrough();
    toInstance.resume();
    const stream = Duplex.from({ readable: fromInstance, writable: toInstance });
    const fails = new Promise<string>((resolve) => {
      const channel: CallChannel = new CallChannel(stream, {
        timeoutMs: 60_000,
        graceMs: 1,
        deaf: () => undefined,
        hung: () => resolve('hung'),
        retire: resolve,
        broken: (error) => {
          channel.close(error);
          resolve(error.code);
        },
      });
      channel.invoke(
        {
          id: '1',
          functionName: 'f',
          method: 'GET',
          path: '/',
          query: '',
          headers: {},
          body: endless(),
          signal: new AbortController().signal,
        },
        { answered: () => undefined, failed: () => undefined, freed: () => undefined },
      );
    });
    for (const frame of frames) fromInstance.write(frame);
    expect(await fails).toBe('DATA_LOSS');
  });

  it('gives no answer any more, though it is not gone yet', async () => {
    const fromInstance = new PassThrough();
    const toInstance = new PassThrough();
    toInstance.resume();
    const told: string[] = [];
    const channel = new CallChannel(Duplex.from({ readable: fromInstance, writable: toInstance }), {
      timeoutMs: 60_000,
      graceMs: 1,
      deaf: () => undefined,
      hung: () => told.push('hung'),
      retire: (reason) => told.push(reason),
      broken: ({ code }) => told.push(code),
    });
    channel.invoke(
      {
        ...{ id: '1', functionName: 'f', method: 'GET', path: '/', query: '', headers: {} },
        ...{ body: endless(), signal: new AbortController().signal },
      },
      {
        answered: () => told.push('answered'),
        failed: (error) => told.push((error as AxleError).message),
        freed: () => undefined,
      },
    );
    fromInstance.write(noHead);
    await expect.poll(() => told).toEqual(['DATA_LOSS']);
    fromInstance.write(answer);
    fromInstance.write(noHead);
    fromInstance.end();
    await once(fromInstance, 'end');
    channel.close(new AxleError('INTERNAL', 'it is gone'));
    expect(told).toEqual(['DATA_LOSS', 'it is gone']);
  });
});

// eslint-disable-next-line @typescript-eslint/require-await -- bodies come so
async function* endless(): AsyncGenerator<Uint8Array> {
  for (;;) yield Buffer.alloc(1024);
}
