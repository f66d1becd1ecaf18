// npm run bench -- guest: what a unikernel and the C client take, beside the stream that they use.
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { SharedMemory } from '@axle/core/internal';
import { runGuest } from '@axle/unikernel-glue';

import { buildGuest, buildLinuxGuest } from '../../scripts/guests.mjs';
import { ROOT } from '../../scripts/repository.mjs';
import { build, clientSources, machines } from '../guest/machines.mjs';
import { run } from '../wire/c-build.mjs';
import { startProcessFunction } from './guest/process-function.mjs';
import { LineProcess } from './remoting/line-process.mjs';
import { median, row } from './row.mjs';

/** @typedef {import('./row.mjs').Row} Row */

const STARTS = 20;
/** Of what takes seconds. */
const LINUX_STARTS = 5;
const ROUND_TRIPS = 5;
const PING_PONGS = 5;
const FIRST_RESULT_MS = 60;
/** Of what the bare stream takes. */
const WITHIN = 1.5;
const TIMEOUT_MS = 60_000;

/** Of the machine whose memory is shared, MiB: three buffers of 17, and room. */
const SHARED_MEMORY_MIB = 96;
const SHARED_RUNS = 5;

const cases = {
  start: startRows,
  'other starts': otherStartRows,
  'round trip': roundTripRows,
  'shared memory': sharedRows,
  client: clientRows,
};

/**
 * @param {(line: string) => void} progress
 * @param {string} only
 * @returns {Promise<Row[]>}
 */
export async function benchGuest(progress, only) {
  const rows = [];
  for (const [name, measure] of Object.entries(cases)) {
    if (!name.includes(only)) continue;
    progress(name);
    const folder = await mkdtemp(join(tmpdir(), 'axle-bench-'));
    try {
      rows.push(...(await measure(folder)));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
  return rows;
}

/**
 * @param {string} image
 * @param {string} socket
 * @param {string} [commandLine]
 * @param {{ memoryMiB?: number, memoryFile?: string }} [machine]
 */
async function runOnce(image, socket, commandLine, { memoryMiB, memoryFile } = {}) {
  let serial = '';
  const ended = await runGuest({
    ...{ image, socket, commandLine, memoryMiB, memoryFile },
    ...{ accelerator: 'auto', timeoutMs: TIMEOUT_MS },
    onOutput: (data) => {
      serial += Buffer.from(data).toString('latin1');
    },
  });
  if (!ended.isDone) throw new Error(`the guest did not come to its end: ${serial}`);
  const { firstByteMs = NaN, firstResultMs = NaN, accelerator } = ended;
  return { serial, firstByteMs, firstResultMs, accelerator };
}

/**
 * Gives back what comes, as it comes.
 *
 * @param {import('node:net').Socket} socket
 */
function echoPieces(socket) {
  socket.pipe(socket);
}

/**
 * Gives each message back when all of it is there, as whoever computes something with it must: its first four bytes say how
 * long it is.
 *
 * @param {import('node:net').Socket} socket
 */
function echoMessages(socket) {
  /** @type {Buffer[]} */
  let pieces = [];
  let there = 0;
  socket.on('data', (piece) => {
    pieces.push(/** @type {Buffer} */ (piece));
    there += piece.length;
    const [first] = pieces;
    if (first === undefined || there < 4 || there < first.readUInt32LE(0)) return;
    for (const each of pieces) socket.write(each);
    pieces = [];
    there = 0;
  });
}

/**
 * `axle serve` with the echo plugin, and sockets that give back what comes, for as long as `work` takes.
 *
 * @template T
 * @param {string} folder
 * @param {(places: { server: string, echo: string, messages: string }) => Promise<T>} work
 * @param {string} [listenOptions] of the server
 * @returns {Promise<T>}
 */
async function withPlaces(folder, work, listenOptions = '') {
  const server = join(folder, 'axle.sock');
  const echo = join(folder, 'echo.sock');
  const messages = join(folder, 'messages.sock');
  const plugin = join(ROOT, 'plugins/echo/build/libaxle_echo.so');
  const args = [
    'serve',
    '--in-process',
    '--listen',
    `unix:${server}${listenOptions}`,
    '--plugin',
    `echo=${plugin}`,
  ];
  const serving = new LineProcess(process.execPath, [join(ROOT, 'cli/bin/axle.js'), ...args]);
  const listeners = [echoPieces, echoMessages].map((answer) =>
    createServer((socket) => {
      socket.on('error', () => undefined);
      answer(socket);
    }),
  );
  try {
    await serving.line();
    for (const [i, path] of [echo, messages].entries()) {
      await once(listeners[i]?.listen(path) ?? [], 'listening');
    }
    return await work({ server, echo, messages });
  } finally {
    for (const listener of listeners) listener.close();
    await serving.stop();
  }
}

/** @param {string} folder */
async function startRows(folder) {
  const classify = buildGuest('classify');
  const bench = buildGuest('bench');
  return withPlaces(folder, async ({ server, echo }) => {
    // The first call of a server loads the model.
    await runOnce(classify, server);
    /** @type {{ firstByte: number[], firstResult: number[], bare: number[], bareByte: number[] }} */
    const ms = { firstByte: [], firstResult: [], bare: [], bareByte: [] };
    let how = '';
    for (let i = 0; i < STARTS; i++) {
      const bare = await runOnce(bench, echo, 'raw');
      const ours = await runOnce(classify, server);
      ms.bareByte.push(bare.firstByteMs);
      ms.bare.push(bare.firstResultMs);
      ms.firstByte.push(ours.firstByteMs);
      ms.firstResult.push(ours.firstResultMs);
      how = ours.accelerator === 'tcg' ? ' (processor emulated)' : '';
    }
    const of = { bench: 'guest', unit: 'ms' };
    const first = median(ms.firstResult);
    // 60 ms do in any case.
    const floor = Math.max(median(ms.bare), FIRST_RESULT_MS / WITHIN);
    return [
      row({
        ...{ ...of, case: `unikernel, start to first byte${how}`, value: median(ms.firstByte) },
        ...{ peer: 'a bare PVH kernel', peerValue: median(ms.bareByte), goal: null },
        ratio: median(ms.bareByte) / median(ms.firstByte),
      }),
      row({
        ...{ ...of, case: `start to first result${how}`, value: first, goal: 1 / WITHIN },
        ...{ peer: 'a bare kernel and one bare round trip, or 40 ms', peerValue: floor },
        ratio: floor / first,
      }),
    ];
  });
}

/**
 * The same call from a Linux microVM, and from a function that is a process, each beside a unikernel's of the same round.
 *
 * @param {string} folder
 */
async function otherStartRows(folder) {
  const unikernel = buildGuest('classify');
  const linux = buildLinuxGuest('classify');
  return withPlaces(folder, async ({ server }) => {
    await runOnce(unikernel, server);
    /** @type {{ unikernel: number[], linuxByte: number[], linux: number[], process: number[] }} */
    const ms = { unikernel: [], linuxByte: [], linux: [], process: [] };
    let how = '';
    for (let i = 0; i < LINUX_STARTS; i++) {
      const ours = await runOnce(unikernel, server);
      const other = await runOnce(linux, server);
      ms.unikernel.push(ours.firstResultMs);
      ms.linuxByte.push(other.firstByteMs);
      ms.linux.push(other.firstResultMs);
      ms.process.push(await startProcessFunction(`axle+unix:${server}`));
      how = other.accelerator === 'tcg' ? ' (processor emulated)' : '';
    }
    const peerValue = median(ms.unikernel);
    const beside = { bench: 'guest', unit: 'ms', peer: 'unikernel, first result', peerValue };
    /** @type {[string, number[]][]} */
    const rows = [
      [`Linux microVM, start to first byte${how}`, ms.linuxByte],
      [`Linux microVM, start to first result${how}`, ms.linux],
      ['process function, start to first result', ms.process],
    ];
    return rows.map(([name, values]) =>
      row({
        ...{ ...beside, case: name, value: median(values), goal: null },
        ratio: peerValue / median(values),
      }),
    );
  });
}

/**
 * @param {string} serial
 * @returns {Map<number, number>} microseconds by bytes; the last of each size counts
 */
function timesIn(serial) {
  const lines = [...serial.matchAll(/^(\d+) (\d+)\r?$/gm)];
  return new Map(lines.map(([, bytes, us]) => [Number(bytes), Number(us)]));
}

/** Where the time of a call goes, in the order in which the guest prints it. */
const PARTS = [
  'guest makes the frame',
  'guest hands it to the port',
  'port, host and back',
  'guest takes the result',
  'of the host, server',
];

/**
 * @param {readonly string[]} serials
 * @param {number} bytes
 * @param {number} part
 * @returns {number} microseconds
 */
function medianPart(serials, bytes, part) {
  const pattern = new RegExp(`^parts ${bytes} ([\\d ]+)`, 'm');
  const lines = serials.map((serial) => (pattern.exec(serial)?.[1] ?? '').split(' ').map(Number));
  return median(lines.map((line) => line[part] ?? NaN));
}

/**
 * Where the time of a call goes, beside what the raw echo takes for the same; 0 is what it does not have.
 *
 * @param {{ ours: readonly string[], raw: readonly string[] }} serials
 * @param {number} bytes
 * @returns {Row[]} microseconds
 */
function partRows({ ours, raw }, bytes) {
  return PARTS.map((part, i) => {
    const value = medianPart(ours, bytes, i);
    const peerValue = medianPart(raw, bytes, i);
    return row({
      ...{ bench: 'guest', case: `${bytes} B: ${part}`, unit: 'us', value, goal: null },
      ...{ peer: 'the same part of the raw echo', peerValue, ratio: peerValue / value },
    });
  });
}

/**
 * Of processes that just started: before compilers made anything of the loops of either end.
 *
 * @param {string} ours what the first guest printed
 * @param {string} raw
 * @returns {Row}
 */
function firstRoundsRow(ours, raw) {
  const [value = NaN, peerValue = NaN] = [ours, raw].map((serial) =>
    Number([...serial.matchAll(/^first 16 (\d+)\r?$/gm)].at(-1)?.[1] ?? NaN),
  );
  return row({
    ...{ bench: 'guest', case: '16 B, the first 199 rounds', unit: 'us', value, goal: null },
    ...{ peer: 'the first of the raw echo', peerValue, ratio: peerValue / value },
  });
}

/** @param {string} folder */
async function roundTripRows(folder) {
  const bench = buildGuest('bench');
  return withPlaces(folder, async ({ server, echo, messages }) => {
    const rounds = [];
    for (let i = 0; i < ROUND_TRIPS; i++) {
      const whole = timesIn((await runOnce(bench, messages, 'raw')).serial);
      const { serial: raw } = await runOnce(bench, echo, 'raw');
      const { serial: ours } = await runOnce(bench, server);
      rounds.push({ whole, raw: timesIn(raw), ours: timesIn(ours), serials: { raw, ours } });
    }
    const ours = rounds.map(({ serials }) => serials.ours);
    const raw = rounds.map(({ serials }) => serials.raw);
    const rows = [16, 4096, 2 ** 20].flatMap((bytes) => {
      const us = rounds.map((round) => round.ours.get(bytes) ?? NaN);
      const rawUs = rounds.map((round) => round.raw.get(bytes) ?? NaN);
      const whole = row({
        ...{ bench: 'guest', case: `${bytes} B there and back`, unit: 'us' },
        // Both ends on the host are processes of Node.
        ...{ value: median(us), peer: 'raw echo on the same port', peerValue: median(rawUs) },
        ...{ ratio: median(rawUs.map((each, i) => each / (us[i] ?? NaN))), goal: 1 / WITHIN },
      });
      if (bytes <= 4096) return [whole, ...partRows({ ours, raw }, bytes)];
      const wholeUs = rounds.map((round) => round.whole.get(bytes) ?? NaN);
      // A raw echo of pieces sends the first back while the last are on their way, which no op can.
      const besideWhole = row({
        ...{ bench: 'guest', case: `${bytes} B, beside whole messages`, unit: 'us', goal: null },
        ...{ value: median(us), peer: 'raw echo of whole messages', peerValue: median(wholeUs) },
        ratio: median(wholeUs.map((each, i) => each / (us[i] ?? NaN))),
      });
      return [whole, besideWhole];
    });
    return [firstRoundsRow(ours[0] ?? '', raw[0] ?? ''), ...rows];
  });
}

/**
 * The same guest and server, with and without its memory.
 *
 * @param {string} folder
 */
async function sharedRows(folder) {
  const guest = buildGuest('shared');
  const memory = new SharedMemory(SHARED_MEMORY_MIB * 2 ** 20);
  const machine = { memoryMiB: SHARED_MEMORY_MIB, memoryFile: memory.path };
  const rounds = [];
  try {
    await withPlaces(
      folder,
      async ({ server }) => {
        for (let i = 0; i < SHARED_RUNS; i++) {
          const shared = timesIn((await runOnce(guest, server, undefined, machine)).serial);
          const stream = timesIn((await runOnce(guest, server, 'stream', machine)).serial);
          rounds.push({ shared, stream });
        }
      },
      `,memory=${memory.path}`,
    );
  } finally {
    memory.seal();
  }
  return [1, 4, 16].map((size) => {
    const shared = rounds.map((round) => round.shared.get(size * 2 ** 20) ?? NaN);
    const stream = rounds.map((round) => round.stream.get(size * 2 ** 20) ?? NaN);
    return row({
      ...{ bench: 'guest', case: `${size} MiB there and back, shared memory`, unit: 'us' },
      ...{ value: median(shared), peer: 'the same by the stream', peerValue: median(stream) },
      ...{ ratio: median(stream.map((us, i) => us / (shared[i] ?? NaN))), goal: null },
    });
  });
}

function clientRows() {
  const sources = [...clientSources, 'posix/transport.c', '../test/bench/guest/ping_pong.c'];
  const [program = ''] = build(machines[0], 'ping-pong', sources, ['-O2']);
  const rounds = run(program, [String(PING_PONGS)])
    .trimEnd()
    .split('\n')
    .map((line) => line.split(' ').map(Number));
  const ours = rounds.map(([ns = NaN]) => ns / 1000);
  const bare = rounds.map(([, ns = NaN]) => ns / 1000);
  return Promise.resolve([
    row({
      ...{ bench: 'guest', case: 'C client on a unix socket, 16 B, p50', unit: 'us' },
      ...{ value: median(ours), peer: 'C ping-pong of as many bytes', peerValue: median(bare) },
      ...{ ratio: median(bare.map((us, i) => us / (ours[i] ?? NaN))), goal: 1 / 1.3 },
    }),
  ]);
}
