import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';

/** How a program ended, and all that it printed. */
export interface Ended {
  readonly code: number | null;
  readonly output: string;
}

/** Runs a program to its end, while this process does other things. */
export async function runProgram(command: readonly string[]): Promise<Ended> {
  const [program = '', ...args] = command;
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const output = await text(child.stdout);
  return { code: await ended, output };
}
