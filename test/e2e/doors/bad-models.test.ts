import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { connect, Tensor, type Client } from 'axle';
import { ModelManager } from '@axle/remoting';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { onnxModel } from '../../onnx-model.mjs';
import { axlePath, folder } from '../serve.js';
import { TrustedServer } from '../trusted-server.js';
import { GrpcClient, messageOf } from './grpc-door.js';
import { identityModel, writeModel } from './models.js';
import { RestClient } from './rest-door.js';

const place = join(folder, 'bad-models');
const models = join(place, 'models');
const identity = identityModel(1, ['n', 'm']);
/** Of a tenant. */
const mine = join(place, 'mine.onnx');
const longFolder = 'f'.repeat(200);

/** y = x under other names. */
const named = (input: string, output: string) =>
  onnxModel({
    inputs: [{ name: input, shape: ['n'] }],
    outputs: [{ name: output, shape: ['n'] }],
    nodes: [['Identity', [input], [output]]],
  });

/** By name: what each door says of it. */
const problems: Readonly<Record<string, RegExp>> = {
  long: /input "x{64}" has a name of 200 bytes; 127 are the most/,
  control: /output "a\\nb" has a name with control characters/,
  negative: /negative\/config\.pbtxt.*max_batch_size/,
  labels:
    /labels\/config\.pbtxt: label_filename '\.\.\/\.\.\/passwd' must be a file of the model's folder/,
  noversion: /model 'noversion': it has no folder of a version; put the model in 1\/model\.onnx/,
  flat: /model 'flat': it has no folder of a version; put the model in 1\/model\.onnx/,
  zero: /model 'zero': version 0 is none/,
  folder: /model 'folder': 1\/model\.onnx is missing or no regular file/,
  pipe: /model 'pipe': 1\/model\.onnx is missing or no regular file/,
  dangling: /model 'dangling': it is a link that leads nowhere/,
  garbage: /garbage\/1\/model\.onnx/,
};

let server: TrustedServer;
let rest: RestClient;
let grpc: GrpcClient;
let client: Client;

beforeAll(async () => {
  mkdirSync(models, { recursive: true });
  writeModel(models, 'good', identity);
  writeModel(models, 'long', named('x'.repeat(200), 'y'));
  writeModel(models, 'control', named('x', 'a\nb'));
  writeModel(models, 'negative', identity, '1', 'max_batch_size: -5');
  writeModel(
    models,
    'labels',
    onnxModel({
      inputs: ['x', 'z'].map((name) => ({ name, shape: ['n', 3] })),
      outputs: [{ name: 'y', shape: ['n', 3] }],
      nodes: [['Add', ['x', 'z'], ['y']]],
    }),
    '1',
    'output [ { name: "y" data_type: TYPE_FP32 dims: [ 3 ] label_filename: "../../passwd" } ]',
  );
  mkdirSync(join(models, 'noversion'));
  writeModel(models, 'zero', identity, '0');
  mkdirSync(join(models, 'folder', '1', 'model.onnx'), { recursive: true });
  mkdirSync(join(models, 'pipe', '1'), { recursive: true });
  execFileSync('mkfifo', [join(models, 'pipe', '1', 'model.onnx')]);
  symlinkSync(join(place, 'nowhere'), join(models, 'dangling'));
  writeModel(models, 'garbage', Buffer.from('no model'));
  writeModel(models, longFolder, identity);
  writeModel(models, 'unknown-op', unknownOp);
  writeModel(
    models,
    'any-rank',
    onnxModel({
      inputs: [{ name: 'x' }],
      outputs: [{ name: 'y' }],
      nodes: [['Identity', ['x'], ['y']]],
    }),
  );
  writeFileSync(mine, identity);
  // Not meant as models.
  writeFileSync(join(models, 'notes.txt'), '');
  execFileSync('mkfifo', [join(models, 'queue')]);
  mkdirSync(join(models, 'pictures'));
  writeFileSync(join(models, 'pictures', 'a.png'), '');
  mkdirSync(join(models, 'flat'));
  writeFileSync(join(models, 'flat', 'model.onnx'), identity);
  server = await TrustedServer.start(place, {
    listen: [`unix:${join(place, 'wire.sock')}`],
    grpc: [`unix:${join(place, 'grpc.sock')}`],
    http: [`unix:${join(place, 'http.sock')}`],
    models: [models],
  });
  const [grpcAt = '', httpAt = ''] = server.doorEndpoints;
  grpc = new GrpcClient(grpcAt);
  rest = new RestClient(httpAt);
  client = await connect(server.endpoint, { token: '' });
});
afterAll(async () => {
  await client.close();
  rest.close();
  grpc.close();
  await server.close();
});

const unknownOp = onnxModel({
  inputs: [{ name: 'x', shape: ['n', 'm'] }],
  outputs: [{ name: 'y', shape: ['n', 'm'] }],
  nodes: [['NoSuchOperator', ['x'], ['y']]],
});
const input = Tensor.from('FP32', Float32Array.of(1, 2), [1, 2]);
const request = (model: string) => ({
  model,
  inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], values: [1, 2] }],
});

interface Entry {
  readonly name: string;
  readonly state: string;
  readonly reason: string;
}

async function index(): Promise<ReadonlyMap<string, Entry>> {
  const entries = (await rest.json('POST', '/v2/repository/index')) as Entry[];
  return new Map(entries.map((entry) => [entry.name, entry]));
}

describe('models that cannot be served', () => {
  it('are listed on the wire with their problems, beside those that can', async () => {
    const listed = new Map((await client.models()).map((each) => [each.name, each]));
    expect(listed.get('good')).toMatchObject({ problem: undefined, inputs: [{ name: 'x' }] });
    for (const [name, problem] of Object.entries(problems)) {
      expect(listed.get(name)?.problem).toMatch(problem);
      expect(listed.get(name)?.problem).not.toContain(place);
    }
    const long = [...listed.keys()].find((name) => name.startsWith('fff'));
    expect(listed.get(long ?? '')?.problem).toMatch(/has a name of 200 bytes; 127 are the most/);
    for (const name of ['queue', 'pictures']) expect([...listed.keys()]).not.toContain(name);
    expect([...listed.keys()]).not.toContain('notes.txt');
  });

  it('are listed by the client of this machine, with paths', async () => {
    const own = await connect({ models: [models] });
    const listed = new Map((await own.models()).map((each) => [each.name, each.problem]));
    for (const name of ['noversion', 'zero', 'folder', 'pipe', 'dangling']) {
      expect(listed.get(name)).toMatch(problems[name]!);
    }
    expect(listed.get('negative')).toContain(join(models, 'negative', 'config.pbtxt'));
    await expect(own.infer('noversion', { x: input })).rejects.toThrow(problems['noversion']);
    await own.close();
  });

  it('are UNAVAILABLE with the reason in the index, and not ready', async () => {
    const entries = await index();
    expect(entries.get('good')).toMatchObject({ state: 'READY' });
    for (const [name, problem] of Object.entries(problems)) {
      expect(entries.get(name)).toMatchObject({ state: 'UNAVAILABLE' });
      expect(entries.get(name)?.reason).toMatch(problem);
      expect((await rest.send('GET', `/v2/models/${name}/ready`)).status).toBe(400);
    }
    expect(entries.get(longFolder)?.reason).toMatch(/has a name of 200 bytes/);
  });

  it.each(Object.entries(problems))('refuse calls of %s with the same', async (name, problem) => {
    const asks = [
      () => client.infer(name, { x: input }),
      () => grpc.inference('ModelInfer', messageOf(request(name), 'raw')),
      () => rest.json('GET', `/v2/models/${name}`),
    ];
    for (const ask of asks) {
      const error = await ask().catch((reason: unknown) => reason as Error);
      expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' });
      expect(String(error)).toMatch(problem);
      expect(String(error)).not.toContain(place);
    }
  });

  it('are not asked for by what cannot be a name', async () => {
    await expect(client.infer('', { x: input })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: 'the name of the model is empty',
    });
    await expect(client.infer('x'.repeat(200), { x: input })).rejects.toThrow(
      /the model "x{64}" has a name of 200 bytes; 127 are the most/,
    );
  });

  it('are not taken for scalars where the number of dimensions is open', async () => {
    const report = (await client.models()).find(({ name }) => name === 'any-rank');
    expect(report?.inputs).toEqual([{ name: 'x', dtype: 'FP32', shape: [], anyRank: true }]);
    const [told] = ((await rest.json('GET', '/v2/models/any-rank')) as { inputs: unknown[] })
      .inputs;
    expect(told).toEqual({ name: 'x', datatype: 'FP32', shape: [-1] });
    const {
      input: [configured],
    } = (await rest.json('GET', '/v2/models/any-rank/config')) as {
      input: unknown[];
    };
    expect(configured).toMatchObject({ name: 'x', dims: [-1] });
  });

  it('do not keep a client from pushing others', async () => {
    const manager = await ModelManager.connect(new URL(server.endpoint), { token: '' });
    await expect(manager.push(mine, { name: 'mine' })).resolves.toMatchObject({ name: 'mine' });
    await manager.close();
    expect((await client.models()).map(({ name }) => name)).toContain('mine');
  });

  it('of tenants are pushed and removed by the command line with JSON for programs', async () => {
    const run = async (...args: string[]) => {
      const all = [axlePath, ...args, '--on', server.endpoint, '--json'];
      const { stdout } = await promisify(execFile)(process.execPath, all);
      return JSON.parse(stdout) as unknown;
    };
    const pushed = await run('model', 'push', mine, '--name', 'theirs:7');
    expect(pushed).toMatchObject({ name: 'theirs', version: '7', bytes: identity.byteLength });
    expect(await run('model', 'rm', 'theirs:7')).toEqual({ name: 'theirs', version: '7' });
    await run('model', 'push', mine, '--name', 'theirs');
    expect(await run('model', 'rm', 'theirs')).toEqual({ name: 'theirs', version: null });
  });

  it('turn from READY to UNAVAILABLE when loading them has failed', async () => {
    expect((await index()).get('unknown-op')).toMatchObject({ state: 'READY', reason: '' });
    const refusal = grpc.inference('ModelInfer', messageOf(request('unknown-op'), 'raw'));
    await expect(refusal).rejects.toThrow(/NoSuchOperator/);
    const entry = (await index()).get('unknown-op');
    expect(entry).toMatchObject({ state: 'UNAVAILABLE' });
    expect(entry?.reason).toMatch(/NoSuchOperator/);
    expect((await rest.send('GET', '/v2/models/unknown-op/ready')).status).toBe(400);
    const { ready } = await grpc.inference('ModelReady', { name: 'unknown-op' });
    expect(ready).toBe(false);
    expect((await rest.send('GET', '/v2/models/good/ready')).status).toBe(200);
  });
});
