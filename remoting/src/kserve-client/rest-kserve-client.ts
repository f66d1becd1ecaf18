import { Agent as HttpAgent, request as requestHttp, type RequestOptions } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';

import { AxleError, ErrorCode, type ErrorCodeName, type Tensor } from '@axle/core/internal';

import type { ClientTls } from '../client/credentials.js';
import { jsonOf } from '../doors/http/json-tensors.js';
import type { Endpoint } from '../endpoint.js';
import type {
  KserveClient,
  KserveModel,
  KserveRequest,
  KserveStatistics,
  PreparedRequest,
  TensorForms,
} from './kserve-client.js';
import { modelOf, statisticsOf } from './messages.js';

/** Of an answer that is read: a description, statistics, an error. */
const readBytesMax = 16 * 1024 * 1024;
/** Of a server's message that is shown. */
const messageCharactersMax = 300;

/** What was asked, and what came back. */
interface Reply {
  readonly status: number;
  readonly code: string | undefined;
  readonly bytes: number;
  /** Of an answer that is read. */
  readonly body: string;
}

/** KServe v2 over REST, with one connection for each request that is outstanding. */
export class RestKserveClient implements KserveClient {
  private readonly agent: HttpAgent;
  private readonly options: RequestOptions;
  private readonly request: typeof requestHttp;

  /** @param token '' for none */
  constructor(
    endpoint: Endpoint,
    { ca, cert, key }: ClientTls,
    token: string,
    private readonly forms: TensorForms,
  ) {
    const isTls = endpoint.kind === 'tls';
    this.request = isTls ? requestHttps : requestHttp;
    this.agent = isTls
      ? new HttpsAgent({ keepAlive: true, ca, cert, key })
      : new HttpAgent({ keepAlive: true });
    const place =
      endpoint.kind === 'unix'
        ? { socketPath: endpoint.path }
        : { host: endpoint.host, port: endpoint.port };
    const headers = token === '' ? {} : { authorization: `Bearer ${token}` };
    this.options = { ...place, agent: this.agent, headers };
  }

  async model(name: string, version: string): Promise<KserveModel> {
    const path = pathOf(name, version);
    return modelOf(name, await this.get(path), await this.get(`${path}/config`));
  }

  prepare({ model, version, inputs }: KserveRequest): PreparedRequest {
    const isBinary = this.forms.input === 'binary';
    const tensors = Object.entries(inputs);
    const parameters = `{"binary_data_output":${this.forms.output === 'binary'}}`;
    const written = tensors.map(([name, tensor]) => inputOf(name, tensor, isBinary));
    const json = Buffer.from(`{"parameters":${parameters},"inputs":[${written.join(',')}]}`);
    const raw = isBinary ? tensors.map(([, { bytes }]) => bytes) : [];
    const body = Buffer.concat([json, ...raw]);
    const headers = isBinary
      ? {
          'content-type': 'application/octet-stream',
          'inference-header-content-length': json.byteLength,
        }
      : { 'content-type': 'application/json' };
    const path = `${pathOf(model, version)}/infer`;
    return async () => {
      const reply = await this.send('POST', path, false, body, headers);
      if (reply.status !== 200) throw refusal(reply);
      return reply.bytes;
    };
  }

  async statistics(name: string, version: string): Promise<KserveStatistics | undefined> {
    try {
      return statisticsOf(await this.get(`${pathOf(name, version)}/stats`));
    } catch (error) {
      // The path is an extension, which other servers do not know.
      if (error instanceof AxleError && error.code === 'NOT_FOUND') return undefined;
      throw error;
    }
  }

  close(): void {
    this.agent.destroy();
  }

  private async get(path: string): Promise<unknown> {
    const reply = await this.send('GET', path, true);
    if (reply.status !== 200) throw refusal(reply);
    try {
      return JSON.parse(reply.body) as unknown;
    } catch (error) {
      throw new AxleError('INTERNAL', 'the server answers no JSON; check its address', {
        cause: error,
      });
    }
  }

  /** @param isRead whether the body is of interest where all went well */
  private send(
    method: string,
    path: string,
    isRead: boolean,
    body: Uint8Array = Buffer.alloc(0),
    headers: Readonly<Record<string, string | number>> = {},
  ): Promise<Reply> {
    const { options } = this;
    return new Promise((resolve, reject) => {
      const fail = (error: Error) => {
        // Of an address that has several, the reasons are in a list.
        const { message, code = '' } = error as NodeJS.ErrnoException;
        reject(
          new AxleError('UNAVAILABLE', `the server does not answer: ${message || code}`, {
            cause: error,
          }),
        );
      };
      const sent = this.request({
        ...options,
        method,
        path,
        headers: { ...options.headers, ...headers, 'content-length': body.byteLength },
      });
      sent.on('error', fail);
      sent.on('response', (response) => {
        const { statusCode: status = 0 } = response;
        const pieces: Buffer[] = [];
        let bytes = 0;
        response.on('data', (piece: Buffer) => {
          bytes += piece.byteLength;
          if ((isRead || status !== 200) && bytes <= readBytesMax) pieces.push(piece);
        });
        response.on('error', fail);
        response.on('end', () => {
          const code = response.headers['axle-code'];
          const text = Buffer.concat(pieces).toString('utf8');
          resolve({
            status,
            code: code === undefined ? undefined : String(code),
            bytes,
            body: text,
          });
        });
      });
      sent.end(body);
    });
  }
}

function pathOf(name: string, version: string): string {
  const model = `/v2/models/${encodeURIComponent(name)}`;
  return version === '' ? model : `${model}/versions/${encodeURIComponent(version)}`;
}

function inputOf(name: string, tensor: Tensor, isBinary: boolean): string {
  const { dtype, shape, bytes } = tensor;
  if (!isBinary && (dtype === 'FP16' || dtype === 'BF16')) {
    throw new AxleError(
      'INVALID_ARGUMENT',
      `input ${name} is ${dtype}, which JSON has no numbers for; send it as binary data`,
    );
  }
  const data = isBinary
    ? `"parameters":{"binary_data_size":${bytes.byteLength}}`
    : `"data":${jsonOf(name, tensor)}`;
  return `{"name":${JSON.stringify(name)},"datatype":"${dtype}","shape":[${shape.join(',')}],${data}}`;
}

/** Of servers that do not say the code. */
const codes: Readonly<Record<number, ErrorCodeName>> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  413: 'RESOURCE_EXHAUSTED',
  429: 'RESOURCE_EXHAUSTED',
  499: 'CANCELLED',
  501: 'UNIMPLEMENTED',
  503: 'UNAVAILABLE',
  504: 'DEADLINE_EXCEEDED',
};

function refusal({ status, code, body }: Reply): AxleError {
  const known = code !== undefined && Object.hasOwn(ErrorCode, code) ? code : codes[status];
  const said = messageIn(body).slice(0, messageCharactersMax);
  return AxleError.expected(
    (known as ErrorCodeName | undefined) ?? 'UNKNOWN',
    said === '' ? `the server answers ${status}` : said,
  );
}

function messageIn(body: string): string {
  try {
    const { error } = JSON.parse(body) as { readonly error?: unknown };
    return typeof error === 'string' ? error : '';
  } catch {
    // Whoever it is says nothing in the form of KServe.
    return '';
  }
}
