import { randomFillSync } from 'node:crypto';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

import { attachMemory } from '@axle/core/internal';
import {
  decodeFrame,
  FrameSplitter,
  FrameWriter,
  WireErrorId,
  type ArenaFrame,
  type Frame,
  type Place,
  type ResultFrame,
} from '@axle/remoting';
import { connect } from 'axle';
import { beforeAll, describe, expect, it } from 'vitest';

import { bindCompress, callOf, hello, RawPeer } from './raw-peer.js';
import { folder, serveUnix } from './serve.js';

const path = join(folder, 'm.sock');
const wanting = { ...hello, features: 1 };
const bindGzip = bindCompress(1, {
  args: [
    { name: 'codec', type: 'INT', value: 3 },
    { name: 'level', type: 'INT', value: 1 },
  ],
});
const timeoutMs = 10_000;

/** A peer that has attached the memory which it was offered. */
async function sharing(): Promise<{ peer: RawPeer; memory: Uint8Array; arena: number }> {
  const peer = await RawPeer.at(path, wanting, bindGzip);
  const { ticket, arena } = (await peer.waitFor(({ type }) => type === 'ARENA')) as ArenaFrame;
  const { bytes } = await attach(ticket);
  peer.send({ type: 'ARENA_READY', id: 0, arena });
  return { peer, memory: bytes as Uint8Array, arena };
}

async function attach(ticket: Uint8Array) {
  const writer = new FrameWriter();
  writer.write({ type: 'ATTACH', id: 0, ticket });
  const { answer, memory } = await attachMemory(path, Buffer.concat(writer.take()), timeoutMs);
  const bytes = memory?.range(0, memory.byteLength);
  const frames: Frame[] = [];
  new FrameSplitter('server').push(answer, (raw) => frames.push(decodeFrame(raw)));
  return { frames, bytes };
}

/** A call whose input is a range, and whose output has a place. */
function sharedCall(id: number, input: Place, place?: Place): Frame {
  const shape = [input.bytes];
  return callOf(id, 1, new Uint8Array(0), {
    inputs: [{ source: 'SHARED', slot: 0, dtype: 'UINT8', shape, name: '', ...input }],
    place,
  });
}

beforeAll(async () => {
  await serveUnix('m.sock');
});

describe('shared memory with a server', () => {
  it('takes inputs from it and lays outputs into it', async () => {
    const { peer, memory, arena } = await sharing();
    const input = randomFillSync(new Uint8Array(50_000));
    memory.set(input, 640);
    peer.send(
      sharedCall(
        2,
        { arena, offset: 640, bytes: input.byteLength },
        { arena, offset: 128 * 1024, bytes: 64 * 1024 },
      ),
    );
    const { outputs } = (await peer.answerOf(2)) as ResultFrame;
    expect(outputs).toHaveLength(1);
    const [output] = outputs;
    if (output?.source !== 'SHARED') throw new Error(`it came ${output?.source ?? 'not'}`);
    expect(output).toMatchObject({ arena, offset: 128 * 1024 });
    const archive = memory.subarray(output.offset, output.offset + output.bytes);
    expect(Buffer.compare(gunzipSync(archive), input)).toBe(0);
    peer.close();
  });

  it('sends what does not fit its place as ever', async () => {
    const { peer, memory, arena } = await sharing();
    randomFillSync(memory, 0, 40_000);
    const input = memory.slice(0, 40_000);
    peer.send(
      sharedCall(2, { arena, offset: 0, bytes: 40_000 }, { arena, offset: 65_536, bytes: 64 }),
    );
    const { outputs } = (await peer.answerOf(2)) as ResultFrame;
    expect(outputs).toMatchObject([{ source: 'FOLLOWS' }]);
    const [{ bytes }] = outputs as unknown as [{ bytes: number }];
    const data = () =>
      Buffer.concat(peer.frames.flatMap((frame) => (frame.type === 'DATA' ? [frame.data] : [])));
    await peer.waitFor(() => data().byteLength === bytes);
    expect(Buffer.compare(gunzipSync(data()), input)).toBe(0);
    peer.close();
  });

  it.each<[string, Partial<Place>, Partial<Place> | undefined]>([
    ['an input past its end', { offset: 2 ** 28 - 64, bytes: 128 }, undefined],
    ['an input far past its end', { offset: 2 ** 52 }, undefined],
    ['an input at no multiple of 64', { offset: 8 }, undefined],
    ['an input of another arena', { arena: 2 }, undefined],
    ['a place past its end', {}, { offset: 2 ** 28 }],
    ['a place of another arena', {}, { arena: 7 }],
  ])('fails a call with %s, and no other', async (_what, input, place) => {
    const { peer, arena } = await sharing();
    const range = { arena, offset: 0, bytes: 64 };
    peer.send(
      sharedCall(2, { ...range, ...input }, place && { ...range, ...place }),
      sharedCall(3, range),
    );
    expect(await peer.answerOf(2)).toMatchObject({ type: 'ERROR', code: 'OUT_OF_RANGE' });
    expect(await peer.answerOf(3)).toMatchObject({ type: 'RESULT' });
    peer.close();
  });

  it('does not let many calls name the same bytes until memory is gone', async () => {
    const { peer, arena } = await sharing();
    const whole = { arena, offset: 0, bytes: 2 ** 28 };
    const calls = [2, 3, 4, 5, 6, 7, 8].map((id) => sharedCall(id, whole));
    peer.send(...calls, { type: 'CANCEL', id: 2 });
    expect(await peer.answerOf(8)).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    peer.close();
  });

  it('is not harmed by a peer that writes while it is read', async () => {
    const { peer, memory, arena } = await sharing();
    const bytes = 256 * 1024;
    const ids = Array.from({ length: 12 }, (_, i) => i + 2);
    for (const id of ids) {
      peer.send(sharedCall(id, { arena, offset: 0, bytes }));
      randomFillSync(memory, 0, bytes);
    }
    const scribble = setInterval(() => randomFillSync(memory, 0, bytes), 0);
    const answers = await Promise.all(ids.map((id) => peer.answerOf(id)));
    clearInterval(scribble);
    expect(answers.map(({ type }) => type)).toEqual(ids.map(() => 'RESULT'));
    peer.close();
  });

  it('is handed to the holder of the ticket alone, once', async () => {
    const peer = await RawPeer.at(path, wanting);
    const { ticket } = (await peer.waitFor(({ type }) => type === 'ARENA')) as ArenaFrame;
    const refusal = { type: 'GOAWAY', code: 'PERMISSION_DENIED' };
    const wrong = await attach(Uint8Array.from(ticket, (byte) => byte ^ 1));
    expect(wrong).toMatchObject({ frames: [refusal], bytes: undefined });
    expect((await attach(ticket)).bytes?.byteLength).toBe(2 ** 28);
    expect(await attach(ticket)).toMatchObject({ frames: [refusal], bytes: undefined });
    peer.close();
    await peer.untilClosed();
  });

  it('is offered to nobody who did not ask, and may not be said to be ready by them', async () => {
    const peer = await RawPeer.at(path, hello, { type: 'ARENA_READY', id: 0, arena: 1 });
    const frames = await peer.untilClosed();
    expect(frames.map(({ type }) => type)).not.toContain('ARENA');
    expect(frames.at(-1)).toMatchObject({ type: 'GOAWAY', wireError: WireErrorId.WRONG_STATE });
  });

  it('carries the calls of a client, also when there is not room for all at once', async () => {
    const { endpoint } = await serveUnix('small.sock', '--shared-memory', '1M');
    const client = await connect(endpoint);
    const inputs = Array.from({ length: 16 }, () => randomFillSync(new Uint8Array(300_000)));
    for (let round = 0; round < 2; round++) {
      const results = await Promise.all(
        inputs.map((input) => client.compress(input, { codec: 'gzip', level: 1 })),
      );
      results.forEach(({ data }, i) => {
        expect(Buffer.compare(gunzipSync(data), inputs[i] as Uint8Array)).toBe(0);
      });
    }
    await client.close();
  });
});
