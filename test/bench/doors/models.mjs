import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { shippedModels } from 'axle';

import { onnxModel } from '../../onnx-model.mjs';

const shape = ['batch', 1024];

/**
 * `identity`, which gives 4 KiB back, and the mlp model with batching, `on`, and without, `off`.
 *
 * @param {string} folder
 */
export async function writeBenchModels(folder) {
  await mkdir(join(folder, 'identity', '1'), { recursive: true });
  const identity = onnxModel({
    inputs: [{ name: 'x', shape }],
    outputs: [{ name: 'y', shape }],
    nodes: [['Identity', ['x'], ['y']]],
  });
  await writeFile(join(folder, 'identity', '1', 'model.onnx'), identity);
  await writeFile(
    join(folder, 'identity', 'config.pbtxt'),
    'max_batch_size: 64 dynamic_batching { }',
  );
  for (const [name, batching] of Object.entries({ on: 'dynamic_batching { }', off: '' })) {
    await cp(join(shippedModels, 'mlp'), join(folder, name), { recursive: true });
    const config = await readFile(join(shippedModels, 'mlp', 'config.pbtxt'), 'utf8');
    const named = config.replace('name: "mlp"', `name: "${name}"`);
    await writeFile(
      join(folder, name, 'config.pbtxt'),
      named.replace('dynamic_batching { }', batching),
    );
  }
}
