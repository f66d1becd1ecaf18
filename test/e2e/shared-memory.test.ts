import { randomFillSync } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { gunzipSync } from 'node:zlib';

import { attachMemory, copiedBytes } from '@axle/core/internal';
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
import { beforeAll, describe, expect, it, vi } from 'vitest';

import { builtPlugin } from './plugins.js';
import { bindCompress, callOf, hello, RawPeer } from './raw-peer.js';
import { Relay } from './relay.js';
import { folder, serve, serveUnix } from './serve.js';

const path = join(folder, 'm.sock');
const echo = 'echo.axle/echo';
const plugin = ['--plugin', `echo=${builtPlugin('echo').path}`];
const wanting = { ...hello, features: 1 };
const bindGzip = bindCompress(1, {
  args: [
    { name: 'codec', type: 'INT', value: 3 },
    { name: 'level', type: 'INT', value: 1 },
  ],
});
const bindEcho = bindCompress(1, { op: 0, opName: echo, args: [] });
const timeoutMs = 10_000;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

interface Sharing {
  readonly peer: RawPeer;
  readonly memory: Uint8Array;
  readonly arena: number;
}

/** A peer that has attached the memory which it was offered. */
async function sharing(bind = bindGzip): Promise<Sharing> {
  const peer = await RawPeer.at(path, wanting, bind);
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
  await serveUnix('m.sock', ...plugin);
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

  it.each([
    ['an op that gets a copy', bindGzip],
    ['an op that reads it in place', bindEcho],
  ])('is not harmed by a peer that writes while it is read, by %s', async (_what, bind) => {
    const { peer, memory, arena } = await sharing(bind);
    const bytes = 256 * 1024;
    const ids = Array.from({ length: 12 }, (_, i) => i + 2);
    for (const id of ids) {
      peer.send(sharedCall(id, { arena, offset: 0, bytes }, { arena, offset: bytes, bytes }));
      randomFillSync(memory, 0, 2 * bytes);
    }
    const scribble = setInterval(() => randomFillSync(memory, 0, 2 * bytes), 0);
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

  it('is not what another client has', async () => {
    const [one, other] = [await sharing(), await sharing()];
    one.memory.fill(7, 0, 4096);
    expect(other.memory.subarray(0, 4096).every((byte) => byte === 0)).toBe(true);
    one.peer.close();
    other.peer.close();
  });

  it('is missed aloud once, where something in between hands on bytes alone', async () => {
    const told: string[] = [];
    const note = ({ name, message }: Error) => {
      if (name === 'AxleWarning') told.push(message);
    };
    process.on('warning', note);
    const between = await Relay.at(join(folder, 'between.sock'), path);
    const clients = [await connect(between.endpoint), await connect(between.endpoint)];
    for (const client of clients) {
      const { data } = await client.compress(new Uint8Array(300_000), { codec: 'gzip' });
      expect(gunzipSync(data).byteLength).toBe(300_000);
      await client.close();
    }
    process.off('warning', note);
    await between.close();
    expect(told).toEqual([expect.stringMatching(/^no shared memory with the server/)]);
  });

  it('is offered on unix sockets only', async () => {
    const { endpoint } = await serve('--listen', 'tcp:127.0.0.1:0', '--insecure');
    const peer = await RawPeer.at(Number(new URL(endpoint).port), wanting, bindGzip);
    await peer.answerOf(1);
    expect(peer.frames.find(({ type }) => type === 'WELCOME')).toMatchObject({ features: 0 });
    expect(peer.frames.map(({ type }) => type)).not.toContain('ARENA');
    peer.close();
  });
});

describe('memory from allocate', () => {
  it('is where inputs are read and outputs written, and nothing is copied', async () => {
    const { endpoint } = await serveUnix('a.sock', ...plugin);
    await using client = await connect(endpoint);
    const [input, into] = [await client.allocate(300_000), await client.allocate(300_000)];
    randomFillSync(input);
    const before = copiedBytes.total;
    for (const given of [input, input.subarray(64, 200_000)]) {
      const { outputs } = await client.run(echo, { bytes: given }, { into });
      const data = outputs['bytes']?.bytes as Uint8Array;
      expect(data.buffer).toBe(into.buffer);
      expect(Buffer.compare(data, given)).toBe(0);
    }
    expect(copiedBytes.total).toBe(before);
    // What starts at no multiple of 64 is copied to where it may.
    const { outputs } = await client.run(echo, { bytes: input.subarray(1) }, { into });
    expect(Buffer.compare(outputs['bytes']?.bytes as Uint8Array, input.subarray(1))).toBe(0);
    expect(copiedBytes.total).toBe(before + 299_999);
  });

  it('is ordinary memory where a server has none to share, or no more, and in this process', async () => {
    const { endpoint } = await serveUnix('n.sock', '--shared-memory', '64K', ...plugin);
    const echoHere = { name: 'echo', path: builtPlugin('echo').path };
    for (const client of [await connect(endpoint), await connect({ plugins: [echoHere] })]) {
      const [input, into] = [await client.allocate(300_000), await client.allocate(300_000)];
      randomFillSync(input);
      const { outputs } = await client.run(echo, { bytes: input }, { into });
      expect(Buffer.compare(outputs['bytes']?.bytes as Uint8Array, input)).toBe(0);
      await expect(client.allocate(-1)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
      await expect(client.allocate(Number.MAX_SAFE_INTEGER)).rejects.toMatchObject({
        code: 'RESOURCE_EXHAUSTED',
        retryable: false,
      });
      await expect(client.run(echo, [{ bytes: input }], { into })).rejects.toThrow("'into'");
      await client.close();
    }
  });

  it('goes on being good when the server is replaced, and the new one has memory of its own', async () => {
    const first = await serveUnix('r.sock', ...plugin);
    await using client = await connect(first.endpoint);
    const [input, into] = [await client.allocate(300_000), await client.allocate(300_000)];
    const echoed = async (given: Uint8Array, to: Uint8Array) =>
      (await client.run(echo, { bytes: given }, { into: to })).outputs['bytes']?.bytes;
    randomFillSync(input);
    expect((await echoed(input, into))?.buffer).toBe(into.buffer);
    first.process.kill('SIGKILL');
    await once(first.process, 'exit');
    const waiting = echoed(input, into);
    await serveUnix('r.sock', ...plugin);
    expect(Buffer.compare((await waiting) as Uint8Array, input)).toBe(0);
    const fresh = await client.allocate(300_000);
    expect((await echoed(input, fresh))?.buffer).toBe(fresh.buffer);
    // A device of the first server may write there still.
    expect((await echoed(input, into))?.buffer).not.toBe(into.buffer);
  });

  it('comes back when nothing refers to it', async () => {
    const { endpoint } = await serveUnix('g.sock', '--shared-memory', '1M', ...plugin);
    await using client = await connect(endpoint);
    let live = await client.allocate(900_000);
    const isShared = async (memory: Uint8Array) => {
      const { outputs } = await client.run(echo, { bytes: memory }, { into: memory });
      return outputs['bytes']?.bytes.buffer === memory.buffer;
    };
    expect(await isShared(live)).toBe(true);
    await vi.waitFor(async () => {
      live = new Uint8Array(0);
      collectGarbage();
      live = await client.allocate(900_000);
      expect(await isShared(live)).toBe(true);
    });
  });
});
