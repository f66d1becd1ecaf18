import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';

import { axlePath } from '../serve.js';

export interface RunningFrontEnd {
  readonly process: ChildProcess;
  readonly url: string;
  /** All that it prints until it says what to do next. */
  readonly said: readonly string[];
}

/** `axle faas` with these arguments, as soon as it has said what to do next. */
export async function startFaas(
  args: readonly string[],
  {
    environment = {},
    stderr = 'inherit',
  }: { environment?: NodeJS.ProcessEnv; stderr?: 'inherit' | 'pipe' } = {},
): Promise<RunningFrontEnd> {
  const child = spawn(process.execPath, [axlePath, 'faas', '--gateway', '127.0.0.1:0', ...args], {
    stdio: ['ignore', 'pipe', stderr],
    env: { ...process.env, ...environment },
  });
  const said: string[] = [];
  for await (const line of createInterface(child.stdout as NodeJS.ReadableStream)) {
    said.push(line);
    if (/^next:|functions:/.test(line)) break;
  }
  return { process: child, url: /^listening on ([^\s,]+)/.exec(said[0] ?? '')?.[1] ?? '', said };
}
