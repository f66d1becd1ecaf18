// Many calls over a server in this process, some with an effect, while the connection is cut again and again: what is held
// must not grow with the number of calls.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { connect as connectSocket, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { limitsWith, LocalClient, Runtime, Session } from '@axle/core/internal';
import { connectBackend } from '@axle/remoting';

import { EffectBackend } from '../e2e/effect-backend.mjs';
import { startServer } from '../e2e/start-server.mjs';

const inFlight = 64;
/** One call in so many has an effect. */
const effectEvery = 10;

/**
 * @typedef {object} Held
 * @property {number} calls so far
 * @property {number} unanswered calls of the client
 * @property {number} journalled things that the client would make again
 * @property {number} handles open on the server
 * @property {number} clients that the server remembers
 * @property {number} answers that it keeps
 * @property {number} descriptors of the process
 */

/**
 * @param {object} options
 * @param {number} options.calls
 * @param {number} options.cutEvery calls after which the connection is cut
 * @param {number} options.lookEvery calls after which what is held is looked at, with nothing in flight
 * @param {(held: Held) => void} options.look
 * @returns {Promise<{ effects: number, connections: number }>} effects that there were, and connections that it took
 */
export async function soak({ calls, cutEvery, lookEvery, look }) {
  const folder = mkdtempSync(join(tmpdir(), 'axle-soak-'));
  const limits = limitsWith({});
  let effects = 0;
  const served = await Runtime.start({
    plugins: [],
    decodesImages: false,
    backends: [new EffectBackend(() => (effects += 1))],
    models: [],
    limits,
  });
  const socket = join(folder, 'server.sock');
  const { server, close } = await startServer(served, `unix:${socket}`);
  const relay = await startRelay(join(folder, 'relay.sock'), socket);
  const backend = await connectBackend(new URL(`axle+unix:${folder}/relay.sock`), {});
  const runtime = await Runtime.start({
    plugins: [],
    decodesImages: false,
    backends: [backend],
    models: [],
    limits,
  });
  const client = new LocalClient(new Session(runtime, 'soak', 1, limits), () => runtime.close());

  /** @param {number} call */
  const run = async (call) => {
    const op = call % effectEvery === 0 ? 'test.axle/append' : 'test.axle/reverse';
    const { outputs } = await client.run(op, { bytes: Uint8Array.of(call, call >> 8) });
    if (outputs['bytes']?.data.length !== 2) throw new Error(`call ${call} has a wrong result`);
    if (call % cutEvery === 0) relay.cut();
  };
  let next = 0;
  for (let until = lookEvery; next < calls; until += lookEvery) {
    const caller = async () => {
      while (next < Math.min(until, calls)) await run(++next);
    };
    await Promise.all(Array.from({ length: inFlight }, caller));
    const { session } = backend;
    const { handles, clients, answers } = server.usage;
    look({
      calls: next,
      unanswered: session.unanswered,
      journalled: session.journalled,
      handles,
      clients,
      answers,
      descriptors: readdirSync('/proc/self/fd').length,
    });
  }
  await client.close();
  await relay.close();
  await close();
  await served.close();
  rmSync(folder, { recursive: true });
  return { effects, connections: relay.connections() };
}

/**
 * @param {string} path
 * @param {string} serverPath
 */
async function startRelay(path, serverPath) {
  let connections = 0;
  /** @type {Set<import('node:net').Socket>} */
  const sockets = new Set();
  const listener = createServer((client) => {
    connections += 1;
    const server = connectSocket(serverPath);
    for (const [one, other] of /** @type {const} */ ([
      [client, server],
      [server, client],
    ])) {
      sockets.add(one);
      one.pipe(other);
      one.on('error', () => undefined);
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  });
  await new Promise((resolve) => listener.listen(path, () => resolve(undefined)));
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    cut,
    connections: () => connections,
    close: () => {
      cut();
      return new Promise((resolve) => listener.close(resolve));
    },
  };
}
