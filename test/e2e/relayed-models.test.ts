import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { connectRelays, ModelManager } from '@axle/remoting';
import { connect, shippedModels, Tensor, type Client } from 'axle';
import { limitsWith, Runtime } from '@axle/core/internal';
import { loadServeSettings, Server } from '@axle/remoting';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { matMulModel } from '../onnx-model.mjs';
import { GrpcDoor } from './doors/grpc-door.js';
import { identityModel, writeModel } from './doors/models.js';
import type { Door, Input } from './doors/request.js';
import { RestDoor } from './doors/rest-door.js';
import { folder } from './serve.js';
import { temporaryStore } from './temporary-store.js';
import { TrustedServer } from './trusted-server.js';

const sample = fileURLToPath(new URL('../../axle/models/samples/A.png', import.meta.url));
const x: Input = { name: 'x', datatype: 'FP32', shape: [1, 2], values: [1, 2] };

let upstream: TrustedServer;
let relay: Server;
let runtime: Runtime;
/** Of tenant a on both servers. */
let own: ModelManager;
let a: Client;
let b: Client;
let doors: Readonly<Record<string, Door>>;
let restOfB: RestDoor;
let endpoints: Readonly<Record<'a' | 'b', string>>;

beforeAll(async () => {
  const path = join(folder, 'gpu1.sock');
  const [theirs, ours] = ['theirs', 'ours'].map((name) => join(folder, name)) as [string, string];
  for (const each of [theirs, ours]) mkdirSync(each);
  writeModel(theirs, 'identity', identityModel(1, ['n', 'm']));
  writeModel(theirs, 'identity', identityModel(1, ['n', 'm']), '2');
  // The relay has a model of that name, which goes first.
  writeModel(theirs, 'both', identityModel(1, ['n', 'm']));
  writeModel(ours, 'both', identityModel(7, ['n', 'm']));
  upstream = await TrustedServer.start(theirs, {
    listen: [`unix:${path},tenant=nobody`],
    tokens: 'tokens.jsonl',
    models: [theirs, shippedModels],
  });
  const token = await upstream.addToken('relay', { mayActFor: ['a', 'b'] });
  const tokenOfA = await upstream.addToken('a');
  const backends = await connectRelays([new URL(`axle+unix:${path}`)], { token });
  const limits = limitsWith({});
  runtime = await Runtime.start({
    plugins: [],
    decodesImages: false,
    backends,
    models: [ours],
    limits,
  });
  const at = (name: string, tenant: string) => `unix:${join(folder, name)},tenant=${tenant}`;
  const settings = await loadServeSettings({
    listen: [at('wire-a', 'a'), at('wire-b', 'b'), at('wire-c', 'c')],
    grpc: [at('grpc-a', 'a')],
    http: [at('http-a', 'a'), at('http-b', 'b')],
  });
  relay = await Server.start({
    ...{ runtime, limits, listen: settings.listen, doors: settings.doors, trust: settings.trust },
    ...{ store: await temporaryStore(), tls: undefined, log: () => undefined },
  });
  const [wireA = '', wireB = ''] = relay.endpoints;
  const [grpcA = '', httpA = '', httpB = ''] = relay.doorEndpoints;
  endpoints = { a: wireA, b: wireB };
  [a, b] = await Promise.all([connect(wireA), connect(wireB)]);
  doors = { gRPC: new GrpcDoor(grpcA, 'raw'), REST: new RestDoor(httpA, 'json') };
  restOfB = new RestDoor(httpB, 'json');
  own = await ModelManager.connect(new URL(`axle+unix:${path}`), { token: tokenOfA });
  const pushed = join(folder, 'pushed');
  writeModel(pushed, 'mine', matMulModel(2, 1));
  await own.push(join(pushed, 'mine'), { name: 'mine' });
});
afterAll(async () => {
  for (const door of [...Object.values(doors), restOfB]) door.close();
  await Promise.all([a.close(), b.close(), own.close()]);
  await relay.close(0);
  await runtime.close();
  await upstream.close();
});

const namesFor = async (endpoint: string) => {
  const manager = await ModelManager.connect(new URL(endpoint), {});
  const listed = await manager.list();
  await manager.close();
  return listed.map(({ name, version }) => `${name}:${version}`);
};

describe('behind a relay', () => {
  it('the names of a server are those that the tenant sees there', async () => {
    const theirs = ['both:1', 'glyphs:1', 'identity:2', 'mlp:1'];
    expect(await namesFor(endpoints.b)).toEqual(theirs);
    expect(await namesFor(endpoints.a)).toEqual([...theirs.slice(0, 3), 'mine:1', 'mlp:1']);
  });

  it.each(['gRPC', 'REST'])('models are described and called by name, by %s', async (name) => {
    const door = doors[name] as Door;
    expect(await door.modelMetadata('identity')).toMatchObject({
      name: 'identity',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, -1] }],
    });
    expect(await door.modelReady('mine')).toBe(true);
    expect(await door.modelReady('identity', '1')).toBe(true);
    expect(await door.modelReady('identity', '3')).toBe(false);
    for (let i = 0; i < 3; i++) {
      const answer = await door.infer({ model: 'identity', inputs: [x] });
      expect(answer).toMatchObject({ version: '2', outputs: [{ name: 'y', values: [1, 2] }] });
    }
    const first = await door.infer({ model: 'identity', version: '1', inputs: [x] });
    expect(first).toMatchObject({ version: '1', outputs: [{ values: [1, 2] }] });
    const mine = await door.infer({ model: 'mine', inputs: [x] });
    expect(mine.outputs).toHaveLength(1);
  });

  it('they are in the index of the repository', async () => {
    const index = (await restOfB.rest.json('POST', '/v2/repository/index')) as { name: string }[];
    expect(index.map(({ name }) => name)).toEqual(['both', 'glyphs', 'identity', 'mlp']);
  });

  it('they are called over the wire, whole chains too', async () => {
    const tensor = Tensor.from('FP32', Float32Array.of(3, 4), [1, 2]);
    for (const client of [a, b]) {
      const { outputs, device } = await client.infer('identity', { x: tensor });
      expect([...(outputs['y']?.data as Float32Array)]).toEqual([3, 4]);
      expect(device).toBe('remote/gpu1/cpu-fallback:0');
    }
    const { results } = await a.classify(readFileSync(sample), { model: 'glyphs' });
    expect(results[0]).toMatchObject({ label: 'A' });
  });

  it("a tenant's own models are nobody else's", async () => {
    const tensor = Tensor.from('FP32', Float32Array.of(3, 4), [1, 2]);
    await expect(a.infer('mine', { x: tensor })).resolves.toBeDefined();
    await expect(b.infer('mine', { x: tensor })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await restOfB.modelReady('mine')).toBe(false);
  });

  it('a name that the relay has itself means its own model', async () => {
    const metadata = await restOfB.modelMetadata('both');
    expect(metadata.inputs).toMatchObject([{ datatype: 'INT64' }]);
  });

  it('a tenant that the server does not know sees what the relay has', async () => {
    expect(await namesFor(relay.endpoints[2] ?? '')).toEqual(['both:1']);
  });

  it('another model under a name is seen, and found again on a new connection', async () => {
    const pushed = join(folder, 'again');
    writeModel(pushed, 'mine', identityModel(7, ['n', 'm']));
    await own.push(join(pushed, 'mine'), { name: 'mine', version: '1', replace: true });
    const door = doors['REST'] as Door;
    await expect
      .poll(async () => (await door.modelMetadata('mine')).inputs, { timeout: 20_000 })
      .toMatchObject([{ datatype: 'INT64' }]);
    const asked = { ...x, datatype: 'INT64', values: [1n, 2n] };
    const { outputs } = await door.infer({ model: 'mine', inputs: [asked] });
    expect(outputs[0]?.values).toEqual([1n, 2n]);
  });

  it('each tenant has one connection there', () => {
    // The relay's own, a's and b's, and that of the test.
    expect(upstream.connections).toBe(4);
  });
});
