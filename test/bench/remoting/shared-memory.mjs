import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { median, row } from '../row.mjs';
import { axleClient, axleServer, EchoPair } from './echo-pair.mjs';

/** @typedef {import('../row.mjs').Row} Row */
/** @typedef {import('./echo-pair.mjs').PairFigures} PairFigures */
/** @typedef {{ allocated: PairFigures, plain: PairFigures, socket: PairFigures }} Figures of one round */

const IN_FLIGHT = 32;
const ROUNDS = 5;
const WARM_UP_ROUNDS = 2;
const KiB = 1024;
const MiB = 1024 * KiB;
/** Inputs and outputs of all calls in flight, at all sizes. */
const ARENA_BYTES = 2 * IN_FLIGHT * 18 * MiB;

/** With the ratios asked for. */
const CASES = [
  { name: '100 KiB', bytes: 100 * KiB, seconds: 1, goal: 4 },
  { name: '1 MiB', bytes: MiB, seconds: 1, goal: 3 },
  { name: '16 MiB', bytes: 16 * MiB, seconds: 2, goal: 2 },
];

/**
 * Echoes through shared memory beside those of the same client and server through the socket.
 *
 * @param {(line: string) => void} progress
 * @param {string} only
 * @returns {Promise<Row[]>}
 */
export async function benchSharedMemory(progress, only) {
  const cases = CASES.map((each) => ({
    ...each,
    name: `shared memory, ${each.name}, 32 in flight`,
  }));
  const wanted = cases.filter(({ name }) => name.includes(only));
  if (wanted.length === 0) return [];
  const folder = await mkdtemp(join(tmpdir(), 'axle-bench-'));
  /** @type {EchoPair[]} */
  const pairs = [];
  const startPair = async (
    /** @type {string} */ name,
    /** @type {number} */ arenaBytes,
    /** @type {readonly string[]} */ options,
  ) => {
    const socket = join(folder, `${name}.sock`);
    const server = await axleServer(socket, ['--shared-memory', String(arenaBytes)]);
    const pair = new EchoPair(server, await axleClient(socket, options), true);
    pairs.push(pair);
    return pair;
  };
  try {
    const allocated = await startPair('allocated', ARENA_BYTES, ['allocate']);
    const plain = await startPair('plain', ARENA_BYTES, []);
    const socket = await startPair('socket', 0, []);
    const rows = [];
    for (const { name, bytes, seconds, goal } of wanted) {
      progress(name);
      const measure = async () => ({
        allocated: await allocated.measure(bytes, IN_FLIGHT, seconds, 'anywhere'),
        plain: await plain.measure(bytes, IN_FLIGHT, seconds, 'anywhere'),
        socket: await socket.measure(bytes, IN_FLIGHT, seconds, 'anywhere'),
      });
      for (let round = 0; round < WARM_UP_ROUNDS; round++) await measure();
      /** @type {Figures[]} */
      const figures = [];
      for (let round = 0; round < ROUNDS; round++) figures.push(await measure());
      rows.push(
        rateRow(name, 'allocated', goal, figures),
        rateRow(`${name}, memory of the caller's own`, 'plain', null, figures),
        copiesRow(name, bytes, figures),
      );
    }
    return rows;
  } finally {
    for (const pair of pairs) await pair.stop();
    await rm(folder, { recursive: true });
  }
}

/**
 * @param {string} name
 * @param {'allocated' | 'plain'} ours
 * @param {number | null} goal
 * @param {readonly Figures[]} figures
 */
function rateRow(name, ours, goal, figures) {
  const rate = (/** @type {PairFigures} */ { callsPerSecond }) => callsPerSecond;
  return row({
    bench: 'remoting',
    case: name,
    unit: 'calls/s',
    value: median(figures.map((each) => rate(each[ours]))),
    peer: 'the same through the socket',
    peerValue: median(figures.map(({ socket }) => rate(socket))),
    ratio: median(figures.map((each) => rate(each[ours]) / rate(each.socket))),
    goal,
  });
}

/**
 * What lies in memory from `allocate` is not copied: the ratio says how much of a call's input and output is not, 1 being
 * all of it.
 *
 * @param {string} name
 * @param {number} bytes
 * @param {readonly Figures[]} figures
 */
function copiesRow(name, bytes, figures) {
  const copied = (/** @type {'allocated' | 'plain'} */ which) =>
    Math.max(...figures.map((each) => each[which].copiedBytes));
  return row({
    bench: 'remoting',
    case: `${name}: bytes copied per call, both sides`,
    unit: 'bytes',
    value: copied('allocated'),
    peer: "the same with memory of the caller's own",
    peerValue: copied('plain'),
    ratio: 1 - copied('allocated') / (2 * bytes),
    goal: 1,
  });
}
