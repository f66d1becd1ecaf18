import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { limitsWith, LocalClient, Runtime, Session } from '@axle/core/internal';
import { PoolBackend } from '@axle/remoting';
import { connect, type Client } from 'axle';
import { afterAll } from 'vitest';

import { axlePath, folder, serveUnix, type RunningServer } from './serve.js';
import { afterTest } from './tenants-server.js';

const pools: ChildProcess[] = [];

afterAll(() => {
  for (const pool of pools) pool.kill('SIGKILL');
});

export function socketOf(name: string): string {
  return `axle+unix:${join(folder, `${name}.sock`)}`;
}

/** `axle serve` of that name without device hosts, for what is none of theirs: it starts in half of the time. */
export function serveLone(name: string, ...args: readonly string[]): Promise<RunningServer> {
  return serveUnix(`${name}.sock`, '--in-process', ...args);
}

export function poolOf(...names: readonly string[]): string {
  return `axle+pool:?${names.map((name) => `server=${socketOf(name)}`).join('&')}`;
}

export async function open(target: string, reconnect = {}): Promise<Client> {
  const client = await connect(target, { reconnect });
  afterTest(() => client.close());
  return client;
}

/** `axle pool` over servers of those names. */
export async function startPool(
  name: string,
  servers: string,
  ...args: readonly string[]
): Promise<ChildProcess> {
  const where = `unix:${join(folder, `${name}.sock`)}`;
  const pool = spawn(
    process.execPath,
    [axlePath, 'pool', '--servers', servers, '--listen', where, ...args],
    { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, TMPDIR: folder } },
  );
  pools.push(pool);
  pool.stderr.resume();
  await once(createInterface(pool.stdout), 'line');
  return pool;
}

export async function kill({ process: server }: RunningServer): Promise<void> {
  server.kill('SIGKILL');
  await once(server, 'exit');
}

const script = fileURLToPath(new URL('effect-server.mjs', import.meta.url));

export function says(server: ChildProcess, passes: (message: unknown) => boolean): Promise<void> {
  return new Promise((resolve) => {
    const listener = (message: unknown) => {
      if (!passes(message)) return;
      server.off('message', listener);
      resolve();
    };
    server.on('message', listener);
  });
}

export async function effectServer(name: string, file: string): Promise<ChildProcess> {
  const server = fork(script, [`unix:${join(folder, `${name}.sock`)}`, file]);
  pools.push(server);
  await says(server, (message) => message === 'listening');
  return server;
}

export interface OpenedPool {
  readonly client: Client;
  readonly backend: PoolBackend;
}

/** A client whose pool can be looked into. */
export async function openPool(...names: readonly string[]): Promise<OpenedPool> {
  const servers = names.map((name) => new URL(socketOf(name)));
  const backend = await PoolBackend.connect({ servers, connect: {} });
  const limits = limitsWith({});
  const runtime = await Runtime.start({
    plugins: [],
    decodesImages: false,
    backends: [backend],
    models: [],
    catalogue: backend.catalogue,
    limits,
  });
  const client = new LocalClient(new Session(runtime, 'local', 1, limits), () => runtime.close());
  afterTest(() => client.close());
  return { client, backend };
}
