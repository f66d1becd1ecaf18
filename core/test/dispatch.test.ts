import { describe, expect, it, vi } from 'vitest';

import type { BackendTask, NamedTensor } from '../src/backend.js';
import { Cancellation } from '../src/cancellation.js';
import { AxleError } from '../src/errors.js';
import type { Model } from '../src/models/model.js';
import { fusedRange, singleOp } from '../src/op.js';
import { tensorElsewhere } from '../src/tensor.js';
import { TestBackend } from './test-backend.js';
import {
  compressChain,
  inferChain,
  classifyChain,
  model,
  value,
  bytesOf,
  appending,
  failing,
  dispatchOver,
  dispatchAt,
  deferred,
  compress,
} from './dispatch-kit.js';

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

  it('lets go of what a device keeps for a call that nobody waits for any more', async () => {
    const released: string[] = [];
    const gate = deferred();
    const placed = (name: string, backend: string): NamedTensor => {
      const release = () => released.push(name);
      return { name, tensor: tensorElsewhere('UINT8', [5], { backend, byteLength: 5, release }) };
    };
    const backend = new TestBackend('a', [compress], async () => {
      await gate.promise;
      return [[placed('late', 'a')]];
    });
    // It is past stopping.
    backend.cancel = () => undefined;
    const { run } = dispatchOver(backend);
    const cancellation = new Cancellation(undefined, undefined);
    const call = run(compressChain, value(1), { cancellation, keeps: true });
    await new Promise(setImmediate);
    expect(backend.batchesSeen).toHaveLength(1);
    cancellation.cancel(new Error('given up'));
    await expect(call).rejects.toThrow('given up');
    expect(released).toEqual([]);
    gate.resolve();
    await vi.waitFor(() => {
      expect(released).toEqual(['late']);
    });
    const elsewhere = run(compressChain, [placed('x', 'b')]);
    await expect(elsewhere).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
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
});
