import { createHash } from 'node:crypto';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export interface Asked {
  readonly body?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A client of a front end. */
export class GateClient {
  constructor(
    private readonly urlOf: () => string,
    private readonly authorization: string,
  ) {}

  get url(): string {
    return this.urlOf();
  }

  /** As anyone. */
  ask(method: string, path: string, asked: Asked = {}): Promise<Answer> {
    return ask(`${this.url}${path}`, method, asked);
  }

  /** As whoever has the password. */
  system(method: string, path: string, value?: unknown): Promise<Answer> {
    const body = value === undefined ? {} : { body: JSON.stringify(value) };
    return this.ask(method, path, { ...body, headers: { authorization: this.authorization } });
  }

  /** Pushes a function whose handler is the text of a module, or whose files are these. */
  async push(
    name: string,
    handler: string | Readonly<Record<string, string>>,
    manifest: object = {},
  ): Promise<Answer> {
    const files = {
      'axle-function.json': JSON.stringify({ name, handler: 'handler.mjs', ...manifest }),
    };
    const own = typeof handler === 'string' ? { ...files, 'handler.mjs': handler } : handler;
    const contents = new Map(Object.entries(own));
    const listed = [...contents].map(([path, text]) => ({
      path,
      bytes: Buffer.byteLength(text),
      executable: path.endsWith('.sh'),
      sha256: createHash('sha256').update(text).digest('hex'),
    }));
    const { text } = await this.system('POST', '/axle/v1/bundles/missing', { files: listed });
    const { missing } = JSON.parse(text) as { missing: string[] };
    for (const { path, sha256 } of listed.filter((file) => missing.includes(file.sha256))) {
      await this.putBlob(sha256, contents.get(path) as string);
    }
    return this.system('PUT', `/axle/v1/bundles/tags/${name}:latest`, { files: listed });
  }

  putBlob(sha256: string, body: string): Promise<Answer> {
    const headers = { authorization: this.authorization };
    return this.ask('PUT', `/axle/v1/bundles/blobs/${sha256}`, { body, headers });
  }

  async deploy(
    name: string,
    handler: string | Readonly<Record<string, string>>,
    fields: object = {},
  ): Promise<Answer> {
    await this.push(name, handler);
    const deployment = { service: name, image: `${name}:latest`, ...fields };
    return this.system('POST', '/system/functions', deployment);
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
