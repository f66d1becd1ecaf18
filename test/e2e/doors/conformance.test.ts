import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { folder } from '../serve.js';
import { TrustedServer } from '../trusted-server.js';
import { GrpcDoor } from './grpc-door.js';
import { writeModels } from './models.js';
import type { Door, Input, Request, Value } from './request.js';
import { RestDoor } from './rest-door.js';

let server: TrustedServer;
let doors: Readonly<Record<string, Door>>;

beforeAll(async () => {
  const models = join(folder, 'models');
  mkdirSync(models);
  writeModels(models);
  server = await TrustedServer.start(folder, {
    grpc: [`unix:${join(folder, 'grpc.sock')}`],
    http: [`unix:${join(folder, 'http.sock')}`],
    models: [models],
  });
  const [grpc = '', http = ''] = server.doorEndpoints;
  doors = {
    'gRPC, raw': new GrpcDoor(grpc, 'raw'),
    'gRPC, typed': new GrpcDoor(grpc, 'typed'),
    'REST, JSON': new RestDoor(http, 'json'),
    'REST, binary': new RestDoor(http, 'binary'),
    'REST, large JSON': new RestDoor(http, 'json', 100_000),
    'REST, large JSON before binary': new RestDoor(http, 'binary', 100_000),
  };
});
afterAll(async () => {
  for (const door of Object.values(doors)) door.close();
  await server.close();
});

/** At the edges of each type. */
const values: Readonly<Record<string, readonly Value[]>> = {
  BOOL: [true, false, false, true],
  UINT8: [0, 1, 127, 255],
  UINT16: [0, 1, 0x7fff, 0xffff],
  UINT32: [0, 1, 0x7fff_ffff, 0xffff_ffff],
  UINT64: [0n, 1n, 2n ** 53n + 1n, 2n ** 64n - 1n],
  INT8: [-128, -1, 0, 127],
  INT16: [-0x8000, -1, 0, 0x7fff],
  INT32: [-0x8000_0000, -1, 0, 0x7fff_ffff],
  INT64: [-(2n ** 63n), -1n, 2n ** 53n + 1n, 2n ** 63n - 1n],
  FP32: [Math.fround(0.1), -1.5, 2 ** -149, 3.4028234663852886e38],
  FP64: [0.1, -1.5, Number.MIN_VALUE, Number.MAX_VALUE],
  BYTES: ['', 'a', 'größer', 'x'.repeat(300)],
};
const onlyRaw: Readonly<Record<string, readonly Value[]>> = {
  FP16: [0, 0x3c00, 0xbc00, 0x7bff],
  BF16: [0, 0x3f80, 0xbf80, 0x7f7f],
};

const one: Input = { name: 'x', datatype: 'FP32', shape: [1, 1], values: [1] };
const a: Input = { name: 'a', datatype: 'FP32', shape: [1, 2], values: [1, 2] };
const b: Input = { name: 'b', datatype: 'FP32', shape: [1, 2], values: [10, 20] };
const identity: Request = { model: 'identity_FP32', inputs: [one] };
const pair: Request = { model: 'pair', inputs: [a, b] };
const slowInput: Input = {
  name: 'x',
  datatype: 'FP32',
  shape: [1, 1024],
  values: new Array<number>(1024).fill(1),
};
const image: Input = {
  name: 'image',
  datatype: 'FP32',
  shape: [2, 1, 32, 32],
  values: Array.from({ length: 2 * 32 * 32 }, (_, i) => (i % 7) / 8),
};

describe.each([
  'gRPC, raw',
  'gRPC, typed',
  'REST, JSON',
  'REST, binary',
  'REST, large JSON',
  'REST, large JSON before binary',
])('through %s', (way) => {
  const door = () => doors[way] as Door;
  const isRaw = way === 'gRPC, raw' || way.endsWith('binary');

  describe('tensors', () => {
    it.each(Object.keys(values))('carries %s to its edges', async (datatype) => {
      const input = { name: 'x', datatype, shape: [2, 2], values: values[datatype] ?? [] };
      const { outputs } = await door().infer({ model: `identity_${datatype}`, inputs: [input] });
      expect(outputs).toEqual([{ ...input, name: 'y' }]);
    });

    it.each(Object.keys(onlyRaw))('carries %s raw, and only raw', async (datatype) => {
      const input = { name: 'x', datatype, shape: [4, 1], values: onlyRaw[datatype] ?? [] };
      const answer = door().infer({ model: `identity_${datatype}`, inputs: [input] });
      if (isRaw) expect((await answer).outputs).toEqual([{ ...input, name: 'y' }]);
      else await expect(answer).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    });

    it.each([[[0, 3]], [[1, 1]], [[3, 5]], [[64, 2]]])('takes the shape %j', async (shape) => {
      const count = shape.reduce((product, size) => product * size, 1);
      const input = { ...one, shape, values: Array.from({ length: count }, (_, i) => i) };
      const { outputs } = await door().infer({ ...identity, inputs: [input] });
      expect(outputs).toEqual([{ ...input, name: 'y' }]);
    });

    it('takes a scalar', async () => {
      const input = { ...one, shape: [] };
      const { outputs } = await door().infer({ model: 'scalar', inputs: [input] });
      expect(outputs).toEqual([{ ...input, name: 'y' }]);
    });
  });

  describe('a request', () => {
    it('gets its id, the model and the version back', async () => {
      const answer = await door().infer({ ...identity, id: 'no. 7 "é"' });
      expect(answer).toMatchObject({ id: 'no. 7 "é"', model: 'identity_FP32', version: '1' });
    });

    it('may give its inputs in any order', async () => {
      const { outputs } = await door().infer({ ...pair, inputs: [b, a] });
      expect(outputs.map(({ name, values: its }) => [name, its])).toEqual([
        ['sum', [11, 22]],
        ['difference', [-9, -18]],
      ]);
    });

    it('gets the outputs that it names, in that order', async () => {
      const outputs = [{ name: 'difference' }, { name: 'sum' }];
      const answer = await door().infer({ ...pair, outputs });
      expect(answer.outputs.map(({ name }) => name)).toEqual(['difference', 'sum']);
      const { outputs: single } = await door().infer({
        ...pair,
        outputs: [{ name: 'difference' }],
      });
      expect(single).toMatchObject([{ name: 'difference', values: [-9, -18] }]);
    });

    it('may have a priority, a timeout and parameters of its own', async () => {
      const parameters = { priority: 1, timeout: 30_000_000, mine: 'yes', sequence_id: 0 };
      await expect(door().infer({ ...identity, parameters })).resolves.toBeDefined();
    });

    it('gets classes as value, index and label', async () => {
      const asked = { model: 'mlp', inputs: [image] };
      const [scores] = (await door().infer(asked)).outputs;
      const outputs = [{ name: 'scores', parameters: { classification: 3 } }];
      const [classes] = (await door().infer({ ...asked, outputs })).outputs;
      expect(classes).toMatchObject({ name: 'scores', datatype: 'BYTES', shape: [2, 3] });
      const rows = [scores?.values.slice(0, 34), scores?.values.slice(34)] as number[][];
      const best = rows.flatMap((row) => {
        const order = row.map((value, index) => [value, index] as const);
        return order.sort(([left], [right]) => right - left).slice(0, 3);
      });
      const parts = (classes?.values as string[]).map((text) => text.split(':'));
      expect(parts.map(([value, index]) => [value, Number(index)])).toEqual(
        best.map(([value, index]) => [value.toFixed(6), index]),
      );
      expect(parts.every(([, , label]) => label?.length === 1)).toBe(true);
    });
  });

  describe('models', () => {
    it('are described', async () => {
      expect(await door().modelMetadata('mlp')).toMatchObject({
        name: 'mlp',
        versions: ['1'],
        platform: 'onnxruntime_onnx',
        inputs: [{ name: 'image', datatype: 'FP32', shape: [-1, 1, 32, 32] }],
        outputs: [{ name: 'scores', datatype: 'FP32', shape: [-1, 34] }],
      });
    });

    it('have the versions that their policy serves, the latest by default', async () => {
      expect(await door().modelMetadata('versions')).toMatchObject({ versions: ['2', '3'] });
      const request = { model: 'versions', inputs: [{ ...one, shape: [1] }] };
      expect(await door().infer(request)).toMatchObject({ version: '3' });
      expect(await door().infer({ ...request, version: '2' })).toMatchObject({ version: '2' });
      await expect(door().infer({ ...request, version: '1' })).rejects.toMatchObject({
        code: 'NOT_FOUND',
      });
    });

    it('are ready or not', async () => {
      expect(await door().modelReady('mlp')).toBe(true);
      expect(await door().modelReady('mlp', '1')).toBe(true);
      expect(await door().modelReady('mlp', '2')).toBe(false);
      expect(await door().modelReady('nothing')).toBe(false);
    });
  });

  const wrong: Readonly<Record<string, readonly [Request, string, RegExp]>> = {
    'an unknown model': [
      { ...identity, model: 'nothing' },
      'NOT_FOUND',
      /^Request for unknown model: 'nothing' is not found/,
    ],
    'an unknown version': [
      { ...identity, version: '9' },
      'NOT_FOUND',
      /^Request for unknown model: 'identity_FP32' version 9 is not found/,
    ],
    'what is no version': [
      { ...identity, version: 'new' },
      'INVALID_ARGUMENT',
      /'new' is no version/,
    ],
    'an unknown input': [
      { ...identity, inputs: [{ ...one, name: 'z' }] },
      'INVALID_ARGUMENT',
      /has no input 'z'; it takes 'x'/,
    ],
    'an input twice': [
      { ...identity, inputs: [one, one] },
      'INVALID_ARGUMENT',
      /'x' is there twice/,
    ],
    'an output twice': [
      { ...identity, outputs: [{ name: 'y' }, { name: 'y' }] },
      'INVALID_ARGUMENT',
      /output 'y' is asked for twice/,
    ],
    'a name that objects have': [
      { ...identity, inputs: [{ ...one, name: '__proto__' }] },
      'INVALID_ARGUMENT',
      /has no input '__proto__'/,
    ],
    'a missing input': [
      { ...pair, inputs: [a] },
      'INVALID_ARGUMENT',
      /input 'b' of model 'pair' is missing/,
    ],
    'no input': [{ ...identity, inputs: [] }, 'INVALID_ARGUMENT', /input 'x' .*is missing/],
    'an unknown output': [
      { ...identity, outputs: [{ name: 'z' }] },
      'INVALID_ARGUMENT',
      /^unexpected inference output 'z' for model 'identity_FP32'/,
    ],
    'what is no data type': [
      { ...identity, inputs: [{ ...one, datatype: 'FLOAT' }] },
      'INVALID_ARGUMENT',
      /'FLOAT', which does not exist; there are: BOOL/,
    ],
    'another data type': [
      { ...identity, inputs: [{ ...one, datatype: 'INT32' }] },
      'INVALID_ARGUMENT',
      /takes FP32 \[any, any\], not INT32/,
    ],
    'another number of dimensions': [
      { ...identity, inputs: [{ ...one, shape: [1] }] },
      'INVALID_ARGUMENT',
      /takes FP32 \[any, any\], not FP32 \[1\]/,
    ],
    'another size': [
      { ...pair, inputs: [a, { ...b, shape: [1, 1], values: [1] }] },
      'INVALID_ARGUMENT',
      /takes FP32 \[any, 2\], not FP32 \[1, 1\]/,
    ],
    'batches that differ': [
      { ...pair, inputs: [a, { ...b, shape: [2, 2], values: [1, 2, 3, 4] }] },
      'INVALID_ARGUMENT',
      /batch of 2, but 'a' one of 1/,
    ],
    'too few elements': [
      { ...identity, inputs: [{ ...one, shape: [2, 2] }] },
      'INVALID_ARGUMENT',
      /shape \[2, 2\] has 16 bytes, got 4/,
    ],
    'a huge shape': [
      { ...identity, inputs: [{ ...one, shape: [2 ** 31, 2 ** 31] }] },
      'INVALID_ARGUMENT',
      /more elements than fit|is no shape|bytes, got/,
    ],
    'a size below nothing': [
      { ...identity, inputs: [{ ...one, shape: [-1, 1] }] },
      'INVALID_ARGUMENT',
      /is no shape/,
    ],
    'too many dimensions': [
      { ...identity, inputs: [{ ...one, shape: new Array<number>(33).fill(1) }] },
      'RESOURCE_EXHAUSTED',
      /16 (dimensions|are the most)/,
    ],
    'a sequence': [
      { ...identity, parameters: { sequence_id: 5 } },
      'UNIMPLEMENTED',
      /'sequence_id': this server has no sequences/,
    ],
    'a start of a sequence': [
      { ...identity, parameters: { sequence_start: true } },
      'UNIMPLEMENTED',
      /'sequence_start'/,
    ],
    'a priority that is none': [
      { ...identity, parameters: { priority: -1 } },
      'INVALID_ARGUMENT',
      /'priority' is -1/,
    ],
    'a time that is over': [
      { model: 'slow', inputs: [slowInput], parameters: { timeout: 1 } },
      'DEADLINE_EXCEEDED',
      /deadline/,
    ],
    'classes of text': [
      {
        model: 'identity_BYTES',
        inputs: [{ ...one, datatype: 'BYTES', values: ['a'] }],
        outputs: [{ name: 'y', parameters: { classification: 1 } }],
      },
      'INVALID_ARGUMENT',
      /BYTES, which has no classification/,
    ],
  };

  it.each(Object.keys(wrong))('refuses %s', async (name) => {
    const [request, code, message] = wrong[name] as readonly [Request, string, RegExp];
    const refusal = await door()
      .infer(request)
      .catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code });
    expect(String((refusal as Error).message)).toMatch(message);
  });
});
