import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { shippedModels } from 'axle';
import protobuf from 'protobufjs';
import descriptor from 'protobufjs/ext/descriptor/index.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { folder } from '../serve.js';
import { TrustedServer } from '../trusted-server.js';
import { GrpcClient, messageOf, methodOf, type Fields } from './grpc-door.js';
import { identityModel, writeModel } from './models.js';
import { RestClient } from './rest-door.js';

const levelled = `max_batch_size: 8 dynamic_batching {
  priority_levels: 2 default_priority_level: 2
  priority_queue_policy { key: 1 value { timeout_action: DELAY default_timeout_microseconds: 70 } }
}`;

let server: TrustedServer;
let grpc: GrpcClient;
let rest: RestClient;

beforeAll(async () => {
  const place = join(folder, 'services');
  mkdirSync(place);
  const models = join(place, 'models');
  writeModel(models, 'levelled', identityModel(1, ['n', 4]), '1', levelled);
  server = await TrustedServer.start(place, {
    grpc: [`unix:${join(place, 'grpc')}`],
    http: [`unix:${join(place, 'http')}`],
    models: [shippedModels, models],
  });
  const [grpcEndpoint = '', httpEndpoint = ''] = server.doorEndpoints;
  grpc = new GrpcClient(grpcEndpoint);
  rest = new RestClient(httpEndpoint);
});
afterAll(() => {
  grpc.close();
  rest.close();
});

const inference = 'inference.GRPCInferenceService';
const image = {
  name: 'image',
  datatype: 'FP32',
  shape: [3, 1, 32, 32],
  values: [],
  raw: Buffer.alloc(3 * 4096),
};

it('the server says what it is, the same through both doors', async () => {
  const metadata = await grpc.inference('ServerMetadata');
  expect(metadata).toMatchObject({ name: 'axle' });
  expect(await rest.json('GET', '/v2')).toEqual(metadata);
});

it('HEAD is answered as GET, without the body', async () => {
  for (const path of ['/v2/health/live', '/v2/health/ready', '/v2']) {
    const { status, headers, body } = await rest.send('GET', path);
    const head = await rest.send('HEAD', path);
    expect([head.status, head.headers['content-length'], head.body.byteLength]).toEqual([
      status,
      headers['content-length'],
      0,
    ]);
    expect(body.byteLength).toBe(Number(headers['content-length']));
  }
});

it('a model is described as it is configured, the same through both doors', async () => {
  const { config } = (await grpc.inference('ModelConfig', { name: 'mlp' })) as { config: Fields };
  expect(config).toMatchObject({
    name: 'mlp',
    platform: 'onnxruntime_onnx',
    max_batch_size: 64,
    input: [{ name: 'image', data_type: 'TYPE_FP32', dims: [1, 32, 32] }],
    output: [{ name: 'scores', label_filename: 'labels.txt' }],
    dynamic_batching: { preferred_batch_size: [], preserve_ordering: false },
  });
  const json = (await rest.json('GET', '/v2/models/mlp/config')) as Fields;
  expect(config).toMatchObject(json);
});

it('the queues of a model are described by priority level', async () => {
  const { config } = (await grpc.inference('ModelConfig', { name: 'levelled' })) as {
    config: Fields;
  };
  const policy = { timeout_action: 'DELAY', default_timeout_microseconds: 70, max_queue_size: 0 };
  const batching = config.dynamic_batching as Fields;
  expect(batching).toMatchObject({
    priority_levels: 2,
    default_priority_level: 2,
    default_queue_policy: { timeout_action: 'REJECT' },
  });
  // protobuf.js gives keys of 64 bits in a form of its own.
  expect(Object.values(batching.priority_queue_policy as Fields)).toMatchObject([policy]);
  const json = (await rest.json('GET', '/v2/models/levelled/config')) as Fields;
  expect(json.dynamic_batching).toMatchObject({ priority_queue_policy: { 1: policy } });
});

function withoutNulls(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (_, each: unknown) => each ?? undefined));
}

it('calls are counted for their sender, with what they were computed with', async () => {
  const request = messageOf({ model: 'mlp', inputs: [image] }, 'raw');
  for (let i = 0; i < 3; i++) await grpc.inference('ModelInfer', request);
  const wrong = messageOf({ model: 'mlp', inputs: [] }, 'raw');
  await expect(grpc.inference('ModelInfer', wrong)).rejects.toThrow();
  const { model_stats: all } = await grpc.inference('ModelStatistics', {});
  const [mlp] = all as Fields[];
  const times = { count: 3, ns: expect.any(Number) as number };
  expect(mlp).toMatchObject({
    name: 'mlp',
    version: '1',
    inference_count: 9,
    execution_count: 3,
    inference_stats: { success: times, fail: { count: 1 }, queue: times, compute_infer: times },
    batch_stats: [{ batch_size: 3, compute_input: times, compute_infer: times }],
  });
  expect(Date.now() - Number(mlp?.['last_inference'])).toBeLessThan(60_000);
  const { model_stats: told } = (await rest.json('GET', '/v2/models/mlp/stats')) as Fields;
  // What is not there is null in the one and absent in the other.
  expect(withoutNulls(mlp)).toEqual((told as Fields[])[0]);
  expect(JSON.stringify(told)).not.toContain('compute_output');
  expect(await rest.json('GET', '/v2/models/glyphs/stats')).toMatchObject({
    model_stats: [{ name: 'glyphs', inference_count: 0 }],
  });
  await expect(rest.json('GET', '/v2/models/nothing/stats')).rejects.toThrow(/unknown model/);
});

/** What protobufjs makes of descriptors, which its types do not know. */
function rootOf(set: protobuf.Message): protobuf.Root {
  const { fromDescriptor } = protobuf.Root as unknown as {
    fromDescriptor(set: protobuf.Message): protobuf.Root;
  };
  return fromDescriptor(set);
}

describe('reflection', () => {
  const ask = async (version: string, question: object) => {
    const service = `grpc.reflection.${version}.ServerReflection`;
    const [reply] = await grpc.stream(service, 'ServerReflectionInfo', [question]);
    return reply as Fields;
  };

  it.each(['v1', 'v1alpha'])('%s gives files that make the services whole', async (version) => {
    const { list_services_response: list } = await ask(version, { list_services: '' });
    const names = (list as { service: { name: string }[] }).service.map(({ name }) => name);
    expect(names).toContain(inference);
    expect(names).toContain('grpc.health.v1.Health');
    const { file_descriptor_response: found } = await ask(version, {
      file_containing_symbol: `${inference}.ModelInfer`,
    });
    const files = (found as { file_descriptor_proto: Buffer[] }).file_descriptor_proto;
    const decoded = files.map((file) => descriptor.FileDescriptorProto.decode(file));
    const set = descriptor.FileDescriptorSet.create({ file: decoded });
    const root = rootOf(set);
    root.resolveAll();
    const { methods } = root.lookupService(inference);
    expect(Object.keys(methods)).toContain('ModelStreamInfer');
    const request = messageOf({ model: 'mlp', id: '7', inputs: [image] }, 'raw');
    const message = methodOf(inference, 'ModelInfer').write(request);
    const told = root.lookupType('inference.ModelInferRequest').decode(message);
    expect(told.toJSON()).toMatchObject({ id: '7', inputs: [{ shape: ['3', '1', '32', '32'] }] });
  });

  it('says what it does not have', async () => {
    for (const question of [{ file_by_filename: 'a.proto' }, { file_containing_symbol: 'a.B' }]) {
      expect(await ask('v1', question)).toMatchObject({ error_response: { error_code: 5 } });
    }
    const names = { file_by_filename: 'kserve/inference.proto' };
    const { file_descriptor_response: found } = await ask('v1', names);
    expect((found as { file_descriptor_proto: Buffer[] }).file_descriptor_proto).toHaveLength(2);
  });
});

it('health is told of until the server ends, which waits for what it accepted', async () => {
  const health = 'grpc.health.v1.Health';
  await expect(grpc.call(health, 'Check', { service: 'nothing' })).rejects.toMatchObject({
    code: 'NOT_FOUND',
  });
  expect(await grpc.call(health, 'Check', { service: inference })).toEqual({ status: 'SERVING' });
  const { path, write, read } = methodOf(health, 'Watch');
  const watch = grpc.client.makeServerStreamRequest(path, write, read, {});
  const told: unknown[] = [];
  const begun = new Promise<void>((resolve) => {
    watch.on('data', (reply: Fields) => {
      told.push(reply['status']);
      resolve();
    });
  });
  await begun;
  const ended = new Promise((resolve) => watch.once('end', resolve));
  await server.close(10_000);
  await ended;
  expect(told).toEqual(['SERVING', 'NOT_SERVING']);
});
