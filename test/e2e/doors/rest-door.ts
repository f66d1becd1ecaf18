import { Agent, request as httpRequest, type IncomingHttpHeaders } from 'node:http';

import {
  rawOf,
  Refusal,
  valuesOf,
  type Answer,
  type Door,
  type Metadata,
  type Request,
} from './request.js';

export interface RestReply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** A client of HTTP on a unix socket or a port. */
export class RestClient {
  readonly agent = new Agent({ keepAlive: true });
  private readonly where: { socketPath: string } | { host: string; port: number };

  /** @param endpoint as the server prints it */
  constructor(
    endpoint: string,
    private readonly token?: string,
  ) {
    const [, socketPath] = /^http\+unix:(.*)$/.exec(endpoint) ?? [];
    const { hostname, port } = new URL(endpoint);
    this.where = socketPath === undefined ? { host: hostname, port: Number(port) } : { socketPath };
  }

  send(
    method: string,
    path: string,
    body: Uint8Array | string = '',
    headers: Readonly<Record<string, string | number>> = {},
  ): Promise<RestReply> {
    const authorization = this.token === undefined ? {} : { authorization: `Bearer ${this.token}` };
    return new Promise((resolve, reject) => {
      const sent = httpRequest(
        {
          ...this.where,
          agent: this.agent,
          method,
          path,
          headers: { 'content-length': Buffer.byteLength(body), ...authorization, ...headers },
        },
        (response) => {
          const pieces: Buffer[] = [];
          response.on('data', (piece: Buffer) => pieces.push(piece));
          response.on('error', reject);
          response.on('end', () => {
            const { statusCode = 0 } = response;
            resolve({ status: statusCode, headers: response.headers, body: Buffer.concat(pieces) });
          });
        },
      );
      sent.on('error', reject);
      sent.end(body);
    });
  }

  /** @throws Refusal where the status is not 200 */
  async json(method: string, path: string, body = ''): Promise<unknown> {
    return JSON.parse(String(checked(await this.send(method, path, body)).body)) as unknown;
  }

  close(): void {
    this.agent.destroy();
  }
}

export function checked(reply: RestReply): RestReply {
  if (reply.status === 200) return reply;
  const { error } = JSON.parse(String(reply.body)) as { error: string };
  throw new Refusal(String(reply.headers['axle-code']), error);
}

/** JSON with whole numbers of 64 bits as they are. */
function jsonOf(values: readonly unknown[]): string {
  const written = values.map((value) =>
    typeof value === 'bigint' ? String(value) : JSON.stringify(value),
  );
  return `[${written.join(',')}]`;
}

/** A body, and how long its JSON is. */
export function bodyOf(
  request: Request,
  form: 'json' | 'binary',
): { body: Buffer; jsonBytes: number } {
  const { id, parameters = {}, inputs, outputs } = request;
  const raws = inputs.map(rawOf);
  const written = inputs.map((input, index) => {
    const { name, datatype, shape, values } = input;
    const data =
      form === 'json'
        ? `"data":${jsonOf(values)}`
        : `"parameters":{"binary_data_size":${raws[index]?.byteLength ?? 0}}`;
    return `{"name":${JSON.stringify(name)},"datatype":"${datatype}","shape":${JSON.stringify(shape)},${data}}`;
  });
  const json = Buffer.from(
    `{${[
      ...(id === undefined ? [] : [`"id":${JSON.stringify(id)}`]),
      `"parameters":${JSON.stringify({ binary_data_output: form === 'binary', ...parameters })}`,
      `"inputs":[${written.join(',')}]`,
      ...(outputs === undefined ? [] : [`"outputs":${JSON.stringify(outputs)}`]),
    ].join(',')}}`,
  );
  const body = form === 'json' ? json : Buffer.concat([json, ...raws]);
  return { body, jsonBytes: json.byteLength };
}

interface JsonOutput {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly data?: readonly (number | boolean | string)[];
  readonly parameters?: { readonly binary_data_size: number };
}

function answerOf({ headers, body }: RestReply): Answer {
  const jsonBytes = Number(headers['inference-header-content-length'] ?? body.byteLength);
  const text = body.toString('utf8', 0, jsonBytes).replace(/(?<=[[,])-?\d{16,}(?=[\],])/g, '"$&"');
  const reply = JSON.parse(text) as {
    model_name: string;
    model_version: string;
    id?: string;
    outputs: JsonOutput[];
  };
  let at = jsonBytes;
  const outputs = reply.outputs.map(({ name, datatype, shape, data, parameters }) => {
    if (data !== undefined) {
      const isLong = datatype === 'INT64' || datatype === 'UINT64';
      const values = isLong ? data.map((value) => BigInt(value)) : data;
      return { name, datatype, shape, values };
    }
    const bytes = parameters?.binary_data_size ?? 0;
    at += bytes;
    return { name, datatype, shape, values: valuesOf(datatype, body.subarray(at - bytes, at)) };
  });
  return { model: reply.model_name, version: reply.model_version, id: reply.id ?? '', outputs };
}

/** Asks by REST. */
export class RestDoor implements Door {
  readonly rest: RestClient;

  constructor(
    endpoint: string,
    private readonly form: 'json' | 'binary',
    /** Spaces before the JSON: what is long is read elsewhere. */
    private readonly padding = 0,
  ) {
    this.rest = new RestClient(endpoint);
  }

  async infer(request: Request): Promise<Answer> {
    const { body: own, jsonBytes } = bodyOf(request, this.form);
    const { form, padding } = this;
    const body = Buffer.concat([Buffer.alloc(padding, ' '), own]);
    const headers =
      form === 'json' ? {} : { 'inference-header-content-length': padding + jsonBytes };
    const path = `${pathOf(request.model, request.version)}/infer`;
    return answerOf(checked(await this.rest.send('POST', path, body, headers)));
  }

  async modelMetadata(name: string, version?: string): Promise<Metadata> {
    return (await this.rest.json('GET', pathOf(name, version))) as Metadata;
  }

  async modelReady(name: string, version?: string): Promise<boolean> {
    return (await this.rest.send('GET', `${pathOf(name, version)}/ready`)).status === 200;
  }

  close(): void {
    this.rest.close();
  }
}

function pathOf(name: string, version?: string): string {
  const model = `/v2/models/${encodeURIComponent(name)}`;
  return version === undefined ? model : `${model}/versions/${encodeURIComponent(version)}`;
}
