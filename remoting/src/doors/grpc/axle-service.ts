import type { ServerDuplexStream } from '@grpc/grpc-js';
import {
  AxleError,
  LocalClient,
  prefetchChain,
  type CallOptions,
  type CodecName,
  type Session,
  type Tensor,
} from '@axle/core/internal';

import { ClassifyWork } from '../classify-work.js';
import { charged } from '../charged.js';
import type { DoorClient, DoorClients } from '../door-clients.js';
import type { DoorLimits } from '../door-limits.js';
import { tensorOf } from '../kserve/data-types.js';
import { noParameters } from '../kserve/infer-request.js';
import type { KserveServer } from '../kserve/kserve-server.js';
import { findModel } from '../kserve/model-reference.js';
import {
  argsOf,
  placementOf,
  reportMessage,
  tensorMessage,
  tensorMessages,
  versionOf,
  type CallOptionsMessage,
  type ClassifyMessage,
  type CompressMessage,
  type DecompressMessage,
  type InferMessage,
  type PrefetchMessage,
  type RunMessage,
  type TensorMessage,
} from './axle-messages.js';
import { CodecCall } from './codec-call.js';
import { timeLeft, unary, type GrpcService, type UnaryCall } from './grpc-service.js';
import { serviceDefinition } from './service.js';

const defaultModel = 'glyphs';

/** `axle.v1.Axle`: every op. */
export function axleService(
  server: KserveServer,
  clients: DoorClients,
  limits: DoorLimits,
): GrpcService {
  const handlers = {
    Classify: unary<ClassifyMessage, object>((call) => classify(server, call)),
    Infer: unary<InferMessage, object>((call) => infer(server, call)),
    Prefetch: unary<PrefetchMessage, object>((call) => prefetch(server, call)),
    Compress: unary<CompressMessage, object>(async (call) => {
      const { data, codec, level } = call.request;
      const { data: packed, ...report } = await charged(call.caller, data.byteLength, () =>
        clientOf(call.caller).compress(data, { ...callOptions(call), ...codecOf(codec, level) }),
      );
      call.caller.request.ran(report);
      return { data: packed, report: reportMessage(report) };
    }),
    Decompress: unary<DecompressMessage, object>(async (call) => {
      const { data, codec, output_bytes_max: asked } = call.request;
      checkRange('output_bytes_max', asked, Number.MAX_SAFE_INTEGER);
      const outputBytesMax = Math.min(asked === 0 ? Infinity : asked, limits.messageBytesMax);
      const { data: unpacked, ...report } = await charged(call.caller, data.byteLength, () =>
        clientOf(call.caller).decompress(data, {
          ...callOptions(call),
          ...codecOf(codec, 0),
          outputBytesMax,
        }),
      );
      call.caller.request.ran(report);
      return { data: unpacked, report: reportMessage(report) };
    }),
    CompressStream: (call: ServerDuplexStream<CompressMessage, { data: Uint8Array }>) => {
      CodecCall.serve(clients, call, (client, first) =>
        clientOf(client).compressStream({
          ...streamOptions(call, first),
          ...codecOf(first?.codec ?? '', first?.level ?? 0),
        }),
      );
    },
    DecompressStream: (call: ServerDuplexStream<DecompressMessage, { data: Uint8Array }>) => {
      CodecCall.serve(clients, call, (client, first) => {
        const outputBytesMax = first?.output_bytes_max ?? 0;
        checkRange('output_bytes_max', outputBytesMax, Number.MAX_SAFE_INTEGER);
        return clientOf(client).decompressStream({
          ...streamOptions(call, first),
          ...codecOf(first?.codec ?? '', 0),
          ...(outputBytesMax > 0 && { outputBytesMax }),
        });
      });
    },
    Run: unary<RunMessage, object>(run),
    ListModels: unary<object, object>(async ({ caller }) => {
      const models = await server.index(caller, false);
      return {
        models: models.map(({ name, version, state, reason }) => ({
          name,
          version,
          problem: state === 'READY' ? '' : reason || 'not loaded',
        })),
      };
    }),
    ListDevices: unary<object, object>(async ({ caller }) => {
      const { devices } = await clientOf(caller).devices();
      return { devices };
    }),
    ListOps: unary<object, object>(async ({ caller }) => ({ ops: await clientOf(caller).ops() })),
  };
  return { definition: serviceDefinition('axle.v1.Axle'), handlers };
}

async function classify(
  { models }: KserveServer,
  call: UnaryCall<ClassifyMessage>,
): Promise<object> {
  const { caller, request } = call;
  const { image, model, version, top_k: topK } = request;
  const { session } = caller;
  if (image.byteLength > session.limits.imageBytesMax) {
    const message = `the image has ${image.byteLength} bytes; ${session.limits.imageBytesMax} are the most`;
    throw new AxleError('RESOURCE_EXHAUSTED', message, { retryable: false });
  }
  return charged(caller, image.byteLength, async () => {
    const name = model === '' ? defaultModel : model;
    caller.request.calls(name, '');
    const { served, release } = await findModel(models, caller, name, versionOf(version));
    try {
      const { topKMax } = session.limits;
      checkRange('top_k', topK, topKMax);
      const work = new ClassifyWork(image, served.model, topK || 1, topKMax);
      const { labels, report } = await session.execute('classify', callOptions(call), work);
      caller.request.ran(report);
      return { labels, report: reportMessage(report) };
    } finally {
      release();
    }
  });
}

async function infer(server: KserveServer, call: UnaryCall<InferMessage>): Promise<object> {
  const { model, version, inputs, options } = call.request;
  const inference = server.infer(
    call.caller,
    {
      modelName: model,
      modelVersion: versionOf(version),
      id: '',
      parameters: noParameters,
      inputs: Object.entries(inputs).map(([name, each]) => ({
        ...each,
        name,
        parameters: noParameters,
      })),
      outputs: [],
      placement: placementOf(options),
    },
    call.deadlineMs,
  );
  call.onCancelled((reason) => {
    inference.cancel(reason);
  });
  const { outputs, report } = await inference.answer;
  return {
    outputs: Object.fromEntries(outputs.map(({ name, tensor }) => [name, tensorMessage(tensor)])),
    report: reportMessage(report),
  };
}

async function prefetch(
  { models }: KserveServer,
  call: UnaryCall<PrefetchMessage>,
): Promise<object> {
  const { caller, request } = call;
  return charged(caller, 0, async () => {
    const version = versionOf(request.version);
    caller.request.calls(request.model, '');
    const { served, release } = await findModel(models, caller, request.model, version);
    try {
      const { model } = served;
      const options = callOptions(call);
      await caller.session.call('prefetch', options, (cancellation) =>
        caller.session.prefetch({ chain: prefetchChain(model), model }, options, cancellation),
      );
      return {};
    } finally {
      release();
    }
  });
}

async function run(call: UnaryCall<RunMessage>): Promise<object> {
  const { caller, request } = call;
  const bytes = Object.values(request.inputs).reduce((sum, { data }) => sum + data.byteLength, 0);
  const { outputs, ...report } = await charged(caller, bytes, () =>
    clientOf(caller).run(request.op, tensorsOf(request.inputs), {
      ...callOptions(call),
      args: argsOf(request),
    }),
  );
  caller.request.ran(report);
  return { outputs: tensorMessages(outputs), report: reportMessage(report) };
}

const clients = new WeakMap<Session, LocalClient>();

/** For ops that name no models: those of a client in this process may be paths. */
function clientOf({ session }: DoorClient): LocalClient {
  const client = clients.get(session) ?? new LocalClient(session, () => Promise.resolve());
  clients.set(session, client);
  return client;
}

function callOptions(
  call: UnaryCall<{ readonly options: CallOptionsMessage | null }>,
): CallOptions {
  const ending = new AbortController();
  call.onCancelled((reason) => {
    ending.abort(reason);
  });
  const { request, deadlineMs } = call;
  return { ...placementOf(request.options), deadlineMs, signal: ending.signal };
}

function streamOptions(
  call: { getDeadline(): Date | number },
  first: { readonly options: CallOptionsMessage | null } | undefined,
): CallOptions {
  return { ...placementOf(first?.options ?? null), deadlineMs: timeLeft(call) };
}

/** By the name that the client knows it by. @throws AxleError INVALID_ARGUMENT */
function checkRange(field: string, value: number, max: number): void {
  if (Number.isInteger(value) && value >= 0 && value <= max) return;
  throw new AxleError(
    'INVALID_ARGUMENT',
    `${field} is ${value}; give a whole number from 1 to ${max}, or 0 for the default`,
  );
}

/** Which there are, core says. */
function codecOf(codec: string, level: number): { codec?: CodecName; level?: number } {
  return {
    ...(codec !== '' && { codec: codec as CodecName }),
    ...(level !== 0 && { level }),
  };
}

function tensorsOf(inputs: Readonly<Record<string, TensorMessage>>): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, { datatype, shape, data }]) => [
      name,
      tensorOf(name, datatype, shape, data),
    ]),
  );
}
