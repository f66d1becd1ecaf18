import { join } from 'node:path';

import { beforeAll, describe, expect, it } from 'vitest';

import { connect, type Client } from 'axle';

import { addModel } from '../onnx-model.mjs';
import { writeModel } from './doors/models.js';
import { openPool } from './pool-kit.js';
import { folder, serveUnix } from './serve.js';

const models = join(folder, 'models');
const callsAtOnce = 32;
/** Long enough for all of them to come. */
const batching =
  'dynamic_batching { max_queue_delay_microseconds: 500000 preferred_batch_size: 32 }';

beforeAll(() => {
  const model = addModel([4], { data: new Float32Array(4).fill(1) });
  writeModel(models, 'batched', model, '1', `max_batch_size: 32 ${batching}`);
  writeModel(models, 'single', model, '1', 'max_batch_size: 32');
});

describe('one model under two names, each with a config of its own', () => {
  it.each([
    ['in this process', () => connect({ models })],
    ['that the client sends to a server', () => toServer('sends', { models })],
    ['that a server has', () => toServer('has', {}, '--models', models)],
    ['of a pool, that the client sends', () => toPool('pool', { models })],
  ])('is run as the name says: %s', async (_, open) => {
    await using axle = await open();
    expect(await batchSizes(axle, 'batched')).toEqual([callsAtOnce]);
    expect(await batchSizes(axle, 'single')).toEqual([1]);
    expect(await batchSizes(axle, 'batched')).toEqual([callsAtOnce]);
  });
});

it('counts as two models of a pool, with one copy each', async () => {
  await serveUnix('counted.sock');
  const { client, backend } = await openPool('counted');
  const names = ['batched', 'single'];
  for (const name of names) {
    await client.infer(join(models, name), { x: new Float32Array(4) });
  }
  expect(backend.models).toEqual(names.map((name) => ({ name, copies: 1 })));
});

/** Those that are seen where so many calls come at once. */
async function batchSizes(axle: Client, model: string): Promise<number[]> {
  await axle.prefetch(model);
  const call = () => axle.infer(model, { x: new Float32Array(4) });
  const results = await Promise.all(Array.from({ length: callsAtOnce }, call));
  return [...new Set(results.flatMap(({ steps }) => steps.map(({ batchSize }) => batchSize)))];
}

async function toServer(
  name: string,
  options: { readonly models?: string },
  ...args: readonly string[]
): Promise<Client> {
  const { endpoint } = await serveUnix(name, ...args);
  return connect(endpoint, options);
}

async function toPool(name: string, options: { readonly models: string }): Promise<Client> {
  const { endpoint } = await serveUnix(name);
  return connect(`axle+pool:?server=${endpoint}`, options);
}
