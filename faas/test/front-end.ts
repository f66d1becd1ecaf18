import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { FrontEnd, ProcessInstanceProvider, type FrontEndOptions } from '@axle/faas';

export const password = 'correct horse battery';
export const basic = `Basic ${Buffer.from(`admin:${password}`).toString('base64')}`;

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export interface Asked {
  readonly body?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A front end on ports of its own, with functions in processes. */
export class TestFrontEnd {
  readonly lines: string[] = [];
  private frontEnd: FrontEnd | undefined;

  private constructor(
    readonly place: string,
    private readonly options: Partial<FrontEndOptions>,
  ) {}

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

  get url(): string {
    return this.frontEnd?.url ?? '';
  }

  /** As anyone. */
  async ask(method: string, path: string, { body, headers = {} }: Asked = {}): Promise<Answer> {
    return ask(`${this.url}${path}`, method, { headers, ...(body === undefined ? {} : { body }) });
  }

  /** As whoever has the password. */
  system(method: string, path: string, value?: unknown): Promise<Answer> {
    const body = value === undefined ? {} : { body: JSON.stringify(value) };
    return this.ask(method, path, { ...body, headers: { authorization: basic } });
  }

  metrics(): Promise<Answer> {
    return ask(`${this.frontEnd?.metricsUrl ?? ''}/metrics`, 'GET', {});
  }

  /** Pushes a function whose handler is the text of a module, or whose files are these. */
  async push(name: string, handler: string, manifest: object = {}): Promise<Answer> {
    const contents = new Map(
      Object.entries({
        'axle-function.json': JSON.stringify({ name, handler: 'handler.mjs', ...manifest }),
        'handler.mjs': handler,
      }),
    );
    const files = [...contents].map(([path, text]) => ({
      path,
      bytes: Buffer.byteLength(text),
      executable: false,
      sha256: createHash('sha256').update(text).digest('hex'),
    }));
    const { text } = await this.system('POST', '/axle/v1/bundles/missing', { files });
    const { missing } = JSON.parse(text) as { missing: string[] };
    for (const { path, sha256 } of files.filter((file) => missing.includes(file.sha256))) {
      await this.ask('PUT', `/axle/v1/bundles/blobs/${sha256}`, {
        body: contents.get(path) as string,
        headers: { authorization: basic },
      });
    }
    return this.system('PUT', `/axle/v1/bundles/tags/${name}:latest`, { files });
  }

  async deploy(
    name: string,
    handler: string,
    fields: object = {},
    manifest: object = {},
  ): Promise<Answer> {
    await this.push(name, handler, manifest);
    return this.system('POST', '/system/functions', {
      service: name,
      image: `${name}:latest`,
      ...fields,
    });
  }

  async stop(): Promise<void> {
    await this.frontEnd?.close(0);
    this.frontEnd = undefined;
  }

  async close(): Promise<void> {
    await this.stop();
    await rm(this.place, { recursive: true, force: true });
  }
}

export function ask(url: string, method: string, { body, headers = {} }: Asked): Promise<Answer> {
  return new Promise((resolve, reject) => {
    // Node sends a body of DELETE without saying so.
    const length = { 'content-length': String(Buffer.byteLength(body ?? '')) };
    const options = { method, headers: { ...length, ...headers }, agent: false as const };
    const request = httpRequest(url, options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () => {
        const { statusCode = 0, headers: got } = response;
        resolve({ status: statusCode, headers: got, text: Buffer.concat(chunks).toString() });
      });
    });
    request.once('error', reject);
    request.end(body);
  });
}
