// npm run bench -- doors: what a call through gRPC and REST costs, beside servers that only give the same bytes back.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { started } from './remoting/echo-pair.mjs';
import { writeBenchModels } from './doors/models.mjs';
import { compare } from './row.mjs';
import { wideName, writeWideModels } from './wide-model.mjs';

/** @typedef {import('./row.mjs').Row} Row */
/** @typedef {import('./remoting/line-process.mjs').LineProcess} LineProcess */

const ROUNDS = 5;
const SECONDS = 1.5;
const WARM_UP_SECONDS = 4;
const IN_FLIGHT = 32;
const CALLERS = 64;
const axleCommand = fileURLToPath(new URL('../../cli/bin/axle.js', import.meta.url));

/**
 * @param {(line: string) => void} progress
 * @param {string} only
 * @returns {Promise<Row[]>}
 */
export async function benchDoors(progress, only) {
  const folder = await mkdtemp(join(tmpdir(), 'axle-bench-'));
  const socket = (/** @type {string} */ name) => join(folder, name);
  /** @type {LineProcess[]} */
  const processes = [];
  const start = async (/** @type {string} */ command, /** @type {readonly string[]} */ args) => {
    const child = await started(process.execPath, [command, ...args]);
    processes.push(child);
    return child;
  };
  const script = (/** @type {string} */ name, /** @type {string[]} */ ...args) =>
    start(fileURLToPath(new URL(`./doors/${name}`, import.meta.url)), args);
  const client = (
    /** @type {string} */ protocol,
    /** @type {string} */ where,
    /** @type {string} */ model,
  ) => script('load-client.mjs', protocol, where, model);
  try {
    await writeBenchModels(socket('models'));
    await writeWideModels(socket('models'));
    const doors = ['--grpc', `unix:${socket('grpc')}`, '--http', `unix:${socket('http')}`];
    const axle = await start(axleCommand, ['serve', ...doors, '--models', socket('models')]);
    // One line for each door.
    await axle.line();
    await script('echo-servers.mjs', socket('bare-grpc'), socket('bare-http'));
    const cases = [
      {
        case: `gRPC, 4 KiB, ${IN_FLIGHT} in flight`,
        peer: 'echo of the same bytes by @grpc/grpc-js',
        inFlight: IN_FLIGHT,
        goal: 0.6,
        ours: await client('grpc', socket('grpc'), 'identity'),
        theirs: await client('grpc-echo', socket('bare-grpc'), 'identity'),
      },
      {
        case: `REST, binary, 4 KiB, ${IN_FLIGHT} in flight`,
        peer: 'echo of the same bytes by node:http',
        inFlight: IN_FLIGHT,
        goal: 0.6,
        ours: await client('http', socket('http'), 'identity'),
        theirs: await client('http', socket('bare-http'), 'identity'),
      },
      {
        case: `mlp over gRPC, ${CALLERS} callers`,
        peer: 'the same with batching off',
        inFlight: CALLERS,
        goal: 2,
        ours: await client('grpc', socket('grpc'), 'on'),
        theirs: await client('grpc', socket('grpc'), 'off'),
      },
      // How near that is to what the door hands on when a device has nothing to do: past it, no batching helps.
      {
        case: `mlp over gRPC, ${CALLERS} callers: the door's limit`,
        peer: 'a model that does nothing through the same door',
        inFlight: CALLERS,
        goal: null,
        ours: await client('grpc', socket('grpc'), 'on'),
        theirs: await client('grpc', socket('grpc'), 'identity'),
      },
      // Of the shipped model a device does more than a door hands on: here the device is what is waited for.
      {
        case: `MLP ${wideName} over gRPC, ${CALLERS} callers`,
        peer: 'the same with batching off',
        inFlight: CALLERS,
        goal: 2,
        ours: await client('grpc', socket('grpc'), 'wide-on'),
        theirs: await client('grpc', socket('grpc'), 'wide-off'),
      },
    ];
    const rows = [];
    for (const { inFlight, ours, theirs, ...named } of cases) {
      if (!named.case.includes(only)) continue;
      progress(named.case);
      const run = (/** @type {LineProcess} */ child, /** @type {number} */ seconds) => async () =>
        Number(await child.ask(`${inFlight} ${seconds}`));
      await run(theirs, WARM_UP_SECONDS)();
      await run(ours, WARM_UP_SECONDS)();
      rows.push(
        await compare({
          bench: 'doors',
          unit: 'calls/s',
          rounds: ROUNDS,
          better: 'higher',
          run: run(ours, SECONDS),
          runPeer: run(theirs, SECONDS),
          ...named,
        }),
      );
    }
    return rows;
  } finally {
    for (const child of processes) await child.stop();
    await rm(folder, { recursive: true });
  }
}
