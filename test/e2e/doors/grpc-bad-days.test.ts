import { once } from 'node:events';
import { connect as connectHttp2, constants } from 'node:http2';
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';

import type { Metadata } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { messageOf, methodOf } from './grpc-door.js';
import { rawOf, type Request } from './request.js';
import {
  messageBytesMax,
  grpcPath,
  malloryPath,
  identity,
  streamInfer,
  preface,
  http2Frame,
  grpcHeaders,
  varint,
  type Doors,
  startDoors,
  closeDoors,
  answersAsEver,
} from './bad-days-kit.js';

let doors: Doors;
let grpc: Doors['grpc'];
let mallory: Doors['mallory'];
const answers = () => answersAsEver(doors);

beforeAll(async () => {
  doors = await startDoors();
  ({ grpc, mallory } = doors);
});
afterAll(() => closeDoors(doors));

describe('gRPC', () => {
  const message = (changes: object) => ({ ...messageOf(identity, 'raw'), ...changes });
  const raw = rawOf(identity.inputs[0]!);

  it.each([
    [
      'more raw contents than inputs',
      { raw_input_contents: [raw, raw] },
      /expected 1 raw_input_contents .*got 2/,
    ],
    [
      'raw contents of another length',
      { raw_input_contents: [raw.subarray(1)] },
      /has 8 bytes, got 7/,
    ],
    [
      'both raw and typed contents',
      { inputs: [{ ...identity.inputs[0], contents: { fp32_contents: [1, 2] } }] },
      /contents field must not be specified when using raw_input_contents for 'x'/,
    ],
    [
      'typed contents of another type',
      {
        inputs: [{ ...identity.inputs[0], contents: { int_contents: [1, 2] } }],
        raw_input_contents: [],
      },
      /is FP32, and its contents are int_contents; give fp32_contents/,
    ],
    [
      'typed contents that do not fit',
      {
        inputs: [{ ...identity.inputs[0], datatype: 'INT8', contents: { int_contents: [1, 128] } }],
        raw_input_contents: [],
      },
      /element 1 is 128, which does not fit/,
    ],
    ['no contents', { raw_input_contents: [] }, /input 'x' for model 'identity' has no data/],
    [
      'a shape of more than there is',
      { inputs: [{ ...identity.inputs[0], shape: [1_000_000, 1_000_000] }] },
      /got 8/,
    ],
    [
      'a shape whose size is no number',
      { inputs: [{ ...identity.inputs[0], shape: [2 ** 52, 2 ** 52] }] },
      /more elements than fit/,
    ],
    ['a shape below 0', { inputs: [{ ...identity.inputs[0], shape: [-1, 2] }] }, /shape/],
  ])('refuses %s', async (_, changes, expected) => {
    const refusal = grpc.inference('ModelInfer', message(changes));
    await expect(refusal).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(refusal).rejects.toThrow(expected);
  });

  it.each([
    ['what is no message', Buffer.from('ffffffffffffff', 'hex'), 'INVALID_ARGUMENT'],
    ['a message that is cut off', Buffer.from('0a7f61', 'hex'), 'INVALID_ARGUMENT'],
    ['a message past the limit', Buffer.alloc(messageBytesMax + 1), 'RESOURCE_EXHAUSTED'],
  ])('refuses %s', async (_, bytes, code) => {
    await expect(grpc.inference('ModelInfer', bytes)).rejects.toMatchObject({ code });
    await answers();
  });

  it('says of what grpc-js refuses, too, whether to try it again', async () => {
    const { path, read } = methodOf('inference.GRPCInferenceService', 'ModelInfer');
    const tooMuch = Buffer.alloc(messageBytesMax + 1);
    const trailers = await new Promise<Metadata>((resolve) => {
      const pass = (bytes: Buffer) => bytes;
      grpc.client
        .makeUnaryRequest(path, pass, read, tooMuch, () => undefined)
        .on('status', ({ metadata }) => {
          resolve(metadata);
        });
    });
    expect(trailers.get('axle-retryable')).toEqual(['false']);
  });

  it('answers in the order of a stream, and goes on after what fails', async () => {
    const replies = await grpc.stream('inference.GRPCInferenceService', 'ModelStreamInfer', [
      messageOf({ ...identity, id: 'a' }, 'raw'),
      messageOf({ ...identity, model: 'nothing', id: 'b' }, 'raw'),
      ...Array.from({ length: 200 }, (__, i) => messageOf({ ...identity, id: String(i) }, 'typed')),
    ]);
    const told = replies.map(({ error_message: error, infer_response: reply }) => {
      const { id } = reply as { id: string };
      return error === '' ? id : `${id}: ${String(error).slice(0, 27)}`;
    });
    const numbers = Array.from({ length: 200 }, (__, i) => String(i));
    expect(told).toEqual(['a', 'b: Request for unknown model: ', ...numbers]);
  });

  it('refuses what it does not serve', async () => {
    for (const method of ['CudaSharedMemoryStatus', 'SystemSharedMemoryStatus']) {
      await expect(grpc.inference(method)).rejects.toMatchObject({ code: 'UNIMPLEMENTED' });
    }
  });

  it('answers 2,000 calls at once', async () => {
    const calls = Array.from({ length: 2000 }, (__, i) =>
      grpc.inference('ModelInfer', messageOf({ ...identity, id: String(i) }, 'raw')),
    );
    const ids = (await Promise.all(calls)).map((reply) => reply['id']);
    expect(ids).toEqual(Array.from({ length: 2000 }, (__, i) => String(i)));
  });

  it('outlives a flood of streams that are broken off', async () => {
    const flood = connectHttp2('http://axle', { createConnection: () => connect(grpcPath) });
    flood.on('error', () => undefined);
    const closed = once(flood, 'close');
    for (let i = 0; i < 5000 && !flood.destroyed; i++) {
      const stream = flood.request(grpcHeaders);
      stream.on('error', () => undefined);
      stream.close(constants.NGHTTP2_CANCEL);
    }
    await answers();
    flood.destroy();
    await closed;
  });

  it.each([
    ['settings', http2Frame(4, Buffer.of(0, 3, 0, 0, 0, 100))],
    ['pings', http2Frame(6, Buffer.alloc(8))],
    ['priorities of streams that are not there', http2Frame(2, Buffer.of(0, 0, 0, 0, 9), 1)],
  ])('outlives a flood of %s that takes no acknowledgement', async (_, frame) => {
    const flood = connect(grpcPath).resume();
    // The server may end it.
    flood.on('error', () => undefined);
    const closed = new Promise((resolve) => flood.once('close', resolve));
    flood.write(Buffer.concat([Buffer.from(preface), http2Frame(4, Buffer.alloc(0))]));
    const many = Buffer.concat(Array.from({ length: 10_000 }, () => frame));
    for (let i = 0; i < 10 && !flood.destroyed; i++) {
      flood.write(many);
      await answers();
    }
    flood.destroy();
    await closed;
    await answers();
  });

  it.each([
    // What is packed may unpack to as much again as a message may have.
    ['as they are', 0, messageBytesMax - 1024, 16],
    ['packed', 1, messageBytesMax / 32, 15],
  ])('charges messages %s while they come', async (_, flag, length, held) => {
    const head = Buffer.of(flag, 0, 0, 0, 0);
    head.writeUInt32BE(length, 1);
    const session = connectHttp2('http://axle', { createConnection: () => connect(malloryPath) });
    session.on('error', () => undefined);
    const underWay = session.request({ ...grpcHeaders, ':path': streamInfer.path });
    underWay.on('error', () => undefined).resume();
    const first = streamInfer.write(messageOf(identity, 'raw'));
    underWay.write(Buffer.concat([Buffer.of(0, 0, 0, 0, first.byteLength), first]));
    await once(underWay, 'data');
    const streams = 64;
    let refused = 0;
    await new Promise<void>((resolve) => {
      for (let i = 0; i < streams; i++) {
        const stream = session.request({ ...grpcHeaders, 'grpc-encoding': 'gzip' });
        stream
          .on('error', () => undefined)
          .on('response', (trailers) => {
            expect(trailers['grpc-status']).toBe('8');
            // It is ended, and what came of the message is not kept for it.
            stream.once('close', () => {
              refused += 1;
              if (refused === streams - held) resolve();
            });
          });
        stream.resume().write(Buffer.concat([head, Buffer.alloc(1000)]));
      }
    });
    const sizes = { name: 'x', datatype: 'FP32', shape: [3, messageBytesMax / 16], values: [] };
    const large = { inputs: [{ ...sizes, raw: Buffer.alloc((3 * messageBytesMax) / 4) }] };
    const ask = (request: Partial<Request>) =>
      mallory.inference('ModelInfer', messageOf({ ...identity, ...request }, 'raw'));
    underWay.write(head);
    await new Promise((resolve) => underWay.once('close', resolve));
    expect(underWay.rstCode).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    await ask({});
    await expect(ask(large)).rejects.toThrow(/tenant mallory may have/);
    await answers();
    session.destroy();
    // It is given back when the server has noticed.
    let isFree = false;
    for (let i = 0; i < 100 && !isFree; i++) isFree = await ask(large).then(Boolean, () => false);
    expect(isFree).toBe(true);
  });

  it('takes no more than a few words of anyone', async () => {
    const service = 'a'.repeat(5000);
    const asked = grpc.call('grpc.health.v1.Health', 'Check', { service });
    await expect(asked).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
  });

  it('leaves a client that takes no answers with so many bytes of them', async () => {
    const big = Buffer.alloc(512 * 1024);
    const packed = gzipSync(big);
    const message = Buffer.concat([Buffer.of(0x0a), varint(packed.byteLength), packed]);
    const head = Buffer.alloc(5);
    head.writeUInt32BE(message.byteLength, 1);
    // It takes no byte of a stream.
    const session = connectHttp2('http://axle', {
      createConnection: () => connect(grpcPath),
      settings: { initialWindowSize: 0 },
    });
    await once(session, 'remoteSettings');
    const headers = { ...grpcHeaders, ':path': '/axle.v1.Axle/Decompress' };
    const statuses: unknown[] = [];
    const streams = Array.from({ length: 8 }, () => session.request(headers));
    const refused = new Promise<void>((resolve) => {
      for (const stream of streams) {
        stream.on('error', () => undefined);
        const note = (trailers: Record<string, unknown>) => {
          if (trailers['grpc-status'] === undefined) return;
          statuses.push(trailers['grpc-status']);
          if (statuses.length === 6) resolve();
        };
        stream.on('response', note).on('trailers', note).resume();
      }
    });
    for (const stream of streams) stream.end(Buffer.concat([head, message]));
    await refused;
    // Two fit.
    expect(statuses).toEqual(Array.from({ length: 6 }, () => '8'));
    session.destroy();
    await answers();
  });
});
