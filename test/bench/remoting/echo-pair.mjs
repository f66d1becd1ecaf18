import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { LineProcess } from './line-process.mjs';
import { grpcStream } from './native-programs.mjs';
import { cpuMsOf, pin } from './processes.mjs';

/**
 * @typedef {object} PairFigures
 * @property {number} callsPerSecond
 * @property {number} p50Us
 * @property {number} p99Us
 * @property {number} copiedBytes for each call, on both sides, between shared and other memory
 * @property {number} serverCpuUs of CPU, for each call
 * @property {number} clientCpuUs
 */

const axleCommand = pathOf('../../../cli/bin/axle.js');
const echoPlugin = pathOf('../../../plugins/echo/build/libaxle_echo.so');

/** An echo server and its client, each a process; the server is missing where the client echoes by itself. */
export class EchoPair {
  /** @readonly */
  #server;
  /** @readonly */
  #client;
  /** @readonly */
  #counts;

  /**
   * @param {LineProcess | undefined} server
   * @param {LineProcess} client
   * @param {boolean} counts whether the server says what it copied: one of `axleServer` that tells
   */
  constructor(server, client, counts = false) {
    this.#server = server;
    this.#client = client;
    this.#counts = counts;
  }

  /**
   * @param {number} bytes
   * @param {number} inFlight
   * @param {number} seconds
   * @param {'anywhere' | 'one core'} place
   * @returns {Promise<PairFigures>}
   */
  async measure(bytes, inFlight, seconds, place) {
    const server = this.#server?.pid;
    const client = this.#client.pid;
    pin(server === undefined ? [client] : [server, client], place);
    const cpuMs = () => ({
      server: server === undefined ? 0 : cpuMsOf(server),
      client: cpuMsOf(client),
    });
    const copiedBefore = await this.#copiedByServer();
    const before = cpuMs();
    const line = await this.#client.ask(`${bytes} ${inFlight} ${seconds}`);
    const after = cpuMs();
    const figures = /** @type {import('./echo-load.mjs').EchoFigures} */ (JSON.parse(line));
    const { calls, p50Us, p99Us } = figures;
    const copiedBytes = figures.copiedBytes + (await this.#copiedByServer()) - copiedBefore;
    return {
      copiedBytes: copiedBytes / calls,
      callsPerSecond: calls / figures.seconds,
      p50Us,
      p99Us,
      serverCpuUs: ((after.server - before.server) * 1000) / calls,
      clientCpuUs: ((after.client - before.client) * 1000) / calls,
    };
  }

  async #copiedByServer() {
    return this.#counts ? Number(await this.#server?.ask('')) : 0;
  }

  async stop() {
    await this.#client.stop();
    await this.#server?.stop();
  }
}

/**
 * `axle serve` with the echo plugin, without the hop to a device host.
 *
 * @param {string} socket
 * @param {readonly string[]} options
 */
export async function axleServer(socket, options = []) {
  const where = ['--in-process', '--listen', `unix:${socket}`];
  const args = ['serve', ...where, '--plugin', `echo=${echoPlugin}`];
  const counting = ['--import', pathOf('./copied-bytes.mjs')];
  return started(process.execPath, [...counting, axleCommand, ...args, ...options]);
}

/**
 * @param {string} socket
 * @param {readonly string[]} options
 */
export async function axleClient(socket, options = []) {
  const url = `axle+unix:${socket}`;
  return started(process.execPath, [pathOf('./axle-client.mjs'), url, ...options]);
}

/** A pair for each peer that is here, by name. @param {string} folder for their sockets */
export function pairStarters(folder) {
  const socket = (/** @type {string} */ name) => join(folder, `${name}.sock`);
  const script = async (/** @type {string} */ file, /** @type {string} */ argument) =>
    started(process.execPath, [pathOf(file), argument]);
  const stream = grpcStream();
  return {
    axle: async () => {
      const server = await axleServer(socket('axle'));
      return new EchoPair(server, await axleClient(socket('axle')));
    },
    net: async () => {
      const server = await script('./net-server.mjs', socket('net'));
      return new EchoPair(server, await script('./net-client.mjs', socket('net')));
    },
    'grpc-js': async () => {
      const server = await script('./grpc-js-server.mjs', socket('grpc-js'));
      return new EchoPair(server, await script('./grpc-js-client.mjs', socket('grpc-js')));
    },
    'grpc-c++':
      stream &&
      (async () => {
        const server = await started(stream, ['server', socket('grpc')]);
        return new EchoPair(server, await started(stream, ['client', socket('grpc')]));
      }),
    'in process': async () =>
      new EchoPair(undefined, await script('./axle-client.mjs', echoPlugin)),
  };
}

/**
 * @param {string} command
 * @param {readonly string[]} args
 */
export async function started(command, args) {
  const child = new LineProcess(command, args);
  await child.line();
  return child;
}

/** @param {string} relative */
function pathOf(relative) {
  return fileURLToPath(new URL(relative, import.meta.url));
}
