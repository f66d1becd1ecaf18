import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { connect, shippedModels, type Client } from 'axle';
import { ModelManager, type CallFrame, type Frame } from '@axle/remoting';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { addModel, onnxModel } from '../onnx-model.mjs';
import {
  bindInfer,
  dataFrames,
  modelFrame,
  namedFrame,
  rawModel,
  rawModelWith,
  sha256,
  type RawModel,
} from './raw-model.js';
import { callOf, hello, RawPeer } from './raw-peer.js';
import { axlePath, folder, serve, serveUnix, type RunningServer } from './serve.js';

const none = new Uint8Array(0);
/** y = x + number. */
const adding = (number: number) =>
  rawModel({ 'model.onnx': addModel([1], { data: Float32Array.of(number) }) });
/** A model too large to be sent unasked, different for each number. */
const large = (number: number, floats = 100_000) =>
  rawModel({
    'model.onnx': addModel([floats], { data: new Float32Array(floats).fill(number) }),
  });

/** infer of x = [[10]]. */
function callWithTen(id: number, binding: number): CallFrame {
  const data = new Uint8Array(Float32Array.of(10).buffer);
  return callOf(id, binding, none, {
    inputs: [{ source: 'INLINE', slot: 0, dtype: 'FP32', shape: [1, 1], name: '', data }],
  });
}

function floatsOf(frame: Frame): number[] {
  const [output] = frame.type === 'RESULT' ? frame.outputs : [];
  if (output?.source !== 'INLINE') throw new Error(`no output but ${JSON.stringify(frame)}`);
  return [...new Float32Array(new Uint8Array(output.data).buffer)];
}

/** Sends a model as it is asked for. @returns the final answer, and what was asked for */
async function upload(
  peer: RawPeer,
  id: number,
  model: RawModel,
): Promise<{ answer: Frame; needed: readonly { offset: number; bytes: number }[] }> {
  peer.send(modelFrame(id, model), ...dataFrames(id, model.manifest));
  const ended = (frame: Frame) => frame.type === 'DONE' || frame.type === 'ERROR';
  const first = await peer.waitFor(
    (frame) => frame.id === id && (frame.type === 'NEED' || ended(frame)),
  );
  if (first.type !== 'NEED') return { answer: first, needed: [] };
  const pieces = first.ranges.map(({ offset, bytes }) =>
    model.content.subarray(offset, offset + bytes),
  );
  peer.send(...dataFrames(id, Buffer.concat(pieces)));
  return { answer: await peer.answerOf(id), needed: first.ranges };
}

let server: RunningServer;
let client: Client;
const path = join(folder, 'a.sock');

beforeAll(async () => {
  const other = `unix:${join(folder, 'other.sock')},tenant=other`;
  server = await serveUnix('a.sock', '--listen', other);
  client = await connect(server.endpoint);
});
afterAll(() => client.close());

describe('a cold function', () => {
  it('has its first result after one flight with a small model', async () => {
    const model = adding(5);
    const peer = await RawPeer.at(
      path,
      hello,
      modelFrame(1, model, { content: true }),
      bindInfer(2, 1),
      callWithTen(3, 2),
      ...dataFrames(1, Buffer.concat([model.manifest, model.content])),
    );
    expect(floatsOf(await peer.answerOf(3))).toEqual([15]);
    expect(peer.frames.some(({ type }) => type === 'NEED')).toBe(false);
    peer.close();
  });

  it('has it after one flight when the server holds the model, and after two otherwise', async () => {
    const model = large(1);
    const flight = [
      hello,
      modelFrame(1, model),
      bindInfer(2, 1),
      callOf(3, 2, none, {
        inputs: [
          {
            source: 'FOLLOWS',
            slot: 0,
            dtype: 'FP32',
            shape: [1, 100_000],
            name: '',
            bytes: 400_000,
          },
        ],
      }),
      ...dataFrames(1, model.manifest),
      ...dataFrames(3, new Uint8Array(400_000)),
    ];
    const cold = await RawPeer.at(path, ...flight);
    const need = await cold.waitFor(({ type }) => type === 'NEED');
    expect(need).toMatchObject({ ranges: [{ offset: 0, bytes: model.content.byteLength }] });
    cold.send(...dataFrames(1, model.content));
    expect(await cold.answerOf(3)).toMatchObject({ type: 'RESULT' });
    cold.close();
    const warm = await RawPeer.at(path, ...flight);
    expect(await warm.answerOf(3)).toMatchObject({ type: 'RESULT' });
    expect(warm.frames.some(({ type }) => type === 'NEED')).toBe(false);
    warm.close();
  });

  it('fails with the reason of its model', async () => {
    const damaged = rawModel({ 'model.onnx': Buffer.from('no model') });
    const peer = await RawPeer.at(
      path,
      hello,
      modelFrame(1, damaged, { content: true }),
      bindInfer(2, 1),
      callWithTen(3, 2),
      ...dataFrames(1, Buffer.concat([damaged.manifest, damaged.content])),
    );
    expect(await peer.answerOf(1)).toMatchObject({ code: 'INVALID_ARGUMENT', cause: 0 });
    const failed = await peer.answerOf(3);
    expect(failed).toMatchObject({ type: 'ERROR', code: 'INVALID_ARGUMENT', cause: 1 });
    // Where the server keeps files is nobody's business.
    expect(JSON.stringify(failed)).not.toContain(folder);
    peer.close();
  });
});

describe('a server that is sent models', () => {
  const [file] = Object.values({ a: addModel([1], { data: Float32Array.of(1) }) });
  const content = Buffer.from(file as Uint8Array);
  const line = (name: string, bytes = content.byteLength) =>
    `${sha256(content).toString('hex')} ${bytes} ${name}\n`;

  it.each<[string, RawModel, string]>([
    ['leads upwards', rawModelWith(line('../model.onnx'), content), 'INVALID_ARGUMENT'],
    ['leads upwards within', rawModelWith(line('a/../model.onnx'), content), 'INVALID_ARGUMENT'],
    ['is absolute', rawModelWith(line('/etc/model.onnx'), content), 'INVALID_ARGUMENT'],
    ['has a NUL', rawModelWith(line('a\0.onnx'), content), 'INVALID_ARGUMENT'],
    ['is too long', rawModelWith(line('x'.repeat(1024)), content), 'INVALID_ARGUMENT'],
    ['has a part too long', rawModelWith(line('x'.repeat(256)), content), 'INVALID_ARGUMENT'],
    [
      'is both file and folder',
      rawModelWith(line('a') + line('a/b'), Buffer.concat([content, content])),
      'INVALID_ARGUMENT',
    ],
    [
      'comes twice',
      rawModelWith(line('a') + line('a'), Buffer.concat([content, content])),
      'INVALID_ARGUMENT',
    ],
    [
      'is one of too many',
      rawModelWith(
        Array.from(
          { length: 257 },
          (_, i) => `${sha256(none).toString('hex')} 0 ${1000 + i}\n`,
        ).join(''),
        Buffer.alloc(0),
      ),
      'INVALID_ARGUMENT',
    ],
    ['has another size', rawModelWith(line('model.onnx', 7), content), 'INVALID_ARGUMENT'],
    ['is not there', rawModelWith('nothing\n', content), 'INVALID_ARGUMENT'],
    [
      'is of other bytes',
      rawModelWith(line('model.onnx'), Buffer.alloc(content.byteLength)),
      'DATA_LOSS',
    ],
    [
      'is of another manifest',
      { ...rawModel({ 'model.onnx': content }), contentId: Buffer.alloc(32, 1) },
      'DATA_LOSS',
    ],
    ['is not the entry', rawModel({ 'other.onnx': content }), 'INVALID_ARGUMENT'],
  ])('refuses a file whose name or line %s, and goes on', async (_what, model, code) => {
    const peer = await RawPeer.at(
      path,
      hello,
      modelFrame(1, model, { content: true }),
      ...dataFrames(1, Buffer.concat([model.manifest, model.content])),
    );
    expect(await peer.answerOf(1)).toMatchObject({ type: 'ERROR', code });
    const good = adding(6);
    peer.send(
      modelFrame(2, good, { content: true }),
      ...dataFrames(2, Buffer.concat([good.manifest, good.content])),
    );
    expect(await peer.answerOf(2)).toMatchObject({ type: 'DONE' });
    peer.close();
  });

  it('cuts off who sends more than was announced', async () => {
    const model = adding(7);
    const peer = await RawPeer.at(
      path,
      hello,
      modelFrame(1, model),
      ...dataFrames(1, Buffer.concat([model.manifest, model.manifest])),
    );
    expect((await peer.untilClosed()).at(-1)).toMatchObject({ type: 'GOAWAY' });
  });

  it('asks for the rest of an upload that broke off, and only for that', async () => {
    const model = large(2, 500_000);
    const half = Math.floor(model.content.byteLength / 2);
    const first = await RawPeer.at(
      path,
      hello,
      modelFrame(1, model),
      ...dataFrames(1, model.manifest),
    );
    await first.waitFor(({ type }) => type === 'NEED');
    first.send(...dataFrames(1, model.content.subarray(0, half)));
    // Answered behind the data, which is written in the order in which it came.
    const marker = adding(8);
    first.send(
      modelFrame(2, marker, { content: true }),
      ...dataFrames(2, Buffer.concat([marker.manifest, marker.content])),
    );
    await first.answerOf(2);
    first.socket.end();
    await first.untilClosed();
    const second = await RawPeer.at(path, hello);
    const { answer, needed } = await upload(second, 1, model);
    expect(answer).toMatchObject({ type: 'DONE' });
    expect(needed).toHaveLength(1);
    expect(needed[0]?.offset).toBeGreaterThan(0);
    expect((needed[0]?.offset ?? 0) + (needed[0]?.bytes ?? 0)).toBe(model.content.byteLength);
    second.close();
  });

  it('does not ask again for a file that the tenant has in another model', async () => {
    const weights = { 'model.onnx': large(3).content };
    const config = { 'config.pbtxt': Buffer.from('max_batch_size: 8 dynamic_batching { }') };
    const peer = await RawPeer.at(path, hello);
    await upload(peer, 1, rawModel(weights));
    const { answer, needed } = await upload(peer, 2, rawModel({ ...config, ...weights }));
    expect(answer).toMatchObject({ type: 'DONE' });
    expect(needed).toEqual([{ offset: 0, bytes: config['config.pbtxt'].byteLength }]);
    peer.close();
  });

  it("shows nothing of a tenant's models to another", async () => {
    const model = large(4);
    const owner = await RawPeer.at(path, hello);
    await upload(owner, 1, model);
    owner.send({
      type: 'PUBLISH',
      id: 2,
      model: 1,
      name: 'secret',
      version: '',
      replace: false,
    });
    expect(await owner.answerOf(2)).toMatchObject({ type: 'DONE' });
    const stranger = await RawPeer.at(join(folder, 'other.sock'), hello, namedFrame(1, 'secret'));
    expect(await stranger.answerOf(1)).toMatchObject({ type: 'ERROR', code: 'NOT_FOUND' });
    stranger.send({ type: 'LIST', id: 2 }, { type: 'REMOVE', id: 3, name: 'secret', version: '' });
    await stranger.answerOf(2);
    const names = stranger.frames.flatMap((f) => (f.type === 'MODEL_ENTRY' ? [f.name] : []));
    expect(names).toEqual(['glyphs', 'mlp']);
    expect(await stranger.answerOf(3)).toMatchObject({ type: 'ERROR', code: 'NOT_FOUND' });
    // It knows the hash, and is asked for all of it all the same.
    const { answer, needed } = await upload(stranger, 4, model);
    expect(needed).toEqual([{ offset: 0, bytes: model.content.byteLength }]);
    expect(answer).toMatchObject({ type: 'DONE' });
    owner.send({ type: 'REMOVE', id: 3, name: 'secret', version: '1' });
    expect(await owner.answerOf(3)).toMatchObject({ type: 'DONE' });
    owner.close();
    stranger.close();
  });

  it('reads no file of its own by a name that is a path', async () => {
    const peer = await RawPeer.at(
      path,
      hello,
      namedFrame(1, join(shippedModels, 'glyphs')),
      namedFrame(2, '../models/glyphs'),
      namedFrame(3, 'glyphs/1/model.onnx'),
      namedFrame(4, 'glyphs:1'),
      { type: 'READ', id: 5, model: 4, file: '../../../package.json' },
      { type: 'READ', id: 6, model: 4, file: 'labels.txt' },
    );
    for (const id of [1, 2, 3, 5]) {
      expect(await peer.answerOf(id)).toMatchObject({ type: 'ERROR', code: 'NOT_FOUND' });
    }
    const labels = await readFile(join(shippedModels, 'glyphs/labels.txt'));
    expect(await peer.answerOf(6)).toMatchObject({
      outputs: [{ dtype: 'UINT8', data: new Uint8Array(labels) }],
    });
    peer.close();
  });

  it('answers LOAD with what the model takes and gives', async () => {
    const peer = await RawPeer.at(path, hello, namedFrame(1, 'mlp'), {
      type: 'LOAD',
      id: 2,
      strict: false,
      model: 1,
      deadlineUs: 0,
      priority: 0,
      device: '',
    });
    expect(await peer.answerOf(2)).toMatchObject({ type: 'LOADED', inputCount: 1, device: 1 });
    const specs = peer.frames.filter((frame) => frame.id === 2 && frame.type === 'TENSOR_SPEC');
    expect(specs).toMatchObject([
      { role: 'INPUT', name: 'image', shape: [-1, 1, 32, 32] },
      { role: 'OUTPUT', name: 'scores', shape: [-1, 34] },
    ]);
    peer.close();
  });
});

describe('the store of a server', () => {
  const limited = join(folder, 'limits.json');
  writeFileSync(limited, JSON.stringify({ limits: { models: 2, modelBytes: 1_250_000 } }));

  it.each([
    ['--store-bytes', '1000000'],
    ['--config', limited],
  ])(
    'with %s keeps what has a name, lets go what was used longest ago, and says when it is full',
    async (...bound) => {
      const name = `tight${bound[0]}.sock`;
      const tight = await serveUnix(name, ...bound);
      const at = join(folder, name);
      const put = async (number: number, name?: string) => {
        const peer = await RawPeer.at(at, hello);
        const { answer, needed } = await upload(peer, 1, large(number));
        if (name !== undefined) {
          peer.send({ type: 'PUBLISH', id: 2, model: 1, name, version: '', replace: false });
          await peer.answerOf(2);
        }
        peer.close();
        await peer.untilClosed();
        return answer.type === 'DONE' ? needed.length : answer;
      };
      expect(await put(1)).toBe(1);
      expect(await put(2, 'two')).toBe(1);
      expect(await put(1)).toBe(0);
      // Two of 400 KB fit.
      expect(await put(3, 'three')).toBe(1);
      expect(await put(2)).toBe(0);
      expect(await put(1)).toMatchObject({ type: 'ERROR', code: 'RESOURCE_EXHAUSTED' });
      const manager = await ModelManager.connect(new URL(tight.endpoint), {});
      await manager.remove('two', '');
      expect(await put(1)).toBe(1);
      await expect(manager.push(await saveLarge(9, 300_000), {})).rejects.toMatchObject({
        code: 'RESOURCE_EXHAUSTED',
      });
      await manager.close();
    },
  );

  it('outlives its server, and notices files that are not what they were', async () => {
    const store = join(folder, 'kept');
    const args = ['--listen', `unix:${join(folder, 'kept.sock')}`, '--store', store] as const;
    const first = await serve(...args);
    const manager = await ModelManager.connect(new URL(first.endpoint), {});
    const [glyphs, mlp] = ['glyphs', 'mlp'].map((name) => join(shippedModels, name)) as [
      string,
      string,
    ];
    await manager.push(glyphs, { name: 'mine' });
    const again = { name: 'mine', version: '1' };
    await expect(manager.push(mlp, again)).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    const replaced = await manager.push(mlp, { ...again, replace: true });
    expect(replaced).toMatchObject({ version: '1', inputs: [{ shape: [-1, 1, 32, 32] }] });
    expect((await manager.push(glyphs, { name: 'mine' })).version).toBe('2');
    await manager.close();
    const intruder = ['--listen', `unix:${join(folder, 'two.sock')}`, '--store', store];
    const two = spawn(process.execPath, [axlePath, 'serve', ...intruder]);
    expect(await once(two, 'close')).toEqual([1, null]);
    first.process.kill('SIGKILL');
    await once(first.process, 'close');
    const weights = await readFile(join(glyphs, '1/model.onnx'));
    const damaged = Buffer.from(weights);
    damaged[1000] = (damaged[1000] ?? 0) ^ 1;
    await writeFile(join(store, 'blobs', sha256(weights).toString('hex')), damaged);
    const second = await serve(...args);
    await using user = await connect(second.endpoint);
    expect((await user.model('mine:1')).labels).toBe(34);
    await expect(user.model('mine')).rejects.toMatchObject({ code: 'DATA_LOSS' });
    const image = { image: new Float32Array(3 * 48 * 48) };
    const { outputs } = await user.infer(glyphs, image);
    expect(outputs['scores']?.shape).toEqual([1, 34]);
    expect((await user.model('mine')).version).toBe('2');
  });

  it('says when the disk is full, and harms nothing', async () => {
    const at = join(folder, 'full.sock');
    const storesIn = async () =>
      (await readdir(folder)).filter((name) => name.startsWith('axle-store-')).sort();
    const before = await storesIn();
    const full = spawn(
      'sh',
      [
        '-c',
        'ulimit -f 1000; exec "$@"',
        'sh',
        process.execPath,
        axlePath,
        'serve',
        '--listen',
        `unix:${at}`,
      ],
      { env: { ...process.env, TMPDIR: folder }, stdio: ['ignore', 'pipe', 'inherit'] },
    );
    await once(createInterface(full.stdout), 'line');
    expect(await storesIn()).toHaveLength(before.length + 1);
    const peer = await RawPeer.at(at, hello);
    const { answer } = await upload(peer, 1, large(1, 500_000));
    expect(answer).toMatchObject({
      type: 'ERROR',
      code: 'RESOURCE_EXHAUSTED',
      message: expect.stringMatching(/disk.*is full.*--store/s) as string,
    });
    expect((await upload(peer, 2, large(2, 50_000))).answer).toMatchObject({ type: 'DONE' });
    peer.close();
    full.kill('SIGTERM');
    expect(await once(full, 'close')).toEqual([0, null]);
    expect(await storesIn()).toEqual(before);
  });
});

describe('a client of a server', () => {
  it('runs its own models with their config, and those of the server by name', async () => {
    const model = join(folder, 'batched');
    await mkdir(join(model, '1'), { recursive: true });
    await writeFile(join(model, 'config.pbtxt'), 'max_batch_size: 64 dynamic_batching { }');
    await writeFile(join(model, '1/model.onnx'), addModel([1], { location: 'weights.bin' }));
    await writeFile(join(model, '1/weights.bin'), new Uint8Array(Float32Array.of(3).buffer));
    const inputs = Array.from({ length: 200 }, (_, i) => ({ x: Float32Array.of(i) }));
    const results = await client.infer(model, inputs);
    expect(results.map(({ outputs }) => outputs['y']?.data[0])).toEqual(
      inputs.map((_, i) => i + 3),
    );
    expect(Math.max(...results.map(({ steps }) => steps[0]?.batchSize ?? 0))).toBeGreaterThan(1);
    const { outputs } = await client.infer('mlp', { image: new Float32Array(1024) });
    expect(outputs['scores']?.shape).toEqual([1, 34]);
    await expect(client.infer('nope', {})).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('there are: glyphs, mlp') as string,
    });
  });

  it('prefers its own folders to names of the server', async () => {
    const own = join(folder, 'own');
    await mkdir(join(own, 'mlp/1'), { recursive: true });
    await writeFile(join(own, 'mlp/1/model.onnx'), addModel([1], { data: Float32Array.of(100) }));
    await using mine = await connect(server.endpoint, { models: own });
    const { outputs } = await mine.infer('mlp', { x: Float32Array.of(1) });
    expect([...(outputs['y']?.data as Float32Array)]).toEqual([101]);
    expect((await mine.models()).map(({ name, path: its }) => [name, its !== ''])).toEqual([
      ['mlp', true],
      ['glyphs', false],
    ]);
  });

  it('sends a model again that the server refused, once it is mended', async () => {
    const file = join(folder, 'mended.onnx');
    const value = { shape: ['n', 1] };
    const io = { inputs: [{ name: 'x', ...value }], outputs: [{ name: 'y', ...value }] };
    await writeFile(file, onnxModel({ ...io, nodes: [['NoSuchOperator', ['x'], ['y']]] }));
    const run = async () => {
      await using fresh = await connect(server.endpoint);
      return (await fresh.infer(file, { x: Float32Array.of(1) })).outputs['y']?.data[0];
    };
    await expect(run()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await writeFile(file, onnxModel({ ...io, nodes: [['Identity', ['x'], ['y']]] }));
    expect(await run()).toBe(1);
  });

  it('loads ahead, so that what is wrong with a model shows before its first call', async () => {
    await client.prefetch('glyphs');
    const file = join(folder, 'odd.onnx');
    const value = { shape: ['n', 1] };
    const io = { inputs: [{ name: 'x', ...value }], outputs: [{ name: 'y', ...value }] };
    await writeFile(file, onnxModel({ ...io, nodes: [['NoSuchOperator', ['x'], ['y']]] }));
    await expect(client.prefetch(file)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

async function saveLarge(number: number, floats: number): Promise<string> {
  const file = join(folder, `large-${number}.onnx`);
  await writeFile(file, large(number, floats).content);
  return file;
}
