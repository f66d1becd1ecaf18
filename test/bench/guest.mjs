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
 * `axle serve` with the echo plugin, and a socket that gives back what comes, for as long as `work` takes.
 *
 * @template T
 * @param {string} folder
 * @param {(places: { server: string, echo: string }) => Promise<T>} work
 * @param {string} [listenOptions] of the server
 * @returns {Promise<T>}
 */
async function withPlaces(folder, work, listenOptions = '') {
  const server = join(folder, 'axle.sock');
  const echo = join(folder, 'echo.sock');
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
  const listener = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  try {
    await serving.line();
    await once(listener.listen(echo), 'listening');
    return await work({ server, echo });
  } finally {
    listener.close();
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
 * @returns {Row[]} microseconds; beside no peer
 */
function partRows(serials, bytes) {
  const lines = serials.map((serial) =>
    (new RegExp(`^parts ${bytes} ([\\d ]+)`, 'm').exec(serial)?.[1] ?? '').split(' ').map(Number),
  );
  return PARTS.map((part, i) => {
    const value = median(lines.map((line) => line[i] ?? NaN));
    return row({
      ...{ bench: 'guest', case: `${bytes} B: ${part}`, unit: 'us', value, goal: null },
      ...{ peer: 'a part of the row above', peerValue: value, ratio: 1 },
    });
  });
}

/** @param {string} folder */
async function roundTripRows(folder) {
  const bench = buildGuest('bench');
  return withPlaces(folder, async ({ server, echo }) => {
    const rounds = [];
    for (let i = 0; i < ROUND_TRIPS; i++) {
      const raw = timesIn((await runOnce(bench, echo, 'raw')).serial);
      const { serial } = await runOnce(bench, server);
      rounds.push({ raw, ours: timesIn(serial), serial });
    }
    const serials = rounds.map(({ serial }) => serial);
    return [16, 4096, 2 ** 20].flatMap((bytes) => {
      const ours = rounds.map((round) => round.ours.get(bytes) ?? NaN);
      const raw = rounds.map((round) => round.raw.get(bytes) ?? NaN);
      const whole = row({
        ...{ bench: 'guest', case: `${bytes} B there and back`, unit: 'us' },
        // Both ends on the host are processes of Node.
        ...{ value: median(ours), peer: 'raw echo on the same port', peerValue: median(raw) },
        ...{ ratio: median(raw.map((us, i) => us / (ours[i] ?? NaN))), goal: 1 / WITHIN },
      });
      return bytes > 4096 ? [whole] : [whole, ...partRows(serials, bytes)];
    });
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
