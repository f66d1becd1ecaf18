import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, lstat, unlink } from 'node:fs/promises';
import {
  connect as connectSocket,
  createServer,
  type AddressInfo,
  type Server as NetServer,
  type Socket,
} from 'node:net';

import { AxleError, Session, messageOf, type Limits, type Runtime } from '@axle/core/internal';

import type { ResourceStore } from '../store/resource-store.js';
import type { ListenSpec } from './listen-spec.js';
import { ServerModels } from './models/server-models.js';
import { WireFront } from './wire-front.js';

const MiB = 1024 * 1024;
const windows = { connection: 16 * MiB, stream: 4 * MiB };
const requestBytesMax = 1024 * MiB;
/** Connections open at once. */
const connectionsMax = 4096;

export interface ServerOptions {
  readonly runtime: Runtime;
  readonly listen: readonly ListenSpec[];
  /** Of each tenant's session. */
  readonly limits: Limits;
  /** Closed by whoever opened it. */
  readonly store: ResourceStore;
}

/** Serves a runtime to clients that speak the wire protocol. */
export class Server {
  private readonly listeners: NetServer[] = [];
  private readonly fronts = new Set<WireFront>();
  private readonly instance = randomBytes(16);

  private readonly models: ServerModels;

  private constructor(private readonly options: ServerOptions) {
    const { runtime, store, limits } = options;
    this.models = new ServerModels(runtime.repository, store, limits);
  }

  /**
   * Listens everywhere that it is to listen, or nowhere.
   *
   * @throws AxleError ALREADY_EXISTS where another server listens; UNAVAILABLE or PERMISSION_DENIED as the system says.
   */
  static async start(options: ServerOptions): Promise<Server> {
    const server = new Server(options);
    try {
      for (const spec of options.listen) await server.listen(spec);
    } catch (error) {
      await server.close(0);
      throw error;
    }
    return server;
  }

  /** As URLs that clients take, in the order of `listen`. */
  get endpoints(): string[] {
    return this.listeners.map((listener) => endpointOf(listener));
  }

  /** Connections that are open. */
  get connections(): number {
    return this.fronts.size;
  }

  /**
   * Takes nothing new, answers what was accepted, and closes; after `graceMs` it closes whatever is not answered.
   */
  async close(graceMs: number): Promise<void> {
    const closed = this.listeners.map(async (listener) => {
      listener.close();
      if (listener.listening) await once(listener, 'close');
    });
    await Promise.all([...this.fronts].map((front) => front.drain(graceMs)));
    await Promise.all(closed);
  }

  private async listen(spec: ListenSpec): Promise<void> {
    const listener = createServer((socket) => {
      this.accept(socket, spec);
    });
    listener.maxConnections = connectionsMax;
    if (spec.kind === 'unix') await removeStale(spec.path);
    try {
      listener.listen(
        spec.kind === 'unix' ? { path: spec.path } : { host: spec.host, port: spec.port },
      );
      await once(listener, 'listening');
      if (spec.kind === 'unix') await chmod(spec.path, spec.mode);
    } catch (error) {
      throw cannotListen(error, spec);
    }
    this.listeners.push(listener);
  }

  private accept(socket: Socket, spec: ListenSpec): void {
    const { runtime, limits } = this.options;
    if (spec.kind === 'tcp') socket.setNoDelay(true);
    const tenant = spec.kind === 'unix' ? spec.tenant : 'local';
    const front: WireFront = new WireFront(socket, {
      runtime,
      windows,
      instance: this.instance,
      requestBytesMax,
      models: this.models,
      authenticate: () => new Session(runtime, tenant, 1, limits),
      onClosed: () => {
        this.fronts.delete(front);
      },
    });
    this.fronts.add(front);
  }
}

function endpointOf(listener: NetServer): string {
  const address = listener.address() as AddressInfo | string;
  if (typeof address === 'string') return `axle+unix:${encodeURI(address)}`;
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return `axle://${host}:${address.port}`;
}

/** A socket that nobody listens on is left from a server that was killed. */
async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new AxleError('ALREADY_EXISTS', `${path} is there and is no socket; give another path`);
  }
  if (await answers(path)) {
    throw new AxleError('ALREADY_EXISTS', `a server listens on ${path} already; give another path`);
  }
  await unlink(path);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectSocket({ path });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => {
      resolve(false);
    });
  });
}

function cannotListen(error: unknown, spec: ListenSpec): AxleError {
  const where = spec.kind === 'unix' ? spec.path : `${spec.host}:${spec.port}`;
  const code = (error as NodeJS.ErrnoException).code;
  return new AxleError(
    code === 'EACCES' ? 'PERMISSION_DENIED' : 'UNAVAILABLE',
    `cannot listen on ${where}: ${messageOf(error)}`,
    { cause: error },
  );
}
