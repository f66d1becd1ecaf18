import { link, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { SeededRandom } from '@axle/cli/load';

import { layeredModel } from '../onnx-model.mjs';

/** Weights of 100 MB, which have to be read for one item as for many. */
const WIDTHS = [1024, 4096, 4096, 1000];
const BATCH_MAX = 64;
const SEED = 7;

export const wideShape = [1, WIDTHS[0] ?? 0];
/** How the model is called in rows. */
export const wideName = WIDTHS.join('-');

/**
 * A model that keeps the device busy, where that of the shipped ones is done before a door is: `wide-on` with batching, and
 * `wide-off` without. Takes `x`, gives `y`.
 *
 * @param {string} folder
 */
export async function writeWideModels(folder) {
  const random = new SeededRandom(SEED);
  const bytes = layeredModel(WIDTHS, () => random.next());
  /** @type {string | undefined} */
  let written;
  for (const [name, batching] of Object.entries({
    'wide-on': 'dynamic_batching { }',
    'wide-off': '',
  })) {
    await mkdir(join(folder, name, '1'), { recursive: true });
    const path = join(folder, name, '1', 'model.onnx');
    if (written === undefined) await writeFile(path, bytes);
    else await link(written, path);
    written = path;
    await writeFile(join(folder, name, 'config.pbtxt'), `max_batch_size: ${BATCH_MAX} ${batching}`);
  }
}
