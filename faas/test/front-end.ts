import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { FrontEnd, ProcessInstanceProvider, type FrontEndOptions } from '@axle/faas';

import { ask, GateClient, type Answer } from '../../test/e2e/faas/gate-client.js';

export const password = 'correct horse battery';
export const basic = `Basic ${Buffer.from(`admin:${password}`).toString('base64')}`;

/** A front end on ports of its own, with functions in processes. */
export class TestFrontEnd extends GateClient {
  readonly lines: string[] = [];
  private frontEnd: FrontEnd | undefined;

  private constructor(
    readonly place: string,
    private readonly options: Partial<FrontEndOptions>,
  ) {
    super(() => this.frontEnd?.url ?? '', basic);
  }

  static async start(options: Partial<FrontEndOptions> = {}): Promise<TestFrontEnd> {
    const place = await mkdtemp(join(tmpdir(), 'axle-gate-'));
    const test = new TestFrontEnd(place, options);
    await test.open();
    return test;
  }

  async open(): Promise<void> {
    this.frontEnd = await FrontEnd.start({
      state: join(this.place, 'state'),
      gateway: { host: '127.0.0.1', port: 0 },
      metrics: { host: '127.0.0.1', port: 0 },
      password,
      provider: new ProcessInstanceProvider(),
      version: 'test',
      log: (line) => this.lines.push(line),
      ...this.options,
    });
  }

  metrics(): Promise<Answer> {
    return ask(`${this.frontEnd?.metricsUrl ?? ''}/metrics`, 'GET', {});
  }

  /** @param graceMs for calls at work */
  async stop(graceMs = 0): Promise<void> {
    await this.frontEnd?.close(graceMs);
    this.frontEnd = undefined;
  }

  async close(): Promise<void> {
    await this.stop();
    await rm(this.place, { recursive: true, force: true });
  }
}
