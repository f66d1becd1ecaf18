import {
  Client,
  credentials,
  Metadata,
  type ClientUnaryCall,
  type MethodDefinition,
  type ServiceError,
} from '@grpc/grpc-js';
import { AxleError, errorCodeOf } from '@axle/core/internal';

import type { ClientTls } from '../client/credentials.js';
import { serviceDefinition } from '../doors/grpc/service.js';
import type { Endpoint } from '../endpoint.js';
import type {
  KserveClient,
  KserveModel,
  KserveRequest,
  KserveStatistics,
  PreparedRequest,
} from './kserve-client.js';
import { modelOf, statisticsOf } from './messages.js';

type Method = 'ModelInfer' | 'ModelMetadata' | 'ModelConfig' | 'ModelStatistics';

/** KServe v2 over gRPC, all requests on one connection. */
export class GrpcKserveClient implements KserveClient {
  private readonly client: Client;
  private readonly metadata = new Metadata();
  private readonly calls = new Set<ClientUnaryCall>();
  private readonly methods = serviceDefinition('inference.GRPCInferenceService') as Record<
    Method,
    MethodDefinition<object, object>
  >;

  /** @param token '' for none */
  constructor(endpoint: Endpoint, { ca, cert, key }: ClientTls, token: string) {
    const channel =
      endpoint.kind === 'tls'
        ? credentials.createSsl(ca ?? null, key ?? null, cert ?? null)
        : credentials.createInsecure();
    this.client = new Client(targetOf(endpoint), channel, {
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
    });
    if (token !== '') this.metadata.set('authorization', `Bearer ${token}`);
  }

  async model(name: string, version: string): Promise<KserveModel> {
    const metadata = await this.call('ModelMetadata', { name, version });
    const { config } = (await this.call('ModelConfig', { name, version })) as { config?: unknown };
    return modelOf(name, metadata, config);
  }

  prepare({ model, version, inputs }: KserveRequest): PreparedRequest {
    const tensors = Object.entries(inputs);
    const { path, requestSerialize } = this.methods.ModelInfer;
    const message = requestSerialize({
      model_name: model,
      model_version: version,
      inputs: tensors.map(([name, { dtype, shape }]) => ({ name, datatype: dtype, shape })),
      raw_input_contents: tensors.map(([, { bytes }]) => bytes),
    });
    const asItIs = (bytes: Buffer) => bytes;
    return () =>
      this.send(path, () => message, asItIs, message).then(({ byteLength }) => byteLength);
  }

  async statistics(name: string, version: string): Promise<KserveStatistics | undefined> {
    try {
      return statisticsOf(await this.call('ModelStatistics', { name, version }));
    } catch (error) {
      if (error instanceof AxleError && error.code === 'UNIMPLEMENTED') return undefined;
      throw error;
    }
  }

  close(): void {
    for (const call of this.calls) call.cancel();
    this.client.close();
  }

  private call(method: Method, request: object): Promise<object> {
    const { path, requestSerialize, responseDeserialize } = this.methods[method];
    return this.send(path, requestSerialize, responseDeserialize, request);
  }

  private send<Q, R>(
    path: string,
    write: (request: Q) => Buffer,
    read: (message: Buffer) => R,
    request: Q,
  ): Promise<R> {
    return new Promise((resolve, reject) => {
      const done = (error: ServiceError | null, reply?: R) => {
        this.calls.delete(call);
        if (error !== null) reject(AxleError.expected(errorCodeOf(error.code), error.details));
        else resolve(reply as R);
      };
      const call = this.client.makeUnaryRequest(path, write, read, request, this.metadata, done);
      this.calls.add(call);
    });
  }
}

function targetOf(endpoint: Endpoint): string {
  if (endpoint.kind === 'unix') return `unix:${endpoint.path}`;
  const { host, port } = endpoint;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
