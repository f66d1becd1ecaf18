import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { defaultLimits } from '../src/limits.js';
import { ModelRepository } from '../src/models/repository.js';
import { addModel } from '../../test/onnx-model.mjs';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'axle-repository-'));
});
afterAll(() => rm(folder, { recursive: true }));

function warmUpOf(input: string): string {
  return `max_batch_size: 8 model_warmup { name: "w" batch_size: 1 inputs { ${input} } }`;
}

const weights = Float32Array.of(1, 2, 3);
const plain = addModel([3], { data: weights });

async function repositoryWith(name: string, files: Readonly<Record<string, string | Uint8Array>>) {
  const root = join(folder, name);
  for (const [path, content] of Object.entries(files)) {
    const file = join(root, path);
    await mkdir(join(file, '..'), { recursive: true });
    await writeFile(file, content);
  }
  return { root, repository: new ModelRepository([root], defaultLimits) };
}

describe('ModelRepository', () => {
  it('completes a model without a config from the model itself', async () => {
    const { repository } = await repositoryWith('bare', { 'add/1/model.onnx': plain });
    const model = await repository.read('add');
    expect(model).toMatchObject({
      name: 'add',
      version: '1',
      maxBatchSize: 4,
      inputs: [{ name: 'x', dtype: 'FP32', shape: [-1, 3] }],
      classify: undefined,
    });
    expect(model.source.contentId).toMatch(/^[0-9a-f]{64}$/);
  });

  it('says that a batch dimension which nobody asked for is left out of dims', async () => {
    const { repository } = await repositoryWith('dims', {
      'add/1/model.onnx': plain,
      'add/config.pbtxt': 'input [ { name: "x" data_type: TYPE_FP32 dims: [ -1, 3 ] } ]',
    });
    await expect(repository.read('add')).rejects.toThrow(
      /is declared \[-1, 3\] but the model has \[3\]: max_batch_size is 4 where the config does not say it/,
    );
  });

  it('takes the latest version, or the one asked for', async () => {
    const { repository } = await repositoryWith('versions', {
      'add/1/model.onnx': plain,
      'add/9/model.onnx': plain,
      'add/10/model.onnx': plain,
      'add/11/other.txt': '',
      'add/draft/model.onnx': plain,
    });
    expect((await repository.read('add')).version).toBe('10');
    expect((await repository.read('add:9')).version).toBe('9');
    await expect(repository.read('add:11')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: "model 'add' has no version '11'; there are: 1, 9, 10",
    });
  });

  it.each([
    ['specific { versions: [1, 9, 7] }', ['1', '9']],
    ['latest { num_versions: 2 }', ['9', '10']],
    ['latest { }', ['10']],
    ['all { }', ['1', '9', '10']],
    ['specific { versions: [7] }', []],
  ])('keeps to version_policy { %s }', async (policy, served) => {
    const { repository } = await repositoryWith(`policy ${policy.length}`, {
      'add/config.pbtxt': `version_policy { ${policy} }`,
      'add/1/model.onnx': plain,
      'add/9/model.onnx': plain,
      'add/10/model.onnx': plain,
    });
    const outcomes = ['1', '9', '10'].map((version) =>
      repository.read(`add:${version}`).then(
        (model) => model.version,
        () => undefined,
      ),
    );
    expect((await Promise.all(outcomes)).filter((version) => version !== undefined)).toEqual(
      served,
    );
    // One that serves none is listed all the same: reading it says why.
    expect((await repository.list()).map(({ version }) => version)).toEqual([
      served.at(-1) ?? '10',
    ]);
  });

  it('gives the same content id wherever the same bytes lie', async () => {
    const { root, repository } = await repositoryWith('content', {
      'add/1/model.onnx': plain,
      'copy/model.onnx': plain,
      'other/model.onnx': addModel([3], { data: Float32Array.of(1, 2, 4) }),
    });
    const byName = await repository.read('add');
    const byPath = await repository.read(join(root, 'copy/model.onnx'));
    const byUrl = await repository.read(pathToFileURL(join(root, 'other/model.onnx')));
    expect(byPath.source.contentId).toBe(byName.source.contentId);
    expect(byUrl.source.contentId).not.toBe(byName.source.contentId);
  });

  it('brings the files that hold weights along', async () => {
    const { repository } = await repositoryWith('external', {
      'add/1/model.onnx': addModel([3], { location: 'deep/w.bin' }),
      'add/1/deep/w.bin': new Uint8Array(weights.buffer),
    });
    const { files } = (await repository.read('add')).source;
    expect(files.map((file) => file.name)).toEqual(['model.onnx', 'deep/w.bin']);
  });

  it.each(['../secret', '/etc/passwd', 'a/../../secret', '.'])(
    'refuses weights at %j, outside its folder',
    async (location) => {
      const { repository } = await repositoryWith('escape', {
        'add/1/model.onnx': addModel([3], { location }),
        'add/secret': 'secret',
      });
      await expect(repository.read('add')).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining(`'${location}', which is outside its folder`) as string,
      });
    },
  );

  it('refuses weights behind a link that leads outside', async () => {
    const { root, repository } = await repositoryWith('link', {
      'add/1/model.onnx': addModel([3], { location: 'w.bin' }),
      secret: 'secret',
    });
    await symlink(join(root, 'secret'), join(root, 'add/1/w.bin'));
    await expect(repository.read('add')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it.each([
    ['name: "other"', /for a model named 'other'/],
    [
      'input { name: "z" data_type: TYPE_FP32 dims: 3 }',
      /tensor 'z' is not in the model, which has: x/,
    ],
    [
      'max_batch_size: 8 input { name: "x" data_type: TYPE_INT32 dims: 3 }',
      /declared INT32 but the model has FP32/,
    ],
    [
      'max_batch_size: 8 input { name: "x" data_type: TYPE_FP32 dims: 4 }',
      /declared \[4\] but the model has \[3\]/,
    ],
    ['max_batch_size: nine', /field 'max_batch_size'/],
    [
      'max_batch_size: 8 dynamic_batching { preferred_batch_size: [ 4, 16 ] }',
      /add\/config.pbtxt: preferred_batch_size 16 is more than max_batch_size 8; lower the one/,
    ],
    [
      'dynamic_batching { preferred_batch_size: 8 }',
      /preferred_batch_size 8 is more than max_batch_size 4/,
    ],
    [
      warmUpOf('key: "z" value { data_type: TYPE_FP32 dims: 3 zero_data: true }'),
      /add\/config.pbtxt: model_warmup 'w' has an input 'z' that is not in the model, which has: x/,
    ],
    [
      warmUpOf('key: "x" value { data_type: TYPE_INT8 dims: 3 zero_data: true }'),
      /model_warmup 'w' has an input 'x' that is declared INT8 but the model has FP32/,
    ],
    [
      warmUpOf('key: "x" value { data_type: TYPE_FP32 dims: [ 1, 3 ] zero_data: true }'),
      /model_warmup 'w' has an input 'x' that is declared \[1, 3\] but the model has \[3\]/,
    ],
    [
      'max_batch_size: 8 model_warmup { name: "w" batch_size: 9 }',
      /add\/config.pbtxt: model_warmup 'w' has batch_size 9, more than max_batch_size 8; lower the one or raise/,
    ],
    ['model_warmup { name: "w" batch_size: 5 }', /batch_size 5, more than max_batch_size 4/],
    [
      'max_batch_size: 0 model_warmup { name: "w" batch_size: 2 }',
      /batch_size 2, and the model takes no batch; leave batch_size out/,
    ],
  ])('refuses a config that contradicts the model: %s', async (config, message) => {
    const { repository } = await repositoryWith('contradiction', {
      'add/1/model.onnx': plain,
      'add/config.pbtxt': config,
    });
    await expect(repository.read('add')).rejects.toThrow(message);
  });

  it.each([
    'max_batch_size: 8 model_warmup { name: "w" batch_size: 8 }',
    warmUpOf('key: "x" value { data_type: TYPE_FP32 dims: 3 random_data: true }'),
    'max_batch_size: 0 model_warmup { name: "w" batch_size: 1 } model_warmup { name: "v" }',
  ])('takes warm-ups of what the model takes: %s', async (config) => {
    const { repository } = await repositoryWith('warm-ups', {
      'add/1/model.onnx': plain,
      'add/config.pbtxt': config,
    });
    expect((await repository.read('add')).warmUps[0]?.name).toBe('w');
  });

  it('refuses a labels file outside the folder, and one that is not there', async () => {
    const image = addModel([1, 2, 2], { data: new Float32Array(4) });
    const output = (file: string) =>
      `max_batch_size: 8 output { name: "y" data_type: TYPE_FP32 dims: [1, 2, 2] label_filename: "${file}" }`;
    const { root, repository } = await repositoryWith('labels', { 'add/1/model.onnx': image });
    await writeFile(join(root, 'add/config.pbtxt'), output('../x'));
    await expect(repository.read('add')).rejects.toThrow(/must be a file of the model's folder/);
    await writeFile(join(root, 'add/config.pbtxt'), output('labels.txt'));
    await expect(repository.read('add')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await writeFile(join(root, 'secret'), 'one\ntwo\n');
    await symlink(join(root, 'secret'), join(root, 'add/labels.txt'));
    await expect(repository.read('add')).rejects.toThrow(/leads out of the model's folder/);
  });

  it.each([
    ['axle.classify.scores', 'logit', /takes probabilities or logits/],
    ['axle.classify.output', 'nope', /its outputs are y/],
    ['axle.preprocess.mean', ',,', /takes 3 numbers/],
    ['axle.preprocess.mean', '1e300,0,0', /takes 3 numbers/],
  ])('says so when %s is %s', async (key, value, problem) => {
    const { repository } = await repositoryWith(`parameter ${key} ${value}`, {
      'add/1/model.onnx': addModel([3, 4, 4], { data: new Float32Array(48) }),
      'add/config.pbtxt': `parameters { key: "${key}" value { string_value: "${value}" } }`,
    });
    const model = await repository.read('add');
    expect(model.classify).toBeUndefined();
    expect(model.classifyProblem).toMatch(problem);
  });

  it('does not take a config that cannot be read for none', async () => {
    const { root, repository } = await repositoryWith('odd', { 'add/1/model.onnx': plain });
    await mkdir(join(root, 'add/config.pbtxt'));
    await expect(repository.read('add')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect((await repository.list()).map(({ name }) => name)).toEqual(['add']);
  });

  it('opens a path without looking at the repositories', async () => {
    const { root } = await repositoryWith('path', { 'add.onnx': plain });
    const repository = new ModelRepository([join(root, 'nope')], defaultLimits);
    const path = join(root, 'add.onnx');
    expect(await repository.read(path)).toMatchObject({ name: 'add', path });
    await expect(repository.read('add')).rejects.toThrow(/AXLE_MODELS/);
  });

  it('opens every name that it lists', async () => {
    const { repository } = await repositoryWith('names', {
      'a:b/1/model.onnx': plain,
      'x.onnx/1/model.onnx': plain,
    });
    for (const { name } of await repository.list()) {
      expect((await repository.read(name)).name).toBe(name);
    }
  });

  it('says what there is when a model is missing', async () => {
    const { root, repository } = await repositoryWith('missing', { 'add/1/model.onnx': plain });
    await expect(repository.read('nope')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringMatching(/no model 'nope'.*there are: add/) as string,
    });
    await expect(repository.read('add:1')).resolves.toMatchObject({ version: '1' });
    await expect(repository.read('add:1:2')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(repository.read(new URL('http://example.org/x'))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    await expect(repository.read('./nope.onnx')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(repository.read(`${root}/`)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('keeps to the limit on file size', async () => {
    const { root } = await repositoryWith('large', { 'add/1/model.onnx': plain });
    const limits = { ...defaultLimits, modelFileBytesMax: plain.length - 1 };
    await expect(new ModelRepository([root], limits).read('add')).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
    });
  });
});
