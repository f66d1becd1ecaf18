import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { median, row } from '../row.mjs';
import { axleClient, axleServer, EchoPair, pairStarters, started } from './echo-pair.mjs';
import { delayRelay } from './native-programs.mjs';

/** @typedef {import('../row.mjs').Row} Row */
/** @typedef {import('./line-process.mjs').LineProcess} LineProcess */
/** @typedef {{ flights: number, up: number, down: number }} Passed what a relay counted */

const RTTS_MS = [0, 0.2, 1, 5];
const ROUNDS = 3;
const SECONDS = 0.7;
const WARM_UP_SECONDS = 2;
const BYTES = 64;
const PIPELINED = 32;
/** Far enough that no two flights of one round trip look like one. */
const COUNTING_RTT_MS = 5;

const firstCall = fileURLToPath(new URL('./first-call.mjs', import.meta.url));

/**
 * Calls over injected round-trip times: one after another, pipelined, and in process.
 *
 * @param {(line: string) => void} progress
 * @param {string} only
 * @returns {Promise<Row[]>}
 */
export async function benchDistance(progress, only) {
  const rttCases = RTTS_MS.map((rttMs) => ({ rttMs, name: `64 B, RTT ${rttMs} ms` })).filter(
    ({ name }) => name.includes(only),
  );
  const countsTrips = 'round trips'.includes(only);
  if (rttCases.length === 0 && !countsTrips) return [];
  const folder = await mkdtemp(join(tmpdir(), 'axle-bench-'));
  const socket = join(folder, 'axle.sock');
  const server = await axleServer(socket);
  try {
    const rows = [];
    if (countsTrips) {
      progress('round trips');
      rows.push(...(await roundTrips(folder, socket)));
    }
    if (rttCases.length > 0) {
      const local = await pairStarters(folder)['in process']();
      try {
        for (const { rttMs, name } of rttCases) {
          progress(name);
          rows.push(...(await overRtt(folder, socket, local, name, rttMs)));
        }
      } finally {
        await local.stop();
      }
    }
    return rows;
  } finally {
    await server.stop();
    await rm(folder, { recursive: true });
  }
}

/**
 * @param {string} folder
 * @param {string} socket the server's
 * @param {EchoPair} local
 * @param {string} name
 * @param {number} rttMs
 */
async function overRtt(folder, socket, local, name, rttMs) {
  const far = join(folder, `${rttMs}.sock`);
  const relay = await relayTo(socket, far, rttMs);
  const remote = new EchoPair(undefined, await axleClient(far));
  try {
    await remote.measure(BYTES, PIPELINED, WARM_UP_SECONDS, 'anywhere');
    await local.measure(BYTES, PIPELINED, WARM_UP_SECONDS, 'anywhere');
    const [naive, pipelined, inProcess] = /** @type {[number[], number[], number[]]} */ ([
      [],
      [],
      [],
    ]);
    for (let round = 0; round < ROUNDS; round++) {
      const rate = async (/** @type {EchoPair} */ pair, /** @type {number} */ inFlight) =>
        (await pair.measure(BYTES, inFlight, SECONDS, 'anywhere')).callsPerSecond;
      naive.push(await rate(remote, 1));
      pipelined.push(await rate(remote, PIPELINED));
      inProcess.push(await rate(local, PIPELINED));
    }
    const beside = (/** @type {string} */ peer, /** @type {number[]} */ theirs) =>
      row({
        bench: 'remoting',
        case: `${name}, ${PIPELINED} in flight`,
        unit: 'calls/s',
        value: median(pipelined),
        peer,
        peerValue: median(theirs),
        ratio: median(pipelined.map((rate, i) => rate / (theirs[i] ?? NaN))),
        goal: null,
      });
    return [beside('call by call', naive), beside('in process', inProcess)];
  } finally {
    await remote.stop();
    await relay.stop();
  }
}

/**
 * From an idle process to the first result of a function that was never called: how often the client has to wait for the
 * server.
 *
 * @param {string} folder
 * @param {string} socket
 * @returns {Promise<Row[]>}
 */
async function roundTrips(folder, socket) {
  const far = join(folder, 'counted.sock');
  const relay = await relayTo(socket, far, COUNTING_RTT_MS);
  try {
    const trips = async (/** @type {string} */ client) => {
      const child = await started(process.execPath, [firstCall, client, far]);
      const setUp = await passed(relay);
      await child.ask('go');
      const call = await passed(relay);
      await child.stop();
      return { setUp: setUp.flights, call: call.flights };
    };
    const ours = await trips('axle');
    const naive = await trips('call-by-call');
    const beside = (
      /** @type {string} */ name,
      /** @type {number} */ value,
      /** @type {number} */ peerValue,
      /** @type {number | null} */ most,
    ) =>
      row({
        bench: 'remoting',
        case: name,
        unit: 'trips',
        value,
        peer: 'a client that awaits each answer',
        peerValue,
        ratio: peerValue / value,
        goal: most === null ? null : peerValue / most,
      });
    return [
      beside('round trips of connecting', ours.setUp, naive.setUp, null),
      beside('round trips to the first result (goal: 1)', ours.call, naive.call, 1),
    ];
  } finally {
    await relay.stop();
  }
}

/** @param {LineProcess} relay @returns {Promise<Passed>} since it was last asked */
async function passed(relay) {
  return /** @type {Passed} */ (JSON.parse(await relay.ask('')));
}

/**
 * @param {string} target
 * @param {string} listen
 * @param {number} rttMs
 */
async function relayTo(target, listen, rttMs) {
  return started(delayRelay(), [listen, target, String(Math.round(rttMs * 500))]);
}
