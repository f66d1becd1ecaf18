import { spawn } from 'node:child_process';
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { ROOT } from '../repository.mjs';

export const LOG_FILE = 'build/setup.log';

const LOG_PATH = join(ROOT, LOG_FILE);
const TAIL_LINES = 40;

/** A step that cannot be done; its message is all that the user needs to see. */
export class SetupError extends Error {}

/** Empties the log of the last set-up. */
export function startLog() {
  mkdirSync(dirname(LOG_PATH), { recursive: true });
  writeFileSync(LOG_PATH, '');
}

/** @param {string} line */
export function say(line) {
  console.log(`axle: ${line}`);
}

/**
 * Runs a tool with no standard input, its output in the log, or also on the terminal when verbose.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ verbose?: boolean, cwd?: string, env?: NodeJS.ProcessEnv }} [options]
 * @returns {Promise<{ ok: boolean, output: string }>} whether it exited with 0, and what it said
 */
export async function tryRun(command, args, { verbose = false, cwd = ROOT, env = {} } = {}) {
  appendFileSync(LOG_PATH, `\n$ ${[command, ...args].join(' ')}\n`);
  const start = readFileSync(LOG_PATH).length;
  const log = openSync(LOG_PATH, 'a');
  try {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', verbose ? 'pipe' : log, verbose ? 'pipe' : log],
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (/** @type {Buffer} */ chunk) => {
        process.stdout.write(chunk);
        appendFileSync(log, chunk);
      });
    }
    const problem = await /** @type {Promise<string | undefined>} */ (
      new Promise((resolve) => {
        child.on('error', (error) => resolve(error.message));
        child.on('close', (code, signal) =>
          resolve(code === 0 ? undefined : `ended with ${signal ?? `exit code ${code}`}`),
        );
      })
    );
    if (problem !== undefined) appendFileSync(log, `${command}: ${problem}\n`);
    const output = readFileSync(LOG_PATH).subarray(start).toString();
    return { ok: problem === undefined, output };
  } finally {
    closeSync(log);
  }
}

/**
 * As {@link tryRun}, but a failure ends the set-up with the last lines of the tool's output.
 *
 * @param {string} what the step, for the message: "building core/native"
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ verbose?: boolean, cwd?: string, env?: NodeJS.ProcessEnv }} [options]
 */
export async function run(what, command, args, options = {}) {
  const { ok, output } = await tryRun(command, args, options);
  if (!ok) throw failure(what, output, options.verbose ?? false);
}

/**
 * @param {string} what
 * @param {string} output
 * @param {boolean} verbose
 */
export function failure(what, output, verbose) {
  const tail = verbose ? [] : output.trimEnd().split('\n').slice(-TAIL_LINES);
  return new SetupError(
    [...tail, `${what} failed; everything it said is in ${LOG_FILE}`].join('\n'),
  );
}
