import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { ROOT } from '../repository.mjs';

const PROGRAM = 'cli/dist/main.js';

/**
 * Runs a command of Axle to its end; what it prints is shown.
 *
 * @param {readonly string[]} args
 * @param {AbortSignal} signal
 */
export async function axle(args, signal) {
  signal.throwIfAborted();
  const child = launch(args, 'inherit');
  const [code] = await once(child, 'close');
  signal.throwIfAborted();
  if (code !== 0) throw new Error(`axle ${args.slice(0, 2).join(' ')} ended with ${code}`);
}

/** Servers that run while the demo does. */
export class Running {
  /** @type {import('node:child_process').ChildProcess[]} */
  children = [];

  /** @param {AbortSignal} signal */
  constructor(signal) {
    this.signal = signal;
  }

  /**
   * Starts one and waits for what it says when it is there.
   *
   * @param {readonly string[]} args
   * @param {RegExp} ready
   * @returns {Promise<RegExpExecArray>}
   */
  async start(args, ready) {
    const { signal } = this;
    signal.throwIfAborted();
    const child = launch(args, 'pipe');
    this.children.push(child);
    const ended = once(child, 'exit', { signal }).then(([code]) => {
      throw new Error(`axle ${args[0]} ended with ${code}`);
    });
    ended.catch(() => undefined);
    let said = '';
    for (;;) {
      const data = once(/** @type {import('node:stream').Readable} */ (child.stdout), 'data');
      const [chunk] = await Promise.race([data, ended]);
      process.stdout.write(String(chunk));
      said += String(chunk);
      const match = ready.exec(said);
      if (match === null) continue;
      child.stdout?.pipe(process.stdout);
      return match;
    }
  }

  /** The last first, each with time to end what it does. */
  async stop() {
    for (const child of this.children.reverse()) {
      if (child.exitCode !== null) continue;
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
  }
}

/**
 * @param {readonly string[]} args
 * @param {'inherit' | 'pipe'} output
 */
function launch(args, output) {
  console.log(`$ npx axle ${args.join(' ')}`);
  return spawn(process.execPath, [PROGRAM, ...args], {
    cwd: ROOT,
    stdio: ['ignore', output, 'inherit'],
    // A Ctrl-C is the demo's: it ends them in their order.
    detached: true,
  });
}
