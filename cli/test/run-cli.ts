import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterEach } from 'vitest';

/** What a user calls. */
export const axlePath = fileURLToPath(new URL('../bin/axle.js', import.meta.url));

export interface RunResult {
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly input?: Uint8Array | string;
  readonly env?: NodeJS.ProcessEnv;
}

/** Starts the built command with the three standard streams as pipes. */
export function startCli(args: readonly string[], options: RunOptions = {}): ChildProcess {
  return spawn(process.execPath, [axlePath, ...args], {
    cwd: options.cwd,
    env: { ...process.env, AXLE_DEBUG: '', ...options.env },
    stdio: 'pipe',
  });
}

export async function runCli(
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const child = startCli(args, options);
  // A command that refuses its arguments reads nothing.
  child.stdin?.on('error', () => undefined).end(options.input ?? '');
  return resultOf(child);
}

/** Waits for the end of a command and gathers what it prints. */
export async function resultOf(child: ChildProcess): Promise<RunResult> {
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() };
}

const folders: string[] = [];

/** A folder that goes when the test ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'axle-cli-'));
  folders.push(folder);
  return folder;
}

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});
