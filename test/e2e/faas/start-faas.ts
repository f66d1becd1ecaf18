import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';

import { axlePath } from '../serve.js';

export interface RunningFrontEnd {
  readonly process: ChildProcess;
  readonly url: string;
  /** All that it prints until it says what to do next. */
  readonly said: readonly string[];
}

/** `axle faas` with these arguments, as soon as it has said what to do next. @param before of a shell, such as ulimit */
export async function startFaas(
  args: readonly string[],
  {
    environment = {},
    stderr = 'inherit',
    before = '',
  }: { environment?: NodeJS.ProcessEnv; stderr?: 'inherit' | 'pipe'; before?: string } = {},
): Promise<RunningFrontEnd> {
  const command = [process.execPath, axlePath, 'faas', '--gateway', '127.0.0.1:0', ...args];
  const child = spawn('sh', ['-c', `${before} exec "$@"`, 'sh', ...command], {
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
