// npm run bench -- dispatch: what a call costs by itself, beside the addon's completion ring.
import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';

import { median, row } from './row.mjs';

/** @typedef {import('./row.mjs').Row} Row */
/** @typedef {{ opsPerSecond: number, p50Us: number }} Figures */

const ROUNDS = 7;
const SECONDS = 1.5;
/** How long the plugin's thread looks for more before it sleeps: waking it would cost more than the call. */
const SPIN_US = 50;
const OPS_PER_SECOND = 250_000;
/** Of the ring: how much slower the whole way may be. */
const TIMES_THE_RING = 3;

const scripts = {
  ring: pathOf('../../core/native/bench/ring.mjs'),
  client: pathOf('./dispatch-run.mjs'),
};
const plugin = pathOf('../../plugins/echo/build/libaxle_echo.so');

/**
 * @param {(line: string) => void} progress
 * @returns {Promise<Row[]>}
 */
export async function benchDispatch(progress) {
  const busy = await inTurn(progress, 'echo, 32 in flight', 32, ['']);
  const stored = await inTurn(progress, 'echo, 32 in flight, AsyncLocalStorage', 32, ['als']);
  const alone = await inTurn(progress, 'echo, one in flight', 1, ['']);
  return [
    row({
      bench: 'dispatch',
      case: `echo, 32 in flight (goal: ${OPS_PER_SECOND / 1000} k)`,
      unit: 'ops/s',
      value: busy.ours,
      peer: 'bound',
      peerValue: OPS_PER_SECOND,
      ratio: busy.ours / OPS_PER_SECOND,
      goal: 1,
    }),
    row({
      bench: 'dispatch',
      // What others take of a shared machine, they take of a peer too, but not of a bound.
      case: `echo, 32 in flight, best of ${ROUNDS} rounds`,
      unit: 'ops/s',
      value: busy.ourBest,
      peer: 'bound',
      peerValue: OPS_PER_SECOND,
      ratio: busy.ourBest / OPS_PER_SECOND,
      goal: null,
    }),
    besideRing('echo, 32 in flight', 'ops/s', busy),
    besideRing('echo, 32 in flight, AsyncLocalStorage', 'ops/s', stored),
    besideRing('echo, one in flight, p50', 'us', alone),
  ];
}

/**
 * @param {string} name
 * @param {string} unit
 * @param {{ ours: number, ring: number, ratio: number, ourUs: number, ringUs: number, usRatio: number }} figures
 */
function besideRing(name, unit, figures) {
  const us = unit === 'us';
  return row({
    bench: 'dispatch',
    case: name,
    unit,
    value: us ? figures.ourUs : figures.ours,
    peer: `the addon's ring (goal: within ${TIMES_THE_RING}x)`,
    peerValue: us ? figures.ringUs : figures.ring,
    ratio: us ? figures.usRatio : figures.ratio,
    goal: 1 / TIMES_THE_RING,
  });
}

/**
 * @param {(line: string) => void} progress
 * @param {string} name
 * @param {number} inFlight
 * @param {string[]} extra
 */
async function inTurn(progress, name, inFlight, extra) {
  progress(name);
  /** @type {Figures[]} */
  const ours = [];
  /** @type {Figures[]} */
  const ring = [];
  for (let round = 0; round < ROUNDS; round++) {
    ring.push(await figuresOf('ring', inFlight, extra));
    ours.push(await figuresOf('client', inFlight, extra));
  }
  const pairs = ours.map((mine, i) => ({ mine, its: ring[i] ?? mine }));
  return {
    ours: median(ours.map(({ opsPerSecond }) => opsPerSecond)),
    ourBest: Math.max(...ours.map(({ opsPerSecond }) => opsPerSecond)),
    ring: median(ring.map(({ opsPerSecond }) => opsPerSecond)),
    ratio: median(pairs.map(({ mine, its }) => mine.opsPerSecond / its.opsPerSecond)),
    ourUs: median(ours.map(({ p50Us }) => p50Us)),
    ringUs: median(ring.map(({ p50Us }) => p50Us)),
    usRatio: median(pairs.map(({ mine, its }) => its.p50Us / mine.p50Us)),
  };
}

/**
 * @param {'ring' | 'client'} mode
 * @param {number} inFlight
 * @param {string[]} extra
 * @returns {Promise<Figures>}
 */
async function figuresOf(mode, inFlight, extra) {
  const args = [plugin, String(inFlight), String(SECONDS), String(SPIN_US), ...extra];
  const child = fork(scripts[mode], args);
  await messageOf(child);
  pin(child.pid ?? 0);
  child.send('go');
  const figures = /** @type {{ opsPerSecond: number, latenciesUs: number[] }} */ (
    await messageOf(child)
  );
  child.disconnect();
  await once(child, 'exit');
  return { opsPerSecond: figures.opsPerSecond, p50Us: median(figures.latenciesUs) };
}

/** @param {import('node:child_process').ChildProcess} child */
async function messageOf(child) {
  const end = new AbortController();
  const exited = once(child, 'exit', { signal: end.signal }).then(() => {
    throw new Error(`${child.spawnargs.join(' ')} ended without figures`);
  });
  exited.catch(() => undefined);
  const [message] = /** @type {[unknown]} */ (
    await Promise.race([once(child, 'message', { signal: end.signal }), exited])
  );
  end.abort();
  return message;
}

/**
 * The JavaScript thread on one core, every other thread, the plugin's among them, on the next.
 *
 * @param {number} pid
 */
function pin(pid) {
  if (availableParallelism() < 2) return;
  execFileSync('taskset', ['-a', '-p', '-c', '1', String(pid)], { stdio: 'ignore' });
  execFileSync('taskset', ['-p', '-c', '0', String(pid)], { stdio: 'ignore' });
}

/** @param {string} relative */
function pathOf(relative) {
  return fileURLToPath(new URL(relative, import.meta.url));
}
