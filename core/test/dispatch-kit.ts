import type { BackendTask, Device, NamedTensor } from '../src/backend.js';
import { Cancellation } from '../src/cancellation.js';
import { DeviceUses } from '../src/device-uses.js';
import { Dispatch, type Call, type CallOutcome } from '../src/dispatch.js';
import { AxleError } from '../src/errors.js';
import { defaultLimits, type Limits } from '../src/limits.js';
import type { Model } from '../src/models/model.js';
import { ModelStore } from '../src/models/model-store.js';
import { singleOp } from '../src/op.js';
import { step, type Chain } from '../src/plans/chain.js';
import { CircuitBreaker } from '../src/plans/circuit-breaker.js';
import { CostModel } from '../src/plans/cost-model.js';
import { failureListener } from '../src/plans/device-failures.js';
import { HealthMonitor } from '../src/plans/health-monitor.js';
import { Router } from '../src/plans/router.js';
import { Registry } from '../src/registry.js';
import { DeviceQueue } from '../src/scheduling/device-queue.js';
import { Tensor } from '../src/tensor.js';
import type { TestBackend } from './test-backend.js';

export const compressChain: Chain = {
  op: 'compress',
  main: 0,
  steps: [step('compress', { usesModel: false, args: {} })],
};
export const inferChain: Chain = {
  op: 'infer',
  main: 0,
  steps: [step('infer', { usesModel: true, args: {} })],
};
export const classifyChain: Chain = {
  op: 'classify',
  main: 2,
  steps: [
    step('decode', { usesModel: false, args: { a: 1 } }),
    step('preprocess', { usesModel: false, args: { b: 2 } }),
    step('infer', { usesModel: true, args: {} }),
    step('topk', { usesModel: false, args: { c: 3 } }),
  ],
};
export const model: Model = {
  name: 'm',
  version: '1',
  path: '/models/m',
  isElsewhere: false,
  source: { name: 'm', format: 'onnx', contentId: 'abc', files: [] },
  inputs: [],
  outputs: [],
  maxBatchSize: 8,
  dynamicBatching: {
    preferredBatchSizes: [],
    maxQueueDelayMs: 0,
    preserveOrdering: false,
    queuePolicy: { maxQueueSize: 0, timeoutMs: 0, timeoutAction: 'reject' },
    priorityLevels: undefined,
  },
  sloAware: false,
  instanceGroups: [],
  warmUps: [],
  classify: undefined,
  classifyProblem: '',
};

export function value(...bytes: number[]): NamedTensor[] {
  return [{ name: '', tensor: Tensor.from('UINT8', Uint8Array.from(bytes), [bytes.length]) }];
}

export function bytesOf(values: readonly NamedTensor[]): number[] {
  return [...(values[0]?.tensor.bytes ?? [])];
}

/** Appends a number to the input: which devices a call went through can be read off the result. */
export function appending(number: number) {
  return (batch: readonly BackendTask[]) =>
    batch.map((task) => value(...bytesOf(task.inputs), number));
}

export function failing(code: ConstructorParameters<typeof AxleError>[0]) {
  return () => {
    throw new AxleError(code, `it is ${code}`);
  };
}

export function dispatchOver(...backends: TestBackend[]) {
  return dispatchAt(() => performance.now(), ...backends);
}

export function dispatchAt(clock: () => number, ...backends: TestBackend[]) {
  return dispatchWith({ clock }, ...backends);
}

export function dispatchWith(
  { clock = () => 0, limits = {} }: { clock?: () => number; limits?: Partial<Limits> },
  ...backends: TestBackend[]
) {
  const allLimits = { ...defaultLimits, ...limits };
  const registry = new Registry();
  for (const backend of backends) registry.add(backend);
  const queues = new Map<string, DeviceQueue>();
  const queueOf = (device: Device) => {
    const backend = registry.backendOf(device);
    const queue = queues.get(device.id) ?? new DeviceQueue(backend, device, allLimits, clock);
    queues.set(device.id, queue);
    return queue;
  };
  const costs = new CostModel({
    load: (device) => queues.get(device.id)?.load ?? 0,
    hasModel: (device, wanted) => models.has(device, wanted),
  });
  const breaker = new CircuitBreaker(clock);
  const health = new HealthMonitor(registry, clock);
  const deviceFailed = failureListener(breaker, health);
  const models: ModelStore = new ModelStore({
    limits: allLimits,
    clock,
    queueOf,
    onFailure: deviceFailed,
  });
  const dispatch = new Dispatch({
    router: new Router(registry, costs, breaker, health),
    costs,
    breaker,
    deviceFailed,
    models,
    queueOf: ({ device }) => queueOf(device),
    clock,
    uses: new DeviceUses(),
  });
  const run = (chain: Chain, inputs: readonly NamedTensor[], overrides: Partial<Call> = {}) =>
    new Promise<CallOutcome>((resolve, reject) => {
      const call = {
        chain,
        model: chain.steps.some((step) => step.usesModel) ? model : undefined,
        inputs,
        outputBytesMax: 1000,
        preference: { device: undefined, strict: false },
        priority: 0,
        deadlineAt: undefined,
        tenant: 't',
        weight: 1,
        cancellation: new Cancellation(undefined, undefined),
        startedAt: clock(),
        readyAt: clock(),
        ...overrides,
      };
      dispatch.start(call, { succeeded: resolve, failed: reject });
    });
  return { run, models };
}

export function deferred() {
  let resolve = () => undefined as unknown;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve: () => resolve() };
}

export const compress = singleOp('compress');
