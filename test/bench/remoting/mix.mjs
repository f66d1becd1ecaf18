import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { onnxModel } from '../../onnx-model.mjs';
import { median, row } from '../row.mjs';
import { axleServer, started } from './echo-pair.mjs';
import { delayRelay } from './native-programs.mjs';

/** @typedef {import('../row.mjs').Row} Row */
/** @typedef {{ size: string, ms: number }} Run of one function */

const KiB = 1024;
const MiB = 1024 * KiB;
const INPUTS = 256;
/** What the models' weights take, bytes. */
const SIZES = {
  '64 KiB': 64 * KiB,
  '256 KiB': 256 * KiB,
  '1 MiB': MiB,
  '4 MiB': 4 * MiB,
  '8 MiB': 8 * MiB,
  '16 MiB': 16 * MiB,
};
const RTT_MS = 1;
const ROUNDS = 3;
const functions = fileURLToPath(new URL('./mix-functions.mjs', import.meta.url));

/**
 * Functions that come at random times, each with one of six models: as a client of ours runs them, as one that awaits each
 * answer does, and in process with nothing loaded. After the mix of DGSF (Fingler et al., IPDPS 2022).
 *
 * @param {(line: string) => void} progress
 * @param {string} only
 * @returns {Promise<Row[]>}
 */
export async function benchMix(progress, only) {
  if (!'mix of models'.includes(only)) return [];
  const folder = await mkdtemp(join(tmpdir(), 'axle-bench-'));
  await writeModels(folder);
  const socket = join(folder, 'axle.sock');
  const server = await axleServer(socket);
  const far = join(folder, 'far.sock');
  const relay = await started(delayRelay(), [far, socket, String(RTT_MS * 500)]);
  try {
    /** @type {Record<string, Run[][]>} */
    const runs = { pipelined: [], 'call-by-call': [], local: [] };
    const ways = [
      ['pipelined', `axle+unix:${far}`],
      ['call-by-call', `axle+unix:${far}`],
      ['local', 'local:'],
    ];
    for (let round = 0; round < ROUNDS; round++) {
      for (const [way = '', target = ''] of ways) {
        progress(`mix, ${way}`);
        const child = await started(process.execPath, [functions, way, target, folder]);
        runs[way]?.push(JSON.parse(await child.ask(String(round + 1))));
        await child.stop();
      }
    }
    return rowsOf(runs);
  } finally {
    await relay.stop();
    await server.stop();
    await rm(folder, { recursive: true });
  }
}

/** @param {Record<string, Run[][]>} runs @returns {Row[]} */
function rowsOf(runs) {
  const of = (/** @type {string} */ way, /** @type {string | undefined} */ size) =>
    (runs[way] ?? []).map((round) => {
      const its = round.filter((run) => size === undefined || run.size === size);
      return its.reduce((sum, { ms }) => sum + ms, 0) / its.length;
    });
  const beside = (
    /** @type {string} */ name,
    /** @type {string} */ peer,
    /** @type {string} */ way,
    /** @type {string | undefined} */ size,
    /** @type {number | null} */ goal,
  ) => {
    const ours = of('pipelined', size);
    const theirs = of(way, size);
    return row({
      bench: 'remoting',
      case: name,
      unit: 'ms',
      value: median(ours),
      peer,
      peerValue: median(theirs),
      ratio: median(ours.map((ms, i) => (theirs[i] ?? NaN) / ms)),
      goal,
    });
  };
  return [
    beside(`mix of models, RTT ${RTT_MS} ms`, 'call by call', 'call-by-call', undefined, 2),
    ...Object.keys(SIZES).map((size) =>
      beside(
        `function with a model of ${size}, server warm`,
        'in process, cold',
        'local',
        size,
        null,
      ),
    ),
  ];
}

/** A layer of INPUTS inputs, as wide as the size wants it. @param {string} folder */
async function writeModels(folder) {
  for (const [size, bytes] of Object.entries(SIZES)) {
    const width = bytes / INPUTS / Float32Array.BYTES_PER_ELEMENT;
    const data = Float32Array.from({ length: INPUTS * width }, (_, i) => ((i * 31) % 17) / 17);
    const model = onnxModel({
      inputs: [{ name: 'x', shape: ['batch', INPUTS] }],
      outputs: [{ name: 'y', shape: ['batch', 1] }],
      nodes: [
        ['MatMul', ['x', 'w'], ['h']],
        ['ReduceMax', ['h'], ['y']],
      ],
      weights: [{ name: 'w', shape: [INPUTS, width], data }],
    });
    await writeFile(join(folder, `${size}.onnx`), model);
  }
}
