import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { median, row } from '../row.mjs';
import { pairStarters } from './echo-pair.mjs';

/** @typedef {import('../row.mjs').Row} Row */
/** @typedef {import('./echo-pair.mjs').EchoPair} EchoPair */
/** @typedef {import('./echo-pair.mjs').PairFigures} PairFigures */
/** @typedef {Map<string, PairFigures[]>} Measured by peer, one for each round */

const ROUNDS = 5;
const SECONDS = 1;
/** Of each pair, before all: until everything on the way is compiled, which counts in calls. */
const WARM_UP_CALLS = 200_000;
const WARM_UP_SECONDS_MAX = 15;
const KiB = 1024;

/**
 * @typedef {object} EchoCase
 * @property {string} name
 * @property {number} bytes
 * @property {number} inFlight
 * @property {'anywhere' | 'one core'} place
 * @property {'calls/s' | 'p50'} figure
 * @property {Readonly<Record<string, number>>} goals by peer: the ratio asked for
 */

/** @type {readonly EchoCase[]} */
const CASES = [
  {
    name: '64 B, 32 in flight',
    bytes: 64,
    inFlight: 32,
    place: 'anywhere',
    figure: 'calls/s',
    goals: { 'grpc-js': 12, 'grpc-c++': 1, net: 0.35 },
  },
  {
    name: '64 B, 32 in flight, one core',
    bytes: 64,
    inFlight: 32,
    place: 'one core',
    figure: 'calls/s',
    goals: { 'grpc-js': 25, 'grpc-c++': 1, net: 0.35 },
  },
  {
    name: '64 B, one in flight, p50',
    bytes: 64,
    inFlight: 1,
    place: 'anywhere',
    figure: 'p50',
    goals: { net: 1 / 1.6, 'grpc-js': 3 },
  },
  {
    name: '64 B, one in flight, one core, p50',
    bytes: 64,
    inFlight: 1,
    place: 'one core',
    figure: 'p50',
    goals: { net: 1 / 1.6, 'grpc-js': 3 },
  },
  {
    name: '100 KiB, 32 in flight',
    bytes: 100 * KiB,
    inFlight: 32,
    place: 'anywhere',
    figure: 'calls/s',
    goals: { 'grpc-js': 8 },
  },
];

const peerNames = /** @type {Readonly<Record<string, string>>} */ ({
  net: 'bare net, framed',
  'grpc-js': '@grpc/grpc-js unary',
  'grpc-c++': 'gRPC C++, one stream',
  'in process': 'in process',
});

/**
 * Echoes over a unix socket beside those of other stacks, in turn.
 *
 * @param {(line: string) => void} progress
 * @param {string} only
 * @returns {Promise<Row[]>}
 */
export async function benchCalls(progress, only) {
  const cases = CASES.filter(({ name }) => name.includes(only));
  if (cases.length === 0) return [];
  const folder = await mkdtemp(join(tmpdir(), 'axle-bench-'));
  /** @type {Map<string, EchoPair>} */
  const pairs = new Map();
  try {
    for (const [name, start] of Object.entries(pairStarters(folder))) {
      if (start === undefined) progress(`no ${name} rows: libgrpc++-dev is not installed`);
      else pairs.set(name, await start());
    }
    progress('warm-up');
    for (const pair of pairs.values()) await warmUp(pair);
    const rows = [];
    for (const echoCase of cases) {
      progress(echoCase.name);
      rows.push(...rowsOf(echoCase, await measureInTurn(pairs, echoCase)));
    }
    return rows;
  } finally {
    for (const pair of pairs.values()) await pair.stop();
    await rm(folder, { recursive: true });
  }
}

/** @param {EchoPair} pair */
async function warmUp(pair) {
  let calls = 0;
  for (let second = 0; calls < WARM_UP_CALLS && second < WARM_UP_SECONDS_MAX; second++) {
    calls += (await pair.measure(64, 32, 1, 'anywhere')).callsPerSecond;
  }
}

/**
 * @param {ReadonlyMap<string, EchoPair>} pairs
 * @param {EchoCase} echoCase
 * @returns {Promise<Measured>}
 */
async function measureInTurn(pairs, { bytes, inFlight, place }) {
  /** @type {Measured} */
  const measured = new Map();
  for (const pair of pairs.values()) await pair.measure(bytes, inFlight, SECONDS, place);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, pair] of pairs) {
      const figures = await pair.measure(bytes, inFlight, SECONDS, place);
      measured.set(name, [...(measured.get(name) ?? []), figures]);
    }
  }
  return measured;
}

/**
 * Against each peer the figure, and the CPU that it took on both sides.
 *
 * @param {EchoCase} echoCase
 * @param {Measured} measured
 */
function rowsOf({ name, figure, goals }, measured) {
  const ours = measured.get('axle') ?? [];
  const isRate = figure === 'calls/s';
  const value = (/** @type {PairFigures} */ { callsPerSecond, p50Us }) =>
    isRate ? callsPerSecond : p50Us;
  return [...measured].flatMap(([peer, theirs]) => {
    if (peer === 'axle') return [];
    const common = { bench: 'remoting', case: name, peer: peerNames[peer] ?? peer };
    const ratios = ours.map((mine, i) => {
      const its = theirs[i] ?? mine;
      return isRate ? value(mine) / value(its) : value(its) / value(mine);
    });
    const cpu = {
      ...common,
      case: `${name}: CPU per call, both sides`,
      unit: 'us',
      value: median(ours.map(cpuUs)),
      peerValue: median(theirs.map(cpuUs)),
    };
    return [
      row({
        ...common,
        unit: isRate ? 'calls/s' : 'us',
        value: median(ours.map(value)),
        peerValue: median(theirs.map(value)),
        ratio: median(ratios),
        goal: goals[peer] ?? null,
      }),
      row({ ...cpu, ratio: cpu.peerValue / cpu.value, goal: null }),
    ];
  });
}

/** @param {PairFigures} figures */
function cpuUs({ serverCpuUs, clientCpuUs }) {
  return serverCpuUs + clientCpuUs;
}
