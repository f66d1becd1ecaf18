import { describe, expect, it } from 'vitest';

import type { BackendTask } from '../src/backend.js';
import { Cancellation } from '../src/cancellation.js';
import { AxleError } from '../src/errors.js';
import type { Model } from '../src/models/model.js';
import { singleOp } from '../src/op.js';
import { TestBackend } from './test-backend.js';
import {
  inferChain,
  model,
  value,
  bytesOf,
  appending,
  dispatchOver,
  dispatchAt,
  dispatchWith,
  deferred,
  compress,
} from './dispatch-kit.js';

describe('models of calls', () => {
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
