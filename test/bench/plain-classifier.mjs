// The peer: what a function author writes without Axle. Same images, same model, same preprocessing.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { shippedModels } from 'axle';
import ort from 'onnxruntime-node';
import sharp from 'sharp';

/**
 * @returns {Promise<(path: string) => Promise<string>>} the best label of an image
 */
export async function openPlainClassifier() {
  const folder = join(shippedModels, 'glyphs');
  const session = await ort.InferenceSession.create(join(folder, '1', 'model.onnx'));
  const labels = (await readFile(join(folder, 'labels.txt'), 'utf8')).trim().split('\n');
  const [input = ''] = session.inputNames;
  const [output = ''] = session.outputNames;
  const metadata = session.inputMetadata[0];
  const shape = metadata?.isTensor ? metadata.shape.map(Number) : [];
  const [, channels = 3, height = 0, width = 0] = shape;
  return async (path) => {
    const pixels = await sharp(path)
      .flatten({ background: '#fff' })
      .resize(width, height, { fit: 'fill' })
      .raw()
      .toBuffer();
    const values = standardized(pixels, channels);
    const tensor = new ort.Tensor('float32', values, [1, channels, height, width]);
    const results = await session.run({ [input]: tensor });
    const scores = /** @type {Float32Array} */ (results[output]?.data);
    return labels[scores.indexOf(Math.max(...scores))] ?? '';
  };
}

/**
 * As tf.image.per_image_standardization, into planes.
 *
 * @param {Uint8Array} pixels
 * @param {number} channels
 */
function standardized(pixels, channels) {
  let sum = 0;
  let squares = 0;
  for (const value of pixels) {
    sum += value;
    squares += value * value;
  }
  const count = pixels.length;
  const mean = sum / count;
  const deviation = Math.max(
    Math.sqrt(Math.max(squares / count - mean * mean, 0)),
    1 / Math.sqrt(count),
  );
  const plane = count / channels;
  const values = new Float32Array(count);
  for (let i = 0; i < plane; i++) {
    for (let c = 0; c < channels; c++) {
      values[c * plane + i] = ((pixels[i * channels + c] ?? 0) - mean) / deviation;
    }
  }
  return values;
}
