import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { addModel, matMulModel, onnxModel } from '../../onnx-model.mjs';
import { folder } from '../serve.js';
import { TrustedServer } from '../trusted-server.js';
import { answerOf, GrpcClient, messageOf, type Fields } from './grpc-door.js';
import { writeModel } from './models.js';
import { checked, RestClient } from './rest-door.js';

const ends: (() => Promise<void> | void)[] = [];
afterAll(async () => {
  for (const end of ends) await end();
});

/** y = x + number. */
const adding = (number: number) => addModel([1], { data: Float32Array.of(number) });

class Place {
  readonly models: string;
  grpc!: GrpcClient;
  other!: GrpcClient;
  rest!: RestClient;
  server!: TrustedServer;

  constructor(readonly name: string) {
    this.models = join(folder, name, 'models');
    mkdirSync(this.models, { recursive: true });
  }

  async start(modelControl: object): Promise<void> {
    const at = (socket: string) => join(folder, this.name, socket);
    this.server = await TrustedServer.start(join(folder, this.name), {
      grpc: [`unix:${at('grpc')}`, `unix:${at('other')},tenant=other`],
      http: [`unix:${at('http')}`],
      models: [this.models],
      modelControl,
    });
    const [grpc = '', other = '', http = ''] = this.server.doorEndpoints;
    this.grpc = new GrpcClient(grpc);
    this.other = new GrpcClient(other);
    this.rest = new RestClient(http);
    ends.push(async () => {
      this.grpc.close();
      this.other.close();
      this.rest.close();
      await this.server.close();
    });
  }

  load(name: string): Promise<Fields> {
    return this.grpc.inference('RepositoryModelLoad', { model_name: name });
  }

  /** What the model adds to 0, and the version that did. */
  async adds(model: string, version?: string): Promise<string> {
    const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, 1], values: [0] }];
    const request = version === undefined ? { model, inputs } : { model, version, inputs };
    const answer = answerOf(await this.grpc.inference('ModelInfer', messageOf(request, 'raw')));
    return `${String(answer.outputs[0]?.values[0])} of ${answer.version}`;
  }

  async states(): Promise<Record<string, string>> {
    const { models } = await this.grpc.inference('RepositoryIndex');
    const all = models as { name: string; version: string; state: string }[];
    return Object.fromEntries(all.map(({ name, version, state }) => [`${name}:${version}`, state]));
  }
}

describe('models that are loaded by name', () => {
  const place = new Place('explicit');

  it('are there when they are loaded, and not before or after', async () => {
    writeModel(place.models, 'a', adding(1));
    writeModel(place.models, 'b', adding(2));
    await place.start({ mode: 'explicit', load: ['a'] });
    expect(await place.states()).toEqual({ 'a:1': 'READY', 'b:1': '' });
    expect(await place.adds('a')).toBe('1 of 1');
    await expect(place.adds('b')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    checked(await place.rest.send('POST', '/v2/repository/models/b/load', '{}'));
    expect(await place.adds('b')).toBe('2 of 1');
    checked(await place.rest.send('POST', '/v2/repository/models/b/unload', '{}'));
    await expect(place.adds('b')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await place.states()).toEqual({ 'a:1': 'READY', 'b:1': 'UNAVAILABLE' });
    const ready = await place.rest.json('POST', '/v2/repository/index', '{"ready":true}');
    expect(ready).toEqual([{ name: 'a', version: '1', state: 'READY', reason: '' }]);
  });

  it('change when they are loaded again', async () => {
    writeModel(place.models, 'a', adding(10));
    writeModel(place.models, 'a', adding(20), '2');
    expect(await place.adds('a')).toBe('1 of 1');
    await place.load('a');
    expect(await place.adds('a')).toBe('20 of 2');
    expect(await place.adds('a', '1')).toBe('10 of 1');
    rmSync(join(place.models, 'a', '2'), { recursive: true });
    await place.load('a');
    expect(await place.adds('a')).toBe('10 of 1');
  });

  it('stay as they are when what is to come is no good', async () => {
    writeModel(place.models, 'a', Buffer.from('no model'));
    await expect(place.load('a')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(await place.adds('a')).toBe('10 of 1');
    writeModel(place.models, 'a', adding(10));
    await expect(place.load('nothing')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const unload = await place.rest.send('POST', '/v2/repository/models/nothing/unload', '{}');
    expect(String(unload.body)).toMatch(/failed to unload 'nothing'/);
    const parameters = { config: { string_param: '{}' } };
    const overriding = place.grpc.inference('RepositoryModelLoad', { model_name: 'a', parameters });
    await expect(overriding).rejects.toMatchObject({ code: 'UNIMPLEMENTED' });
  });

  it('are not ready when they can be read and no device can load them', async () => {
    const odd = onnxModel({
      inputs: [{ name: 'x', shape: ['n', 1] }],
      outputs: [{ name: 'y', shape: ['n', 1] }],
      nodes: [['NoSuchOperator', ['x'], ['y']]],
    });
    writeModel(place.models, 'odd', odd);
    await expect(place.load('odd')).rejects.toThrow(/NoSuchOperator/);
    expect(await place.states()).toMatchObject({ 'odd:1': 'UNAVAILABLE' });
    const ready = await place.rest.send('GET', '/v2/models/odd/ready');
    expect(ready.status).toBe(400);
    rmSync(join(place.models, 'odd'), { recursive: true });
  });

  it('take over only when they are ready, and let calls end that began before', async () => {
    const warm =
      'model_warmup { name: "w" batch_size: 1 count: 20 inputs { key: "x" value { data_type: TYPE_FP32 dims: [ 1024 ] zero_data: true } } }';
    writeModel(place.models, 'large', matMulModel(1024, 4), '1', `max_batch_size: 64 ${warm}`);
    await place.load('large');
    const inputs = [
      { name: 'x', datatype: 'FP32', shape: [64, 1024], values: [], raw: Buffer.alloc(64 * 4096) },
    ];
    const call = async () =>
      answerOf(
        await place.grpc.inference('ModelInfer', messageOf({ model: 'large', inputs }, 'raw')),
      );
    const inFlight = [call(), call()];
    writeModel(place.models, 'large', matMulModel(1024, 5), '2');
    let loaded = false;
    const loading = place.load('large').then(() => {
      loaded = true;
    });
    const versions = new Set<string>();
    while (!loaded) versions.add((await call()).version);
    await loading;
    expect([...versions][0]).toBe('1');
    expect((await call()).version).toBe('2');
    await place.grpc.inference('RepositoryModelUnload', { model_name: 'large' });
    for (const answer of await Promise.all(inFlight)) expect(answer.version).toBe('1');
    await expect(call()).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it("are none of a tenant's business who is not named for it", async () => {
    for (const method of ['RepositoryModelLoad', 'RepositoryModelUnload']) {
      const call = place.other.inference(method, { model_name: 'a' });
      await expect(call).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    }
  });
});

describe('models that follow their folders', () => {
  const place = new Place('poll');
  const until = async (wanted: Record<string, string>) => {
    let states = await place.states();
    for (const end = performance.now() + 10_000; performance.now() < end;) {
      if (JSON.stringify(states) === JSON.stringify(wanted)) break;
      states = await place.states();
    }
    expect(states).toEqual(wanted);
  };

  it('come, change and go with them', async () => {
    writeModel(place.models, 'a', adding(1));
    await place.start({ mode: 'poll', pollSeconds: 0.02 });
    expect(await place.adds('a')).toBe('1 of 1');
    writeModel(place.models, 'a', adding(2), '2');
    writeModel(place.models, 'b', adding(3));
    await until({ 'a:1': 'READY', 'a:2': 'READY', 'b:1': 'READY' });
    expect(await place.adds('a')).toBe('2 of 2');
    rmSync(join(place.models, 'b'), { recursive: true });
    await until({ 'a:1': 'READY', 'a:2': 'READY', 'b:1': 'UNAVAILABLE' });
    await expect(place.load('a')).rejects.toThrow(
      /^explicit model load \/ unload is not allowed if polling is enabled/,
    );
  });

  it('stay when the folder cannot be read', async () => {
    const said = place.server.waitForLog(/models stay as they are/);
    renameSync(place.models, `${place.models}.away`);
    writeFileSync(place.models, '');
    await said;
    expect(await place.adds('a')).toBe('2 of 2');
    rmSync(place.models);
    renameSync(`${place.models}.away`, place.models);
    writeModel(place.models, 'c', adding(4));
    await until({ 'a:1': 'READY', 'a:2': 'READY', 'b:1': 'UNAVAILABLE', 'c:1': 'READY' });
  });
});

describe('models that nobody controls', () => {
  it('are neither loaded nor unloaded', async () => {
    const place = new Place('none');
    writeModel(place.models, 'a', adding(1));
    await place.start({});
    await expect(place.load('a')).rejects.toMatchObject({ code: 'UNIMPLEMENTED' });
    expect(await place.adds('a')).toBe('1 of 1');
    expect(await place.states()).toEqual({ 'a:1': 'READY' });
  });
});
