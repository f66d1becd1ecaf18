import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { afterAll } from 'vitest';

export const axlePath = fileURLToPath(new URL('../../cli/bin/axle.js', import.meta.url));

/** For sockets and files of the test file; gone when it has run. */
export const folder = mkdtempSync(join(tmpdir(), 'axle-serve-'));

const servers: ChildProcess[] = [];

afterAll(() => {
  for (const server of servers) server.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

export interface RunningServer {
  readonly process: ChildProcess;
  readonly endpoint: string;
}

/** `axle serve`, as soon as it listens. */
export async function serve(...args: readonly string[]): Promise<RunningServer> {
  const server = spawn(process.execPath, [axlePath, 'serve', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    // What a killed server leaves behind goes with the folder.
    env: { ...process.env, TMPDIR: folder },
  });
  servers.push(server);
  const [line] = (await once(createInterface(server.stdout), 'line')) as [string];
  return { process: server, endpoint: line.replace('listening on ', '') };
}

/** `axle serve` on a socket of that name in `folder`. */
export function serveUnix(name: string, ...args: readonly string[]): Promise<RunningServer> {
  return serve('--listen', `unix:${join(folder, name)}`, ...args);
}

/** Bytes that neither repeat soon nor compress well. */
export function bytesOf(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8)) & 255);
}
