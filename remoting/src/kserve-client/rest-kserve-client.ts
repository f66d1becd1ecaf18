import { AxleError, ErrorCode, type ErrorCodeName, type Tensor } from '@axle/core/internal';

import type { ClientTls } from '../client/credentials.js';
import { jsonOf } from '../doors/http/json-tensors.js';
import type { Endpoint } from '../endpoint.js';
import { HttpClient, messageIn, type HttpReply } from '../http-client/http-client.js';
import type {
  KserveClient,
  KserveModel,
  KserveRequest,
  KserveStatistics,
  PreparedRequest,
  TensorForms,
} from './kserve-client.js';
import { modelOf, statisticsOf } from './messages.js';

/** KServe v2 over REST, with one connection for each request that is outstanding. */
export class RestKserveClient implements KserveClient {
  private readonly http: HttpClient;

  /** @param token '' for none */
  constructor(
    endpoint: Endpoint,
    tls: ClientTls,
    token: string,
    private readonly forms: TensorForms,
  ) {
    this.http = new HttpClient(endpoint, tls, token);
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
      const reply = await this.http.send({ method: 'POST', path, headers, body, isCounted: true });
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
    this.http.close();
  }

  private async get(path: string): Promise<unknown> {
    const reply = await this.http.send({ method: 'GET', path });
    if (reply.status !== 200) throw refusal(reply);
    try {
      return JSON.parse(reply.body) as unknown;
    } catch (error) {
      throw new AxleError('INTERNAL', 'the server answers no JSON; check its address', {
        cause: error,
      });
    }
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

function refusal({ status, code, body }: HttpReply): AxleError {
  const known = code !== undefined && Object.hasOwn(ErrorCode, code) ? code : codes[status];
  const said = messageIn(body);
  return AxleError.expected(
    (known as ErrorCodeName | undefined) ?? 'UNKNOWN',
    said === '' ? `the server answers ${status}` : said,
  );
}
