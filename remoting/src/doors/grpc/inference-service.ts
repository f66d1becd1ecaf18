import type { handleBidiStreamingCall, UntypedServiceImplementation } from '@grpc/grpc-js';
import { AxleError } from '@axle/core/internal';

import type { DoorClients } from '../door-clients.js';
import type { DoorLimits } from '../door-limits.js';
import type { InferAnswer, InferRequest } from '../kserve/infer-request.js';
import { overridden, type KserveServer } from '../kserve/kserve-server.js';
import type { SettingValue } from '../kserve/operator-settings.js';
import { regionMessage } from '../kserve/shared-memory/region-message.js';
import { statisticsMessage } from '../kserve/statistics-message.js';
import { open, orProblem, unary, type GrpcService } from './grpc-service.js';
import {
  readInferRequest,
  writeInferResponse,
  writeStreamAnswer,
  type StreamRefusal,
} from './infer-message.js';
import { serviceDefinition } from './service.js';
import { StreamInfer } from './stream-infer.js';

interface NamedVersion {
  readonly name: string;
  readonly version: string;
}

interface ModelLoad {
  readonly model_name: string;
  readonly parameters: Readonly<Record<string, unknown>>;
}

interface RegionRegister {
  readonly name: string;
  readonly key: string;
  readonly offset: number;
  readonly byte_size: number;
}

interface TraceSettings {
  readonly model_name: string;
  readonly settings: Readonly<Record<string, { readonly value: readonly string[] }>>;
}

interface LogSettings {
  readonly settings: Readonly<Record<string, LogSetting>>;
}

interface LogSetting {
  readonly parameter_choice?: 'bool_param' | 'uint32_param' | 'string_param';
  readonly bool_param?: boolean;
  readonly uint32_param?: number;
  readonly string_param?: string;
}

/** `inference.GRPCInferenceService`. */
export function inferenceService(
  server: KserveServer,
  clients: DoorClients,
  limits: DoorLimits,
): GrpcService {
  const read = orProblem(readInferRequest);
  const stream: handleBidiStreamingCall<InferRequest | AxleError, InferAnswer | StreamRefusal> = (
    call,
  ) => {
    new StreamInfer(server, clients, call, limits.streamInFlightMax).start();
  };
  const handlers: UntypedServiceImplementation = {
    ServerLive: open(() => ({ live: true })),
    ServerReady: open(() => ({ ready: server.isReady })),
    ServerMetadata: unary(() => Promise.resolve(server.metadata())),
    ModelReady: unary<NamedVersion, object>(async ({ request, caller }) => ({
      ready: await server.isModelReady(caller, request.name, request.version),
    })),
    ModelMetadata: unary<NamedVersion, object>(({ request, caller }) =>
      server.modelMetadata(caller, request.name, request.version),
    ),
    ModelConfig: unary<NamedVersion, object>(async ({ request, caller }) => ({
      config: await server.modelConfig(caller, request.name, request.version),
    })),
    ModelStatistics: unary<NamedVersion, object>(async ({ request, caller }) => ({
      model_stats: (await server.modelStatistics(caller, request.name, request.version)).map(
        statisticsMessage,
      ),
    })),
    ModelInfer: unary<InferRequest, InferAnswer>((call) => {
      const inference = server.infer(call.caller, call.request, call.deadlineMs);
      call.onCancelled((reason) => {
        inference.cancel(reason);
      });
      return inference.answer;
    }),
    ModelStreamInfer: stream,
    RepositoryIndex: unary<{ ready: boolean }, object>(async ({ request, caller }) => ({
      models: await server.index(caller, request.ready),
    })),
    RepositoryModelLoad: unary<ModelLoad, object>(async ({ request, caller }) => {
      refuseOverrides(request);
      await server.load(caller, request.model_name);
      return {};
    }),
    RepositoryModelUnload: unary<ModelLoad, object>(({ request, caller }) => {
      server.unload(caller, request.model_name);
      return Promise.resolve({});
    }),
    SystemSharedMemoryStatus: unary<{ name: string }, object>(({ request, caller }) => {
      const told = server.regionsOf(caller).status(caller.tenant.name, request.name);
      const regions = told.map((spec) => [spec.name, regionMessage(spec)] as const);
      return Promise.resolve({ regions: Object.fromEntries(regions) });
    }),
    SystemSharedMemoryRegister: unary<RegionRegister, object>(async ({ request, caller }) => {
      const { name, key, offset, byte_size: byteSize } = request;
      const regions = server.regionsOf(caller);
      await regions.register(caller.tenant.name, { name, key, offset, byteSize });
      return {};
    }),
    SystemSharedMemoryUnregister: unary<{ name: string }, object>(({ request, caller }) => {
      server.regionsOf(caller).unregister(caller.tenant.name, request.name);
      return Promise.resolve({});
    }),
    TraceSetting: unary<TraceSettings, object>(async ({ request, caller }) => {
      const { model_name: model, settings } = request;
      const changes = Object.entries(settings).map(([name, { value }]) => [name, value] as const);
      const told = await server.traceSettings(caller, model, new Map(changes));
      return { settings: Object.fromEntries([...told].map(([name, value]) => [name, { value }])) };
    }),
    LogSettings: unary<LogSettings, object>(({ request, caller }) => {
      const changes = Object.entries(request.settings).map(
        ([name, value]) => [name, logSettingOf(value)] as const,
      );
      const told = [...server.logSettings(caller, new Map(changes))];
      const settings = told.map(([name, value]) => [name, logMessageOf(value)] as const);
      return Promise.resolve({ settings: Object.fromEntries(settings) });
    }),
    ...refusing([
      'CudaSharedMemoryStatus',
      'CudaSharedMemoryRegister',
      'CudaSharedMemoryUnregister',
    ]),
  };
  const definition = serviceDefinition('inference.GRPCInferenceService', {
    ModelInfer: { read, write: writeInferResponse },
    ModelStreamInfer: { read, write: writeStreamAnswer },
  });
  return { definition, handlers };
}

function logSettingOf(setting: LogSetting): SettingValue {
  const { parameter_choice: choice } = setting;
  return (choice === undefined ? undefined : setting[choice]) ?? [];
}

function logMessageOf(value: SettingValue): LogSetting {
  if (typeof value === 'boolean') return { bool_param: value };
  return typeof value === 'number' ? { uint32_param: value } : { string_param: String(value) };
}

/** Models come from the operator's folders. @throws AxleError UNIMPLEMENTED */
function refuseOverrides({ parameters }: ModelLoad): void {
  const [name] = Object.keys(parameters);
  if (name !== undefined) throw overridden(name);
}

function refusing(methods: readonly string[]): UntypedServiceImplementation {
  const refuse = unary(() =>
    Promise.reject(
      new AxleError('UNIMPLEMENTED', 'this server shares no CUDA memory; send the tensors'),
    ),
  );
  return Object.fromEntries(methods.map((method) => [method, refuse]));
}
