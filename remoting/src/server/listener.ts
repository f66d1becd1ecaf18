import { once } from 'node:events';
import { existsSync, lstatSync, renameSync, type Stats } from 'node:fs';
import { chmod, lstat, unlink } from 'node:fs/promises';
import {
  connect as connectSocket,
  createServer,
  type AddressInfo,
  type Server as NetServer,
  type Socket,
} from 'node:net';
import { dirname, resolve } from 'node:path';
import { createServer as createTlsServer, Server as TlsServer, type TLSSocket } from 'node:tls';
import { isMainThread } from 'node:worker_threads';

import { AxleError, messageOf } from '@axle/core/internal';

import { tlsWords } from '../tls-words.js';
import type { Peer } from '../trust/authenticator.js';
import type { ListenSpec, UnixSpec } from './listen-spec.js';
import { peerCertificateOf, tlsServerOptions, type TlsMaterial } from './tls.js';

/** Who hears of connections. */
export interface ListenerOwner {
  /** Before a TLS handshake, if there is one. */
  onArrival(socket: Socket): void;
  /** A stream on which a client may greet. */
  onStream(stream: Socket, arrived: Socket, peer: Peer): void;
  /** What went wrong with one connection, or with taking more of them. */
  onTrouble(what: string): void;
}

export interface ListenerBounds {
  /** More are dropped as they come. */
  readonly connectionsMax: number;
  /** For a TLS handshake. */
  readonly handshakeMs: number;
  /** What is spoken under TLS (RFC 7301); default the wire protocol. */
  readonly protocols?: readonly string[];
}

/** Connections that wait to be taken, in the operating system. */
const backlog = 1024;

/** One place at which a server listens. */
export class Listener {
  private constructor(
    private readonly server: NetServer,
    private readonly spec: ListenSpec,
    private readonly protocols: readonly string[] | undefined,
    /** The socket that it made; undefined: it listens on TCP. */
    private readonly made: Stats | undefined,
  ) {}

  /**
   * @throws AxleError ALREADY_EXISTS where another server listens; UNAVAILABLE or PERMISSION_DENIED as the system says.
   */
  static async open(
    spec: ListenSpec,
    tls: TlsMaterial | undefined,
    bounds: ListenerBounds,
    owner: ListenerOwner,
  ): Promise<Listener> {
    const server = serverOf(spec, tls, bounds, owner);
    server.maxConnections = bounds.connectionsMax;
    if (spec.kind === 'unix') await removeStale(spec);
    try {
      const listening = once(server, 'listening');
      if (spec.kind === 'unix') bindPrivately(server, spec);
      else server.listen({ host: spec.host, port: spec.port, backlog });
      await listening;
      if (spec.kind === 'unix') await chmod(spec.path, spec.mode);
    } catch (error) {
      server.close();
      throw cannotListen(error, spec);
    }
    // Such as no file descriptors left: those that are connected go on.
    server.on('error', (error) => {
      owner.onTrouble(`cannot take connections at ${listenerName(spec)}: ${messageOf(error)}`);
    });
    const made = spec.kind === 'unix' ? fileAt(spec.path) : undefined;
    return new Listener(server, spec, bounds.protocols, made);
  }

  /** As a URL that clients take. */
  get endpoint(): string {
    const { address } = this;
    if (address.startsWith('/')) return `axle+unix:${encodeURI(address)}`;
    return `${this.isTls ? 'axle+tls' : 'axle'}://${address}`;
  }

  /** The path of its socket, or HOST:PORT. */
  get address(): string {
    const address = this.server.address() as AddressInfo | string;
    if (typeof address === 'string') return resolve(address);
    const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
    return `${host}:${address.port}`;
  }

  get isTls(): boolean {
    return this.server instanceof TlsServer;
  }

  /** For connections from now on. */
  useTls(material: TlsMaterial): void {
    if (!(this.server instanceof TlsServer)) return;
    this.server.setSecureContext(tlsServerOptions(material, this.protocols));
  }

  /** Takes nothing new; resolves when all that it took is closed. */
  async close(): Promise<void> {
    const closed = once(this.server, 'close');
    const { spec, made } = this;
    if (spec.kind === 'unix') closeLeaving(this.server, spec.path, made);
    else this.server.close();
    await closed;
  }

  get name(): string {
    return listenerName(this.spec);
  }
}

function serverOf(
  spec: ListenSpec,
  tls: TlsMaterial | undefined,
  { handshakeMs, protocols }: ListenerBounds,
  owner: ListenerOwner,
): NetServer {
  if (spec.kind === 'unix' || !spec.tls) {
    return createServer((socket) => {
      if (spec.kind === 'tcp') socket.setNoDelay(true);
      owner.onArrival(socket);
      owner.onStream(socket, socket, peerOf(spec, socket));
    });
  }
  if (tls === undefined) throw new AxleError('INTERNAL', 'a TLS listener without a certificate');
  /** By where it comes from: a TLS socket does not say over which connection it runs. */
  const handshaking = new Map<string, Socket>();
  const server = createTlsServer(
    { ...tlsServerOptions(tls, protocols), handshakeTimeout: handshakeMs },
    (socket) => {
      const arrived = handshaking.get(sourceOf(socket));
      if (arrived === undefined) socket.destroy();
      else owner.onStream(socket, arrived, peerOf(spec, socket));
    },
  );
  server.on('connection', (socket: Socket) => {
    const source = sourceOf(socket);
    socket.setNoDelay(true);
    handshaking.set(source, socket);
    socket.once('close', () => handshaking.delete(source));
    owner.onArrival(socket);
  });
  server.on('tlsClientError', (error, socket) => {
    owner.onTrouble(`no TLS with ${sourceOf(socket)}: ${tlsWords(error)}`);
    socket.destroy();
  });
  return server;
}

function peerOf(spec: ListenSpec, socket: Socket | TLSSocket): Peer {
  return {
    address: spec.kind === 'unix' ? spec.path : sourceOf(socket),
    listenerTenant: spec.tenant,
    insecure: spec.kind === 'tcp' && !spec.tls,
    certificate: 'getPeerX509Certificate' in socket ? peerCertificateOf(socket) : undefined,
  };
}

function sourceOf({ remoteAddress = 'somewhere', remotePort = 0 }: Socket): string {
  return `${remoteAddress} port ${remotePort}`;
}

/** For people. */
export function listenerName(spec: ListenSpec): string {
  return spec.kind === 'unix' ? spec.path : `${spec.host}:${spec.port}`;
}

/** Nobody else may connect in the moment before the socket has its mode. */
function bindPrivately(server: NetServer, { path, mode }: UnixSpec): void {
  if (!isMainThread) {
    server.listen({ path, backlog });
    return;
  }
  const before = process.umask(0o777 & ~mode);
  try {
    server.listen({ path, backlog });
  } finally {
    process.umask(before);
  }
}

/** A socket that nobody listens on is left from a server that was killed. */
async function removeStale({ path, source }: UnixSpec): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new AxleError(
      'ALREADY_EXISTS',
      `${path} (${source}) is there and is no socket; give another path`,
    );
  }
  if (await answers(path)) {
    throw new AxleError(
      'ALREADY_EXISTS',
      `a server listens on ${path} (${source}) already; give another path`,
    );
  }
  await unlink(path);
}

function fileAt(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}

/**
 * Stops listening. Node removes whatever has the path then; a socket that another server has put there since steps aside
 * for that moment.
 */
function closeLeaving(server: NetServer, path: string, made: Stats | undefined): void {
  const found = fileAt(path);
  const isOwn = found?.ino === made?.ino && found?.dev === made?.dev;
  if (found === undefined || isOwn) {
    server.close();
    return;
  }
  const aside = `${path}.${process.pid}`;
  const isAside = isRenamed(path, aside);
  server.close();
  if (isAside) renameSync(aside, path);
}

/** @returns false where this process may not: it may not remove it either then */
function isRenamed(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch {
    return false;
  }
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
  const code = (error as NodeJS.ErrnoException).code;
  // Which the system, by way of Node, calls EACCES.
  if (spec.kind === 'unix' && !existsSync(dirname(spec.path))) {
    const folder = dirname(spec.path);
    return new AxleError(
      'NOT_FOUND',
      `cannot listen on ${spec.path} (${spec.source}): there is no folder ${folder}; make it first`,
    );
  }
  return new AxleError(
    code === 'EACCES' ? 'PERMISSION_DENIED' : 'UNAVAILABLE',
    `cannot listen on ${listenerName(spec)} (${spec.source}): ${messageOf(error)}`,
    { cause: error },
  );
}
