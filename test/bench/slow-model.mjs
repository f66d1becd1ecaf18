import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import ort from 'onnxruntime-node';

import { matMulModel } from '../onnx-model.mjs';

const SIDE = 1024;
const LAYERS = 4;

/**
 * A model of matrix products, and an input for it that takes about `wantedMs` on this machine.
 *
 * @param {string} folder
 * @param {number} wantedMs
 * @returns {Promise<{path: string, shape: readonly [number, number], runMs: number}>}
 */
export async function slowModel(folder, wantedMs) {
  const path = join(folder, 'slow.onnx');
  await writeFile(path, matMulModel(SIDE, LAYERS));
  // One thread, as each of Axle's runs has.
  const session = await ort.InferenceSession.create(path, { intraOpNumThreads: 1 });
  const probe = 256;
  await timed(session, probe);
  const rows = Math.max(1, Math.round((probe * wantedMs) / (await timed(session, probe))));
  return { path, shape: [rows, SIDE], runMs: await timed(session, rows) };
}

/**
 * @param {ort.InferenceSession} session
 * @param {number} rows
 */
async function timed(session, rows) {
  const x = new ort.Tensor('float32', new Float32Array(rows * SIDE).fill(0.5), [rows, SIDE]);
  const start = performance.now();
  await session.run({ x });
  return performance.now() - start;
}
