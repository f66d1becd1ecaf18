import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import {
  Client,
  credentials,
  Metadata as Headers,
  status,
  type CallOptions,
  type ChannelCredentials,
  type ServiceError,
} from '@grpc/grpc-js';
import protobuf from 'protobufjs';

import {
  rawOf,
  Refusal,
  valuesOf,
  type Answer,
  type Door,
  type Metadata,
  type Request,
} from './request.js';

const protoFolder = fileURLToPath(new URL('../../../proto', import.meta.url));
/** Read anew from the files: the server's own reading of them is what is tested. */
const root = new protobuf.Root();
for (const file of [
  'kserve/model_config',
  'kserve/inference',
  'grpc/health',
  'grpc/reflection_v1',
  'grpc/reflection_v1alpha',
  'axle/v1/axle',
]) {
  protobuf.parse(readFileSync(`${protoFolder}/${file}.proto`, 'utf8'), root, { keepCase: true });
}
root.resolveAll();

export type Fields = Readonly<Record<string, unknown>>;

export interface MethodCodec {
  readonly path: string;
  readonly write: (message: object) => Buffer;
  readonly read: (bytes: Buffer) => Fields;
}

export function methodOf(service: string, method: string): MethodCodec {
  const described = root.lookupService(service).methods[method]?.resolve() as protobuf.Method;
  const question = described.resolvedRequestType as protobuf.Type;
  const reply = described.resolvedResponseType as protobuf.Type;
  return {
    path: `/${service}/${method}`,
    write: (message) => question.encode(question.fromObject(message)).finish() as Buffer,
    read: (bytes) =>
      reply.toObject(reply.decode(bytes), { longs: Number, enums: String, defaults: true }),
  };
}

const inference = 'inference.GRPCInferenceService';

/** A client of gRPC. */
export class GrpcClient {
  readonly client: Client;

  /** @param endpoint as the server prints it */
  constructor(
    endpoint: string,
    private readonly token?: string,
    channel: ChannelCredentials = credentials.createInsecure(),
  ) {
    const target = endpoint.replace(/^grpcs?:\/\//, '').replace(/^grpc\+/, '');
    this.client = new Client(target, channel, { 'grpc.max_receive_message_length': -1 });
  }

  private headersWith(more: Readonly<Record<string, string>>): Headers {
    const headers = new Headers();
    for (const [name, value] of Object.entries(more)) headers.set(name, value);
    if (this.token !== undefined) headers.set('authorization', `Bearer ${this.token}`);
    return headers;
  }

  /** @returns the answer, and what cancels the call */
  begin(
    service: string,
    method: string,
    message: object | Buffer,
    options: CallOptions = {},
    headers: Readonly<Record<string, string>> = {},
  ): { readonly answer: Promise<Fields>; readonly cancel: () => void } {
    const { path, write, read } = methodOf(service, method);
    let cancel = () => undefined as void;
    const answer = new Promise<Fields>((resolve, reject) => {
      const call = this.client.makeUnaryRequest(
        path,
        (each: object | Buffer) => (Buffer.isBuffer(each) ? each : write(each)),
        read,
        message,
        this.headersWith(headers),
        options,
        (error: ServiceError | null, reply) => {
          if (error === null) resolve(reply as Fields);
          else reject(new Refusal(status[error.code], error.details));
        },
      );
      cancel = () => {
        call.cancel();
      };
    });
    return { answer, cancel };
  }

  call(
    service: string,
    method: string,
    message: object | Buffer,
    options?: CallOptions,
    headers?: Readonly<Record<string, string>>,
  ) {
    return this.begin(service, method, message, options, headers).answer;
  }

  inference(
    method: string,
    message: object | Buffer = {},
    options?: CallOptions,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Fields> {
    return this.call(inference, method, message, options, headers);
  }

  /** Sends all, and gives all that came back. */
  async stream(
    service: string,
    method: string,
    messages: readonly object[],
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Fields[]> {
    const { path, write, read } = methodOf(service, method);
    const call = this.client.makeBidiStreamRequest(path, write, read, this.headersWith(headers));
    for (const message of messages) call.write(message);
    call.end();
    const replies: Fields[] = [];
    for await (const reply of call) replies.push(reply as Fields);
    return replies;
  }

  close(): void {
    this.client.close();
  }
}

const contentsOf: Readonly<Record<string, string>> = {
  BOOL: 'bool_contents',
  INT8: 'int_contents',
  INT16: 'int_contents',
  INT32: 'int_contents',
  INT64: 'int64_contents',
  UINT8: 'uint_contents',
  UINT16: 'uint_contents',
  UINT32: 'uint_contents',
  UINT64: 'uint64_contents',
  FP32: 'fp32_contents',
  FP64: 'fp64_contents',
  BYTES: 'bytes_contents',
};

/** ModelInferRequest. */
export function messageOf(request: Request, form: 'raw' | 'typed'): object {
  const { model, version = '', id = '', parameters = {}, inputs, outputs = [] } = request;
  return {
    model_name: model,
    model_version: version,
    id,
    parameters: parametersOf(parameters),
    inputs: inputs.map(({ name, datatype, shape, values }) => ({
      name,
      datatype,
      shape,
      ...(form === 'typed' && {
        contents: { [contentsOf[datatype] ?? 'fp32_contents']: values.map(protobufValue) },
      }),
    })),
    outputs: outputs.map(({ name, parameters: asked = {} }) => ({
      name,
      parameters: parametersOf(asked),
    })),
    raw_input_contents: form === 'raw' ? inputs.map(rawOf) : [],
  };
}

function parametersOf(parameters: Readonly<Record<string, boolean | number | string>>): object {
  return Object.fromEntries(
    Object.entries(parameters).map(([name, value]) => {
      const kind = { boolean: 'bool_param', number: 'int64_param', string: 'string_param' }[
        typeof value as 'boolean' | 'number' | 'string'
      ];
      return [name, { [kind]: value }];
    }),
  );
}

function protobufValue(value: unknown): unknown {
  if (typeof value === 'bigint') {
    const low = Number(BigInt.asIntN(32, value));
    return { low, high: Number(BigInt.asIntN(32, value >> 32n)), unsigned: value > 0n };
  }
  return typeof value === 'string' ? Buffer.from(value) : value;
}

export function answerOf(reply: Fields): Answer {
  const outputs = reply['outputs'] as { name: string; datatype: string; shape: number[] }[];
  const raw = reply['raw_output_contents'] as Buffer[];
  return {
    model: String(reply['model_name']),
    version: String(reply['model_version']),
    id: String(reply['id']),
    outputs: outputs.map(({ name, datatype, shape }, index) => ({
      name,
      datatype,
      shape,
      values: valuesOf(datatype, raw[index] as Buffer),
    })),
  };
}

/** Asks by gRPC. */
export class GrpcDoor implements Door {
  readonly grpc: GrpcClient;

  constructor(
    endpoint: string,
    private readonly form: 'raw' | 'typed',
  ) {
    this.grpc = new GrpcClient(endpoint);
  }

  async infer(request: Request): Promise<Answer> {
    return answerOf(await this.grpc.inference('ModelInfer', messageOf(request, this.form)));
  }

  async modelMetadata(name: string, version = ''): Promise<Metadata> {
    return (await this.grpc.inference('ModelMetadata', { name, version })) as unknown as Metadata;
  }

  async modelReady(name: string, version = ''): Promise<boolean> {
    return (await this.grpc.inference('ModelReady', { name, version }))['ready'] === true;
  }

  close(): void {
    this.grpc.close();
  }
}
