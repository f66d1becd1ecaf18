import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { limitsWith, Runtime } from '@axle/core/internal';
import { loadServeSettings, ResourceStore, Server } from '@axle/remoting';
import { connect } from 'axle';

import { started } from '../remoting/echo-pair.mjs';
import { SimulatedBackend } from './simulated-backend.mjs';

/** @typedef {Awaited<ReturnType<typeof connect>>} Client */

const script = fileURLToPath(new URL('./simulated-server.mjs', import.meta.url));

/**
 * Serves simulated devices in this process.
 *
 * @param {string} prefix of its sockets
 * @param {number} devices
 * @param {readonly string[]} tenants
 */
export async function startSimulated(prefix, devices, tenants) {
  const limits = limitsWith({});
  const backend = new SimulatedBackend(devices);
  const shared = { plugins: [], decodesImages: false, models: [], limits };
  const runtime = await Runtime.start({ ...shared, backends: [backend] });
  const listen = tenants.map((tenant) => `unix:${prefix}-${tenant}.sock,tenant=${tenant}`);
  const settings = await loadServeSettings({ listen });
  const store = await ResourceStore.open({
    folder: await mkdtemp(join(tmpdir(), 'axle-bench-store-')),
    isTemporary: true,
    bytesMax: 1,
    limitsOf: () => ({ models: 0, modelBytes: 0 }),
  });
  const asked = { runtime, listen: settings.listen, trust: settings.trust, limits, store };
  const server = await Server.start({ ...asked, tls: undefined, log: () => undefined });
  const close = async () => {
    await server.close(0);
    await runtime.close();
    await store.close();
  };
  return { backend, close };
}

/** Servers of simulated devices, each a process with one device, and clients of them in direct mode. */
export class SimulatedServers {
  /** @type {import('../remoting/line-process.mjs').LineProcess[]} */
  #servers = [];
  /** @type {Client[]} */
  #clients = [];
  #folder;
  #tenants;

  /**
   * @param {string} folder
   * @param {readonly string[]} tenants
   */
  constructor(folder, tenants) {
    this.#folder = folder;
    this.#tenants = tenants;
  }

  /**
   * @param {string} folder
   * @param {number} count
   * @param {readonly string[]} [tenants]
   */
  static async start(folder, count, tenants = ['all']) {
    const servers = new SimulatedServers(folder, tenants);
    for (let i = 1; i <= count; i++) {
      const args = [script, servers.#prefixOf(i), '1', ...tenants];
      servers.#servers.push(await started(process.execPath, args));
    }
    return servers;
  }

  /**
   * @param {string} [tenant]
   * @param {number} [count] of the servers, the first ones
   */
  async client(tenant = this.#tenants[0] ?? '', count = this.#servers.length) {
    const urls = Array.from(
      { length: count },
      (_, i) => `server=axle+unix:${this.#prefixOf(i + 1)}-${tenant}.sock`,
    );
    const client = await connect(`axle+pool:?${urls.join('&')}`);
    this.#clients.push(client);
    return client;
  }

  /** @param {number} server from 1 @param {number} slowness */
  async slow(server, slowness) {
    await this.#servers[server - 1]?.ask(`slow ${slowness}`);
  }

  async stop() {
    await Promise.all(this.#clients.map((client) => client.close()));
    for (const server of this.#servers) await server.stop();
  }

  /** @param {number} server */
  #prefixOf(server) {
    return join(this.#folder, `sim${server}`);
  }
}

const input = { bytes: Buffer.from('simulated') };

/**
 * @param {Client} client
 * @param {number} ms of a device
 * @param {{ device?: string, strict?: boolean }} [options]
 */
export function work(client, ms, options = {}) {
  return client.run('sim.axle/work', input, { ...options, args: { ms } });
}
