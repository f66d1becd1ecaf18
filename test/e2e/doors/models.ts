import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { shippedModels } from 'axle';

import { matMulModel, onnxModel } from '../../onnx-model.mjs';

/** Data types by their numbers in ONNX. */
export const elementTypes: Readonly<Record<string, number>> = {
  FP32: 1,
  UINT8: 2,
  INT8: 3,
  UINT16: 4,
  INT16: 5,
  INT32: 6,
  INT64: 7,
  BYTES: 8,
  BOOL: 9,
  FP16: 10,
  FP64: 11,
  UINT32: 12,
  UINT64: 13,
  BF16: 16,
};

export function writeModel(
  folder: string,
  name: string,
  model: Uint8Array,
  version = '1',
  config?: string,
) {
  mkdirSync(join(folder, name, version), { recursive: true });
  writeFileSync(join(folder, name, version, 'model.onnx'), model);
  if (config !== undefined) writeFileSync(join(folder, name, 'config.pbtxt'), config);
}

/** y = x, of any shape with so many dimensions. */
export function identityModel(
  elementType: number,
  dimensions: readonly (string | number)[],
): Uint8Array {
  return onnxModel({
    inputs: [{ name: 'x', shape: dimensions, elementType }],
    outputs: [{ name: 'y', shape: dimensions, elementType }],
    nodes: [['Identity', ['x'], ['y']]],
  });
}

/**
 * A repository: `identity_TYPE` [any, any], `scalar`, `pair` with sum and difference, `mlp` with labels, `slow`, and
 * `versions` with 1, 2 and 3, of which 1 is not served.
 */
export function writeModels(folder: string): void {
  for (const [name, number] of Object.entries(elementTypes)) {
    writeModel(
      folder,
      `identity_${name}`,
      identityModel(number, ['n', 'm']),
      '1',
      'max_batch_size: 0',
    );
  }
  writeModel(folder, 'scalar', identityModel(1, []), '1');
  const pair = { shape: ['batch', 2] };
  writeModel(
    folder,
    'pair',
    onnxModel({
      inputs: [
        { name: 'a', ...pair },
        { name: 'b', ...pair },
      ],
      outputs: [
        { name: 'sum', ...pair },
        { name: 'difference', ...pair },
      ],
      nodes: [
        ['Add', ['a', 'b'], ['sum']],
        ['Sub', ['a', 'b'], ['difference']],
      ],
    }),
  );
  cpSync(join(shippedModels, 'mlp'), join(folder, 'mlp'), { recursive: true });
  writeModel(folder, 'slow', matMulModel(1024, 8));
  const served = 'version_policy { specific { versions: [ 2, 3 ] } }';
  for (const version of ['1', '2', '3']) {
    writeModel(folder, 'versions', identityModel(1, ['n']), version, served);
  }
}
