import { describe, expect, it } from 'vitest';

import type { BackendTask, Device, NamedTensor } from '../src/backend.js';
import { Cancellation } from '../src/cancellation.js';
import { Dispatch, type Call, type CallOutcome } from '../src/dispatch.js';
import { AxleError } from '../src/errors.js';
import { defaultLimits, type Limits } from '../src/limits.js';
import type { Model } from '../src/models/model.js';
import { ModelStore } from '../src/models/model-store.js';
import { fusedRange, singleOp } from '../src/op.js';
import { step, type Chain } from '../src/plans/chain.js';
import { CircuitBreaker } from '../src/plans/circuit-breaker.js';
import { CostModel } from '../src/plans/cost-model.js';
import { failureListener } from '../src/plans/device-failures.js';
import { HealthMonitor } from '../src/plans/health-monitor.js';
import { Router } from '../src/plans/router.js';
import { Registry } from '../src/registry.js';
import { DeviceQueue } from '../src/scheduling/device-queue.js';
import { Tensor } from '../src/tensor.js';
import { TestBackend } from './test-backend.js';

const compressChain: Chain = {
  op: 'compress',
  main: 0,
  steps: [step('compress', { usesModel: false, args: {} })],
};
const inferChain: Chain = {
  op: 'infer',
  main: 0,
  steps: [step('infer', { usesModel: true, args: {} })],
};
const classifyChain: Chain = {
  op: 'classify',
  main: 2,
  steps: [
    step('decode', { usesModel: false, args: { a: 1 } }),
    step('preprocess', { usesModel: false, args: { b: 2 } }),
    step('infer', { usesModel: true, args: {} }),
    step('topk', { usesModel: false, args: { c: 3 } }),
  ],
};
const model: Model = {
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

function value(...bytes: number[]): NamedTensor[] {
  return [{ name: '', tensor: Tensor.from('UINT8', Uint8Array.from(bytes), [bytes.length]) }];
}

function bytesOf(values: readonly NamedTensor[]): number[] {
  return [...(values[0]?.tensor.bytes ?? [])];
}

/** Appends a number to the input: which devices a call went through can be read off the result. */
function appending(number: number) {
  return (batch: readonly BackendTask[]) =>
    batch.map((task) => value(...bytesOf(task.inputs), number));
}

function failing(code: ConstructorParameters<typeof AxleError>[0]) {
  return () => {
    throw new AxleError(code, `it is ${code}`);
  };
}

function dispatchOver(...backends: TestBackend[]) {
  return dispatchAt(() => performance.now(), ...backends);
}

function dispatchAt(clock: () => number, ...backends: TestBackend[]) {
  return dispatchWith({ clock }, ...backends);
}

function dispatchWith(
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

function deferred() {
  let resolve = () => undefined as unknown;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve: () => resolve() };
}

const compress = singleOp('compress');

describe('Dispatch', () => {
  it('covers a chain with several devices, and prefers the fewest hops', async () => {
    const host = new TestBackend('host', [singleOp('decode')], appending(1));
    const steps = ['preprocess', 'infer', 'topk'] as const;
    const single = new TestBackend('single', steps.map(singleOp), appending(2));
    const { run: runSingle } = dispatchOver(host, single);
    const alone = await runSingle(classifyChain, value(0));
    expect(bytesOf(alone.outputs)).toEqual([0, 1, 2, 2, 2]);
    expect(alone.report.steps.map(({ step }) => step)).toEqual([
      'decode',
      'preprocess',
      'infer',
      'topk',
    ]);

    const fused = new TestBackend('fused', [fusedRange('classify', 1, 3)], appending(3));
    const { run } = dispatchOver(host, single, fused);
    const { outputs, report } = await run(classifyChain, value(0));
    expect(bytesOf(outputs)).toEqual([0, 1, 3]);
    expect(report).toMatchObject({ device: 'fused:0', fallbacks: [] });
    expect(fused.batchesSeen[0]?.[0]?.args).toEqual({ b: 2, c: 3 });
    expect(fused.batchesSeen[0]?.[0]?.range).toMatchObject({ first: 1, last: 3 });
  });

  it('does not leave a fused range for its parts on a guess, however slow it once was', async () => {
    const parts = (['preprocess', 'infer', 'topk'] as const).map(singleOp);
    const device = new TestBackend('d', [...parts, fusedRange('classify', 1, 3)], appending(1));
    const host = new TestBackend('host', [singleOp('decode')], appending(0));
    const { run } = dispatchOver(host, device);
    for (const computeMs of [1000, 1, 1, 1]) {
      device.computeMs = computeMs;
      const { report } = await run(classifyChain, value(0));
      expect(report.steps.map(({ step }) => step)).toEqual(['decode', 'preprocess..topk']);
    }
  });

  it('tries the next plan when a device fails, and tells the caller', async () => {
    const broken = new TestBackend('broken', [compress], failing('UNAVAILABLE'));
    const sound = new TestBackend('sound', [compress], appending(9));
    const { run } = dispatchOver(broken, sound);
    const { outputs, report } = await run(compressChain, value(1), {
      preference: { device: 'broken', strict: false },
    });
    expect(bytesOf(outputs)).toEqual([1, 9]);
    expect(report.device).toBe('sound:0');
    expect(report.fallbacks).toEqual([
      { devices: ['broken:0'], code: 'UNAVAILABLE', message: 'it is UNAVAILABLE' },
    ]);
  });

  it('does not run a task again elsewhere that may have had an effect', async () => {
    const first = new TestBackend('first', [compress], failing('INTERNAL'), 1, 0, 0);
    const second = new TestBackend('second', [compress], appending(2), 1, 0, 0);
    const { run } = dispatchOver(first, second);
    await expect(run(compressChain, value(0))).rejects.toMatchObject({
      code: 'INTERNAL',
      retryable: false,
      message: expect.stringMatching(/^it is INTERNAL .*neither pure nor idempotent/) as string,
    });
    expect(second.batchesSeen).toHaveLength(0);
    // What no device has begun goes on as ever.
    first.submitFailure = new AxleError('RESOURCE_EXHAUSTED', 'full');
    expect((await run(compressChain, value(0))).report.device).toBe('second:0');
  });

  it('goes to another device where the first would be late, while there is time', async () => {
    let now = 0;
    let gate = Promise.resolve();
    const busy = new TestBackend('busy', [singleOp('infer')], async (batch) => {
      await gate;
      now += 100;
      return appending(1)(batch);
    });
    const idle = new TestBackend('idle', [singleOp('infer')], appending(2));
    const { run } = dispatchAt(() => now, busy, idle);
    const preference = { device: 'busy', strict: false };
    for (let i = 0; i < 3; i++) await run(inferChain, value(0), { preference });

    const held = deferred();
    gate = held.promise;
    const first = run(inferChain, value(0), { preference });
    const inTime = await run(inferChain, value(0), { preference, deadlineAt: now + 0.5 });
    expect(bytesOf(inTime.outputs)).toEqual([0, 2]);
    expect(inTime.report.fallbacks).toMatchObject([
      { devices: ['busy:0'], code: 'DEADLINE_EXCEEDED' },
    ]);

    const strict = { device: 'busy', strict: true };
    const refused = run(inferChain, value(0), { preference: strict, deadlineAt: now + 0.5 });
    await expect(refused).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    held.resolve();
    await first;

    // Past its deadline nobody helps.
    const late = run(inferChain, value(0), { preference, deadlineAt: now });
    await expect(late).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(idle.batchesSeen).toHaveLength(1);
  });

  it('leaves a device alone that fails again and again, and tries it again later', async () => {
    let now = 0;
    let broken = true;
    const shaky = new TestBackend('shaky', [compress], (batch) => {
      if (broken) throw new AxleError('INTERNAL', 'it is broken');
      return batch.map(() => value(1));
    });
    const sound = new TestBackend('sound', [compress], (batch) => batch.map(() => value(2)));
    const { run } = dispatchAt(() => now, shaky, sound);
    const preference = { device: 'shaky', strict: false };
    const deviceOf = async () => (await run(compressChain, value(1), { preference })).report.device;
    for (let i = 0; i < 5; i++) expect(await deviceOf()).toBe('sound:0');
    expect(shaky.batchesSeen).toHaveLength(5);

    // Open: nothing goes there, but for one probe when its time is over, which fails.
    for (let i = 0; i < 5; i++) expect(await deviceOf()).toBe('sound:0');
    expect(shaky.batchesSeen).toHaveLength(5);
    now += 1000;
    for (let i = 0; i < 5; i++) expect(await deviceOf()).toBe('sound:0');
    expect(shaky.batchesSeen).toHaveLength(6);

    // Twice as long after that, and closed by the first success.
    broken = false;
    now += 1999;
    expect(await deviceOf()).toBe('sound:0');
    now += 1;
    expect(await deviceOf()).toBe('shaky:0');
    expect(await deviceOf()).toBe('shaky:0');
  });

  it('uses a failing device all the same where there is no other', async () => {
    const broken = new TestBackend('broken', [compress], failing('INTERNAL'));
    const { run } = dispatchAt(() => 0, broken);
    for (let i = 0; i < 8; i++) {
      await expect(run(compressChain, value(1))).rejects.toMatchObject({ code: 'INTERNAL' });
    }
    expect(broken.batchesSeen).toHaveLength(8);
  });

  it('leaves a device alone that says it is lost, until it says otherwise', async () => {
    let now = 0;
    const quick = new TestBackend('quick', [compress], appending(1));
    const other = new TestBackend('other', [compress], appending(2));
    quick.itsHealth = { state: 'LOST', message: 'fell off the bus' };
    const { run } = dispatchAt(() => now, quick, other);
    const deviceOf = async () => {
      const { report } = await run(compressChain, value(0), {
        preference: { device: 'quick', strict: false },
      });
      return report.device;
    };
    expect(await deviceOf()).toBe('quick:0');
    // The first choice asked.
    expect(await deviceOf()).toBe('other:0');
    quick.itsHealth = { state: 'OK', message: '' };
    now += 5000;
    expect(await deviceOf()).toBe('other:0');
    expect(await deviceOf()).toBe('quick:0');
  });

  it("does not hold a model's own queue timeout against the device", async () => {
    let calls = 0;
    const slow = new TestBackend('slow', [singleOp('infer')], async (batch) => {
      calls += 1;
      await new Promise((resolve) => setTimeout(resolve, 40));
      // No success that would speak for the device either.
      if (calls === 1) throw new AxleError('INVALID_ARGUMENT', 'odd');
      return batch.map(() => value(1));
    });
    const other = new TestBackend('other', [singleOp('infer')], appending(2));
    const { run } = dispatchOver(slow, other);
    const queuePolicy = { maxQueueSize: 0, timeoutMs: 5, timeoutAction: 'reject' } as const;
    const impatient: Model = {
      ...model,
      maxBatchSize: 1,
      dynamicBatching: {
        preferredBatchSizes: [],
        maxQueueDelayMs: 0,
        preserveOrdering: false,
        queuePolicy,
        priorityLevels: undefined,
      },
    };
    const call = (strict: boolean) =>
      run(inferChain, value(0), { model: impatient, preference: { device: 'slow', strict } });
    const outcomes = await Promise.allSettled(Array.from({ length: 10 }, () => call(true)));
    expect(outcomes.filter(({ status }) => status === 'rejected').length).toBeGreaterThan(5);
    expect((await call(false)).report.device).toBe('slow:0');
  });

  it('does not hold bad input against the device', async () => {
    const strict = new TestBackend('strict', [compress], failing('INVALID_ARGUMENT'));
    const other = new TestBackend('other', [compress], (batch) => batch.map(() => value(2)));
    const { run } = dispatchAt(() => 0, strict, other);
    const preference = { device: 'strict', strict: false };
    for (let i = 0; i < 8; i++) {
      const call = run(compressChain, value(1), { preference });
      await expect(call).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    }
    expect(strict.batchesSeen).toHaveLength(8);
  });

  it('does not fall back when told to be strict, nor from input that is wrong in itself', async () => {
    const sound = new TestBackend('sound', [compress], appending(9));
    for (const [code, strict] of [
      ['UNAVAILABLE', true],
      ['INVALID_ARGUMENT', false],
    ] as const) {
      const broken = new TestBackend('broken', [compress], failing(code));
      const { run } = dispatchOver(broken, sound);
      const preference = { device: 'broken', strict };
      await expect(run(compressChain, value(1), { preference })).rejects.toMatchObject({ code });
    }
    expect(sound.batchesSeen).toHaveLength(0);
  });

  it('falls back among the devices that a strict preference allows, and to no other', async () => {
    const broken = new TestBackend('broken', [compress], failing('UNAVAILABLE'));
    const alike = new TestBackend('alike', [compress], appending(9));
    const other = new TestBackend('other', [compress], appending(5));
    (broken.devices[0] as { kind: string }).kind = 'CPU';
    (alike.devices[0] as { kind: string }).kind = 'CPU';
    const { run } = dispatchOver(broken, other, alike);
    const preference = { device: 'cpu', strict: true };
    const { outputs, report } = await run(compressChain, value(1), { preference });
    expect(bytesOf(outputs)).toEqual([1, 9]);
    expect(report.fallbacks).toMatchObject([{ devices: ['broken:0'], code: 'UNAVAILABLE' }]);
    expect(other.batchesSeen).toEqual([]);
  });

  it('takes the device that says it is better, and keeps to it while that is so', async () => {
    const software = new TestBackend('software', [compress], appending(1));
    const hardware = new TestBackend('hardware', [compress], appending(2));
    hardware.support = { score: 100, reason: '' };
    software.computeMs = 0.4;
    hardware.computeMs = 0.1;
    const { run } = dispatchOver(software, hardware);
    for (let i = 0; i < 100; i++) await run(compressChain, value(0));
    expect(software.batchesSeen).toEqual([]);
    // It says so, and is slower: only tried now and then, since that may change.
    hardware.computeMs = 4;
    for (let i = 0; i < 100; i++) await run(compressChain, value(0));
    const before = hardware.batchesSeen.length;
    expect(software.batchesSeen.length).toBeGreaterThan(50);
    for (let i = 0; i < 1000; i++) await run(compressChain, value(0));
    const tried = hardware.batchesSeen.length - before;
    expect(tried).toBeGreaterThan(0);
    expect(tried).toBeLessThan(20);
    hardware.computeMs = 0.1;
    for (let i = 0; i < 3000; i++) await run(compressChain, value(0));
    expect((await run(compressChain, value(0))).report.device).toBe('hardware:0');
  });

  it('does not say to try again where the device that must run an op does not offer it', async () => {
    const other = new TestBackend('other', [singleOp('decompress')], appending(1));
    const { run } = dispatchOver(new TestBackend('sound', [compress], appending(9)), other);
    const preference = { device: 'other:0', strict: true };
    await expect(run(compressChain, value(1), { preference })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      retryable: false,
    });
  });

  it('says why no device runs an op', async () => {
    const picky = new TestBackend('picky', [compress], appending(9));
    picky.support = { score: 0, reason: 'it has no such codec' };
    const { run } = dispatchOver(picky);
    await expect(run(compressChain, value(1))).rejects.toMatchObject({
      code: 'UNIMPLEMENTED',
      message: expect.stringContaining('compress on picky:0: it has no such codec') as string,
    });
  });

  it('runs the rest of a batch again when one of its tasks breaks it', async () => {
    const work = (batch: readonly BackendTask[]) => {
      if (batch.some((task) => bytesOf(task.inputs).includes(66))) {
        throw new AxleError('INVALID_ARGUMENT', 'poisoned');
      }
      return batch.map(() => value(1));
    };
    const backend = new TestBackend('gpu', [singleOp('infer')], work);
    const { run } = dispatchOver(backend);
    const calls = Array.from({ length: 12 }, (_, i) => run(inferChain, value(i === 7 ? 66 : i)));
    const outcomes = await Promise.allSettled(calls);
    expect(outcomes.map(({ status }) => status).indexOf('rejected')).toBe(7);
    expect(outcomes.filter(({ status }) => status === 'rejected')).toHaveLength(1);
    expect(Math.max(...backend.batchesSeen.map((batch) => batch.length))).toBeGreaterThan(1);
    expect(backend.loads).toBe(1);
  });

  it('keeps calls apart whose models have the same bytes and other settings', async () => {
    const backend = new TestBackend('gpu', [singleOp('infer')], (batch) =>
      batch.map(() => value(1)),
    );
    const { run } = dispatchOver(backend);
    const alone: Model = { ...model, dynamicBatching: undefined };
    await run(inferChain, value(0), { model });
    const calls = Array.from({ length: 8 }, (_, i) =>
      run(inferChain, value(i), { model: i % 2 === 0 ? model : alone }),
    );
    await Promise.all(calls);
    expect(backend.batchesSeen.map((batch) => batch.length).sort()).toEqual([1, 1, 1, 1, 1, 4]);
  });

  it('takes a waiting task out when its call is cancelled, and stops a running one', async () => {
    const gate = deferred();
    const backend = new TestBackend('slow', [compress], async (batch) => {
      await gate.promise;
      return batch.map(() => value(1));
    });
    const { run } = dispatchOver(backend);
    const cancellations = Array.from({ length: 4 }, () => new Cancellation(undefined, undefined));
    const calls = cancellations.map((cancellation) =>
      run(compressChain, value(1), { cancellation }),
    );
    await new Promise(setImmediate);
    expect(backend.batchesSeen).toHaveLength(1);
    cancellations[0]?.cancel(new Error('stop the running one'));
    cancellations[3]?.cancel(new Error('stop the waiting one'));
    await expect(calls[0]).rejects.toThrow('stop the running one');
    await expect(calls[3]).rejects.toThrow('stop the waiting one');
    expect(backend.cancelled).toHaveLength(1);
    gate.resolve();
    await Promise.all([calls[1], calls[2]]);
    expect(backend.batchesSeen).toHaveLength(3);
  });

  it("runs a model's warm-ups before its first call, and does not load a model whose warm-up fails", async () => {
    const backend = new TestBackend('gpu', [singleOp('infer')], (batch) => {
      const [task] = batch as [BackendTask];
      if (task.inputs[0]?.name === 'wrong')
        throw new AxleError('INVALID_ARGUMENT', 'no such input');
      return batch.map(() => value(1));
    });
    const { run } = dispatchOver(backend);
    const warm = (input: string) => ({
      ...model,
      source: { ...model.source, contentId: input },
      warmUps: [
        {
          name: 'once',
          batchSize: 4,
          runs: 2,
          inputs: [{ name: input, dtype: 'FP32' as const, shape: [3], data: 'random' as const }],
        },
      ],
    });
    await run(inferChain, value(1), { model: warm('x') });
    expect(backend.batchesSeen).toHaveLength(3);
    const [first] = backend.batchesSeen[0] as [BackendTask];
    expect(first.inputs[0]?.tensor.shape).toEqual([4, 3]);
    expect(Math.max(...(first.inputs[0]?.tensor.data as Float32Array))).toBeGreaterThan(0);
    await expect(run(inferChain, value(1), { model: warm('wrong') })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: "warm-up 'once' failed: no such input",
    });
    expect(backend.unloads).toBe(1);
  });

  it('loads a model once for calls that come together', async () => {
    const backend = new TestBackend('gpu', [singleOp('infer')], appending(1));
    const { run, models } = dispatchOver(backend);
    await Promise.all([1, 2, 3].map((i) => run(inferChain, value(i))));
    expect(backend.loads).toBe(1);
    await models.close();
    expect(backend.unloads).toBe(1);
  });

  it('does not try a model again that is damaged, and says since when', async () => {
    let now = 0;
    const backend = new TestBackend('gpu', [singleOp('infer')], appending(1));
    const { run } = dispatchAt(() => now, backend);
    backend.loadFailure = new AxleError('INVALID_ARGUMENT', 'damaged');
    await expect(run(inferChain, value(1))).rejects.toThrow(/^damaged$/);
    backend.loadFailure = undefined;
    now = 5000;
    for (let i = 0; i < 20; i++) {
      await expect(run(inferChain, value(1))).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringMatching(/^damaged \(model 'm' .* gpu:0 5.0 s ago/) as string,
      });
    }
    expect(backend.loads).toBe(1);
    now = 60_000;
    expect(bytesOf((await run(inferChain, value(1))).outputs)).toEqual([1, 1]);
  });

  it('goes on to the next device while a load is not tried again, and holds it against none', async () => {
    let now = 0;
    const gpu = new TestBackend('gpu', [singleOp('infer'), compress], appending(1));
    const cpu = new TestBackend('cpu', [singleOp('infer')], appending(2));
    const { run } = dispatchAt(() => now, gpu, cpu);
    const preference = { device: 'gpu', strict: false };
    gpu.loadFailure = new AxleError('UNAVAILABLE', 'the bus is reset');
    for (let i = 0; i < 10; i++) {
      const { report } = await run(inferChain, value(1), { preference });
      expect(report).toMatchObject({ device: 'cpu:0', fallbacks: [{ code: 'UNAVAILABLE' }] });
    }
    expect(gpu.loads).toBe(1);
    gpu.loadFailure = undefined;
    now = 250;
    // Ten failures in a row would have opened its circuit.
    expect((await run(inferChain, value(1), { preference })).report.device).toBe('gpu:0');
  });

  it('counts a load that fails once, however many calls waited for it', async () => {
    let now = 0;
    const gpu = new TestBackend('gpu', [singleOp('infer'), compress], appending(1));
    const cpu = new TestBackend('cpu', [singleOp('infer')], appending(2));
    const { run } = dispatchAt(() => now, gpu, cpu);
    const preference = { device: 'gpu', strict: false };
    gpu.loadFailure = new AxleError('UNAVAILABLE', 'the bus is reset');
    await Promise.all(Array.from({ length: 10 }, () => run(inferChain, value(1), { preference })));
    expect(gpu.loads).toBe(1);
    gpu.loadFailure = undefined;
    now = 250;
    expect((await run(inferChain, value(1), { preference })).report.device).toBe('gpu:0');
  });

  it('keeps a model loaded while calls with it wait or run, and no longer', async () => {
    const gate = deferred();
    const backend = new TestBackend('gpu', [singleOp('infer')], async (batch) => {
      await gate.promise;
      return batch.map(() => value(1));
    });
    const { run } = dispatchWith({ limits: { deviceModelsMax: 1 } }, backend);
    const alone = { ...model, maxBatchSize: 1, dynamicBatching: undefined };
    const other = { ...model, source: { ...model.source, name: 'other', contentId: 'other' } };
    const cancellations = [1, 2, 3].map(() => new Cancellation(undefined, undefined));
    const calls = cancellations.map((cancellation) =>
      run(inferChain, value(1), { model: alone, cancellation }),
    );
    await new Promise(setImmediate);
    const refused = run(inferChain, value(1), { model: other });
    await expect(refused).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      retryable: true,
      message: expect.stringMatching(
        /model 'other' on gpu:0: calls use all that is loaded there \(1\)/,
      ) as string,
    });
    // One runs, one waits, one has left the queue.
    cancellations[2]?.cancel(new Error('enough'));
    await expect(calls[2]).rejects.toThrow('enough');
    await expect(run(inferChain, value(1), { model: other })).rejects.toThrow(/no room/);
    gate.resolve();
    await Promise.all(calls.slice(0, 2));
    await run(inferChain, value(1), { model: other });
    expect(backend.loaded).toEqual(['other']);
  });

  it('lets go of the model of a call that ended while it was loaded, or found the queue full', async () => {
    const gate = deferred();
    const backend = new TestBackend('gpu', [singleOp('infer')], async (batch) => {
      await gate.promise;
      return batch.map(() => value(1));
    });
    const limits = { deviceModelsMax: 1, queueDepthMax: 1 };
    const { run } = dispatchWith({ limits }, backend);
    const loadGate = deferred();
    backend.loadGate = loadGate.promise;
    const cancellation = new Cancellation(undefined, undefined);
    const ended = run(inferChain, value(1), { cancellation });
    cancellation.cancel(new Error('enough'));
    await expect(ended).rejects.toThrow('enough');
    loadGate.resolve();
    await new Promise(setImmediate);
    expect(backend.batchesSeen).toHaveLength(0);

    const alone = { ...model, maxBatchSize: 1, dynamicBatching: undefined };
    const calls = [1, 2, 3, 4].map(() => run(inferChain, value(1), { model: alone }));
    const outcomes = Promise.allSettled(calls);
    await new Promise(setImmediate);
    gate.resolve();
    expect((await outcomes).some(({ status }) => status === 'rejected')).toBe(true);
    const other = { ...model, source: { ...model.source, name: 'other', contentId: 'other' } };
    await run(inferChain, value(1), { model: other });
    expect(backend.loaded).toEqual(['other']);
  });

  it('runs no task with a model that was unloaded, whatever comes and goes', async () => {
    const gone: string[] = [];
    const backend: TestBackend = new TestBackend(
      'gpu',
      [singleOp('infer')],
      async (batch) => {
        const names = batch.map((task) => task.model?.source.name ?? '');
        const note = () => {
          gone.push(...names.filter((name) => !backend.loaded.includes(name)));
        };
        note();
        await new Promise(setImmediate);
        note();
        return batch.map(() => value(1));
      },
      2,
    );
    const { run } = dispatchWith({ limits: { deviceModelsMax: 3 } }, backend);
    const models = [0, 1, 2, 3, 4, 5].map((i) => ({
      ...model,
      source: { ...model.source, name: `m${i}`, contentId: `m${i}` },
    }));
    const codes = new Set<unknown>();
    const caller = async (start: number) => {
      for (let i = 0; i < 60; i++) {
        const cancellation = new Cancellation(undefined, undefined);
        const its = models[(start * i + start) % models.length] as Model;
        const call = run(inferChain, value(1), { model: its, cancellation });
        if (i % 7 === 3) cancellation.cancel(new AxleError('CANCELLED', 'enough'));
        await call.catch((error: unknown) => codes.add((error as AxleError).code));
        if (i % 5 === 0) await new Promise(setImmediate);
      }
    };
    await Promise.all([1, 2, 3, 5, 7, 11].map(caller));
    expect(gone).toEqual([]);
    expect(codes).toEqual(new Set(['CANCELLED', 'RESOURCE_EXHAUSTED']));
    expect(backend.unloads).toBeGreaterThan(50);
    expect(backend.loaded.length).toBeLessThanOrEqual(3);
  });
});
