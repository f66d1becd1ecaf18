import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { LineProcess } from '../remoting/line-process.mjs';

const axleCommand = fileURLToPath(new URL('../../../cli/bin/axle.js', import.meta.url));
const run = promisify(execFile);
const lookMs = 20;

/** `axle faas` in a process of its own, with functions that the bench writes. */
export class FrontEnd {
  /**
   * @param {LineProcess} child
   * @param {string} folder
   * @param {string} url
   * @param {string} authorization
   */
  constructor(child, folder, url, authorization) {
    this.child = child;
    this.folder = folder;
    this.url = url;
    this.authorization = authorization;
  }

  /**
   * @param {string} folder
   * @param {readonly string[]} options
   */
  static async start(folder, options) {
    const state = join(folder, 'state');
    const places = ['--gateway', '127.0.0.1:0', '--metrics', 'none', '--state', state];
    const child = new LineProcess(process.execPath, [axleCommand, 'faas', ...places, ...options]);
    const url = (await child.line()).replace('listening on ', '');
    const password = (await readFile(join(state, 'password'), 'utf8')).trim();
    const authorization = `Basic ${Buffer.from(`admin:${password}`).toString('base64')}`;
    return new FrontEnd(child, folder, url, authorization);
  }

  /**
   * Pushes and deploys a function.
   *
   * @param {string} name
   * @param {string} handler the text of its module
   * @param {Record<string, unknown>} [manifest]
   * @param {Record<string, string>} [labels]
   */
  async deploy(name, handler, manifest = {}, labels = {}) {
    const folder = join(this.folder, 'functions', name);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'handler.mjs'), handler);
    const said = { name, handler: 'handler.mjs', ...manifest };
    await writeFile(join(folder, 'axle-function.json'), JSON.stringify(said));
    const password = join(this.folder, 'state/password');
    const access = ['--gateway', this.url, '--password-file', password];
    await run(process.execPath, [axleCommand, 'function', 'push', folder, ...access]);
    await this.ask('POST', '/system/functions', { service: name, image: name, labels });
  }

  /**
   * Ends all instances of a function, and waits until they are gone.
   *
   * @param {string} name
   */
  async toZero(name) {
    await this.ask('POST', `/system/scale-function/${name}`, { serviceName: name, replicas: 0 });
    await this.#until(name, (replicas, ready) => replicas + ready === 0);
  }

  /**
   * Waits until an instance has booted.
   *
   * @param {string} name
   */
  async ready(name) {
    await this.#until(name, (_, ready) => ready > 0);
  }

  /**
   * @param {string} name
   * @param {(replicas: number, ready: number) => boolean} holds
   */
  async #until(name, holds) {
    for (;;) {
      const status = /** @type {{ availableReplicas: number, replicas: number }} */ (
        await this.ask('GET', `/system/function/${name}`)
      );
      if (holds(status.replicas, status.availableReplicas)) return;
      await wait(lookMs);
    }
  }

  /**
   * Milliseconds until the answer is here.
   *
   * @param {string} name
   * @param {string} [body]
   */
  async call(name, body = '') {
    const startedAt = performance.now();
    const response = await fetch(`${this.url}/function/${name}`, { method: 'POST', body });
    const text = await response.text();
    if (!response.ok) throw new Error(`${name} answered ${response.status}: ${text}`);
    return performance.now() - startedAt;
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {unknown} [body]
   * @returns {Promise<unknown>}
   */
  async ask(method, path, body) {
    const { authorization } = this;
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: { authorization },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path} answered ${response.status}: ${text}`);
    return text.startsWith('{') ? JSON.parse(text) : text;
  }

  stop() {
    return this.child.stop();
  }
}
