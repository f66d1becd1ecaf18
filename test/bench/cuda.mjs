// npm run bench -- cuda: what a GPU does of infer and compress beside the CPU plugin in the same process. Where there is
// none it says so, and gives no figure: those of the emulated driver say nothing of a GPU.
import { randomBytes } from 'node:crypto';

import { connect, Tensor } from 'axle';

import { compare } from './row.mjs';

/** @typedef {import('./row.mjs').Row} Row */

const ROUNDS = 5;
const BATCH = 64;
const COMPRESS_BYTES = 64 << 20;
const GIB = 2 ** 30;

/** About half of it is new, as in text. */
function compressible() {
  const data = Buffer.alloc(COMPRESS_BYTES);
  for (let at = 0; at < data.length; at += 64) {
    randomBytes(32).copy(data, at);
    data.fill('again and again and again here..', at + 32, at + 64);
  }
  return data;
}

/**
 * @param {() => Promise<unknown>} work
 * @returns {Promise<number>} seconds
 */
async function seconds(work) {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}

/**
 * @param {(line: string) => void} progress
 * @param {string} only
 * @returns {Promise<Row[]>}
 */
export async function benchCuda(progress, only) {
  const client = await connect();
  try {
    return await measure(client, progress, only);
  } finally {
    await client.close();
  }
}

/**
 * @param {Awaited<ReturnType<typeof connect>>} client
 * @param {(line: string) => void} progress
 * @param {string} only
 * @returns {Promise<Row[]>}
 */
async function measure(client, progress, only) {
  const { devices, unavailable } = await client.devices();
  const gpu = devices.find(({ backend, emulated }) => backend === 'cuda' && !emulated);
  if (gpu === undefined) {
    const why = unavailable.find(({ backend }) => backend === 'cuda')?.reason ?? 'no GPU is listed';
    progress(`not yet run on hardware: ${why}`);
    return [];
  }
  progress(gpu.name);
  const image = new Float32Array(BATCH * 3 * 48 * 48).map(() => Math.random());
  const input = { image: Tensor.from('FP32', image, [BATCH, 3, 48, 48]) };
  const data = compressible();
  /** @type {Readonly<Record<string, (device: string) => Promise<number>>>} */
  const cases = {
    [`infer glyphs, batch ${BATCH}, images/s`]: async (device) =>
      BATCH / (await seconds(() => client.infer('glyphs', input, { device, strict: true }))),
    'compress lz4, 64 MiB, GiB/s': async (device) =>
      COMPRESS_BYTES /
      GIB /
      (await seconds(() => client.compress(data, { codec: 'lz4', device, strict: true }))),
  };
  const rows = [];
  for (const [name, run] of Object.entries(cases)) {
    if (!name.includes(only)) continue;
    const [what = name, unit = ''] = [name, name.slice(name.lastIndexOf(', ') + 2)];
    rows.push(
      await compare({
        ...{ bench: 'cuda', case: what, unit, peer: 'cpu-fallback', goal: null },
        ...{ rounds: ROUNDS, better: 'higher' },
        run: () => run('cuda'),
        runPeer: () => run('cpu'),
      }),
    );
  }
  return rows;
}
