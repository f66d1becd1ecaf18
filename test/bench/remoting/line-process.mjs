import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** A child process that is spoken to by lines: what it answers, it prints. */
export class LineProcess {
  /** @readonly @type {string} */
  #name;
  /** @readonly */
  #child;
  /** @readonly @type {AsyncIterator<string>} */
  #lines;

  /**
   * @param {string} command
   * @param {readonly string[]} args
   */
  constructor(command, args) {
    this.#name = [command, ...args].join(' ');
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface(this.#child.stdout)[Symbol.asyncIterator]();
  }

  get pid() {
    return this.#child.pid ?? 0;
  }

  /** @returns {Promise<string>} */
  async line() {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error(`${this.#name} ended without an answer`);
    return value;
  }

  /** @param {string} line @returns {Promise<string>} */
  ask(line) {
    this.#child.stdin.write(`${line}\n`);
    return this.line();
  }

  /** Asks for its end, and waits for it. */
  async stop() {
    const { exitCode, signalCode } = this.#child;
    if (exitCode !== null || signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await exited;
  }
}
