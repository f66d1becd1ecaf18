import { describe, expect, it } from 'vitest';

import type { BackendTask, NamedTensor, TaskOutcome } from '../../src/backend.js';
import { AxleError } from '../../src/errors.js';
import { defaultLimits, type Limits } from '../../src/limits.js';
import { singleOp } from '../../src/op.js';
import type { BatchPolicy } from '../../src/scheduling/batch-policy.js';
import { DeviceQueue, type QueuedTask, type Ticket } from '../../src/scheduling/device-queue.js';
import { Tensor } from '../../src/tensor.js';
import { TestBackend } from '../test-backend.js';
import { policy } from './test-task.js';

function value(number: number): NamedTensor[] {
  return [{ name: '', tensor: Tensor.from('UINT8', Uint8Array.of(number), [1]) }];
}

function numberOf(task: BackendTask): number {
  return task.inputs[0]?.tensor.bytes[0] ?? NaN;
}

function taskOf(number: number, its: BatchPolicy, overrides: Partial<QueuedTask> = {}): QueuedTask {
  return {
    range: singleOp('infer'),
    args: {},
    model: undefined,
    inputs: value(number),
    outputBytesMax: 100,
    deadlineAt: undefined,
    batchKey: 'm',
    modelKey: 'm',
    policy: its,
    items: 1,
    priority: 0,
    tenant: 't',
    weight: 1,
    repeatable: true,
    ...overrides,
  };
}

interface Result {
  readonly outcome: TaskOutcome;
  readonly waitedMs: number;
  readonly sent: boolean;
}

/** Adds a task; the promise settles as the task does. */
function add(queue: DeviceQueue, task: QueuedTask): { ticket: Ticket; done: Promise<Result> } {
  let ticket: Ticket | undefined;
  const done = new Promise<Result>((resolve) => {
    const taskDone = (outcome: TaskOutcome, waitedMs: number, sent: boolean) => {
      resolve({ outcome, waitedMs, sent });
    };
    ticket = queue.add(task, { taskDone }, performance.now());
  });
  return { ticket: ticket as Ticket, done };
}

function queueOver(backend: TestBackend, limits: Limits = defaultLimits): DeviceQueue {
  const [device] = backend.devices;
  if (device === undefined) throw new Error('no device');
  return new DeviceQueue(backend, device, limits, () => performance.now());
}

const wide = policy({ itemsMax: 64 });

describe('a batch that fails', () => {
  it('is halved until the task at fault is alone, and every other one succeeds', async () => {
    const backend = new TestBackend('gpu', [singleOp('infer')], (batch) => {
      if (batch.some((task) => numberOf(task) === 13)) {
        throw new AxleError('INVALID_ARGUMENT', 'poisoned');
      }
      return batch.map((task) => value(numberOf(task) + 1));
    });
    const queue = queueOver(backend);
    const results = await Promise.all(
      Array.from({ length: 32 }, (_, i) => add(queue, taskOf(i, wide)).done),
    );
    results.forEach(({ outcome }, i) => {
      expect(outcome.ok).toBe(i !== 13);
      if (outcome.ok) expect(outcome.outputs[0]?.tensor.bytes[0]).toBe(i + 1);
    });
    // Two for each halving, instead of one for each task.
    expect(backend.batchesSeen.map((batch) => batch.length)).toHaveLength(11);
  });

  it("is run again at once, without the model's delay", async () => {
    const backend = new TestBackend('gpu', [singleOp('infer')], (batch) => {
      if (batch.length > 1) throw new AxleError('INTERNAL', 'poisoned');
      return batch.map(() => value(1));
    });
    const queue = queueOver(backend);
    const delayed = policy({ itemsMax: 64, preferredItems: [2], delayMs: 3_600_000 });
    const results = await Promise.all([1, 2].map((i) => add(queue, taskOf(i, delayed)).done));
    expect(results.map(({ outcome }) => outcome.ok)).toEqual([true, true]);
  });

  it('is not run again where an op may have had an effect', async () => {
    const backend = new TestBackend('gpu', [singleOp('infer')], () => {
      throw new AxleError('INTERNAL', 'broken');
    });
    const queue = queueOver(backend);
    const results = await Promise.all(
      [1, 2, 3].map((i) => add(queue, taskOf(i, wide, { repeatable: false })).done),
    );
    expect(results.every(({ outcome }) => !outcome.ok)).toBe(true);
    expect(backend.batchesSeen).toHaveLength(1);
  });

  it('is not halved when the device is gone', async () => {
    const backend = new TestBackend('gpu', [singleOp('infer')], () => {
      throw new AxleError('UNAVAILABLE', 'lost');
    });
    const queue = queueOver(backend);
    await Promise.all([1, 2, 3, 4].map((i) => add(queue, taskOf(i, wide)).done));
    expect(backend.batchesSeen).toHaveLength(1);
  });

  it('is halved whatever the op is when the backend did not take it', async () => {
    const backend = new TestBackend('gpu', [singleOp('infer')], (batch) =>
      batch.map(() => value(1)),
    );
    const submit = backend.submit.bind(backend);
    backend.submit = (device, batch) => {
      if (batch.some((task) => numberOf(task) === 2)) {
        throw new AxleError('INVALID_ARGUMENT', 'detached');
      }
      submit(device, batch);
    };
    const queue = queueOver(backend);
    const results = await Promise.all(
      [1, 2, 3, 4].map((i) => add(queue, taskOf(i, wide, { repeatable: false })).done),
    );
    expect(results.map(({ outcome }) => outcome.ok)).toEqual([true, false, true, true]);
  });

  it('does not run a task again that was cancelled meanwhile', async () => {
    let fail = () => undefined as unknown;
    const gate = new Promise<void>((_, reject) => {
      fail = () => {
        reject(new AxleError('INTERNAL', 'broken'));
      };
    });
    const backend = new TestBackend('gpu', [singleOp('infer')], async (batch) => {
      if (batch.length === 2) await gate;
      return batch.map(() => value(1));
    });
    // The cancelled task settles with the batch.
    backend.cancel = () => undefined;
    const queue = queueOver(backend);
    const [first, second] = [add(queue, taskOf(1, wide)), add(queue, taskOf(2, wide))];
    await Promise.resolve();
    first.ticket.cancel();
    fail();
    expect((await first.done).outcome.ok).toBe(false);
    expect((await second.done).outcome.ok).toBe(true);
    expect(backend.batchesSeen.map((batch) => batch.length)).toEqual([2, 1]);
  });
});

it('gives the results of a model in the order of its calls where its config says so', async () => {
  const gates = new Map<number, () => void>();
  const backend = new TestBackend(
    'gpu',
    [singleOp('infer')],
    async (batch) => {
      const number = numberOf(batch[0] as BackendTask);
      await new Promise<void>((resolve) => gates.set(number, resolve));
      return batch.map((task) => value(numberOf(task)));
    },
    3,
  );
  const queue = queueOver(backend);
  const ordered = policy({ itemsMax: 1, preserveOrdering: true });
  const order: number[] = [];
  const calls = [1, 2, 3].map((i) =>
    add(queue, taskOf(i, ordered)).done.then(() => {
      order.push(i);
    }),
  );
  await expect.poll(() => gates.size).toBe(3);
  gates.get(3)?.();
  gates.get(2)?.();
  await new Promise(setImmediate);
  expect(order).toEqual([]);
  gates.get(1)?.();
  await Promise.all(calls);
  expect(order).toEqual([1, 2, 3]);
});

it("does not hold one tenant's results back for another's", async () => {
  let finish = () => undefined as unknown;
  const gate = new Promise<void>((resolve) => {
    finish = () => {
      resolve();
    };
  });
  const backend = new TestBackend(
    'gpu',
    [singleOp('infer')],
    async (batch) => {
      if (numberOf(batch[0] as BackendTask) === 1) await gate;
      return batch.map(() => value(0));
    },
    2,
  );
  const queue = queueOver(backend);
  const ordered = policy({ itemsMax: 1, preserveOrdering: true });
  const slow = add(queue, taskOf(1, ordered, { tenant: 'a' })).done;
  await add(queue, taskOf(2, ordered, { tenant: 'b' })).done;
  finish();
  expect((await slow).outcome.ok).toBe(true);
});

it('says which bound a task ran into', async () => {
  const backend = new TestBackend('gpu', [singleOp('infer')], () => new Promise(() => undefined));
  const queue = queueOver(backend);
  const impatient = policy({ itemsMax: 1, queueTimeoutMs: 5, queueMax: 2 });
  void add(queue, taskOf(0, impatient));
  await new Promise(setImmediate);
  const waiting = [add(queue, taskOf(1, impatient)), add(queue, taskOf(2, impatient))];
  const one = taskOf(3, impatient);
  expect(() => queue.add(one, { taskDone: () => undefined }, performance.now())).toThrow(
    /2 tasks wait for this model on gpu:0 already/,
  );
  const late = taskOf(4, wide, { batchKey: 'n', deadlineAt: performance.now() + 1 });
  expect((await add(queue, late).done).outcome).toMatchObject({
    error: {
      code: 'DEADLINE_EXCEEDED',
      retryable: false,
      message:
        'the deadline passed while this waited for gpu:0; give it more time, or send less at once',
    },
  });
  for (const { done } of waiting) {
    expect((await done).outcome).toMatchObject({
      ok: false,
      error: { code: 'UNAVAILABLE', message: expect.stringMatching(/within the 5 ms/) as string },
    });
  }
  queue.close();
});

it('counts every task that waits or runs, not the batches that they are in', async () => {
  const backend = new TestBackend('gpu', [singleOp('infer')], (batch) => batch.map(() => value(1)));
  const queue = queueOver(backend);
  const all = Array.from({ length: 100 }, (_, i) => add(queue, taskOf(i, wide)).done);
  expect(queue.load).toBe(100);
  await Promise.resolve();
  expect(backend.batchesSeen.length).toBeGreaterThan(0);
  expect(queue.load).toBe(100);
  await Promise.all(all);
  expect(queue.load).toBe(0);
});

it('takes a priority for the level that it is, and any other for the default level', async () => {
  const backend = new TestBackend('gpu', [singleOp('infer')], (batch) => batch.map(() => value(1)));
  const queue = queueOver(backend);
  const levels = { count: 3, defaultLevel: 2, bounds: [] };
  const levelled = policy({ itemsMax: 1, levels });
  // The highest priority is level 1.
  const priorities = [98, 0, 99, 50, 100, -100];
  await Promise.all(
    priorities.map((priority, i) => add(queue, taskOf(i, levelled, { priority })).done),
  );
  const order = backend.batchesSeen.map(([task]) => priorities[numberOf(task as BackendTask)]);
  expect(order).toEqual([100, 0, 99, 50, -100, 98]);
});

describe('a backend that makes the batches itself', () => {
  function there(): TestBackend {
    const backend = new TestBackend('far', [singleOp('infer')], (batch) =>
      batch.map((task) => value(numberOf(task) + 1)),
    );
    backend.batches = 'there';
    return backend;
  }

  it('gets each task by itself, before the turn is over', async () => {
    const backend = there();
    const queue = queueOver(backend);
    const added = [1, 2, 3].map((i) => add(queue, taskOf(i, wide)).done);
    expect(backend.batchesSeen.map((batch) => batch.map(numberOf))).toEqual([[1], [2], [3]]);
    expect(queue.load).toBe(3);
    for (const { outcome } of await Promise.all(added)) expect(outcome.ok).toBe(true);
    expect(queue.load).toBe(0);
  });

  it('gets no more than may wait for it at once, and the others later, the first one first', async () => {
    const backend = there();
    const queue = queueOver(backend, { ...defaultLimits, queueDepthMax: 2 });
    const added = [1, 2, 3, 4].map((i) => add(queue, taskOf(i, wide)).done);
    expect(backend.batchesSeen).toHaveLength(2);
    await Promise.all(added);
    expect(backend.batchesSeen.map((batch) => batch.map(numberOf))).toEqual([[1], [2], [3], [4]]);
  });

  it('gets nothing whose deadline has passed', async () => {
    const backend = there();
    const { done } = add(
      queueOver(backend),
      taskOf(1, wide, { deadlineAt: performance.now() - 1 }),
    );
    expect((await done).outcome).toMatchObject({ error: { code: 'DEADLINE_EXCEEDED' } });
    expect(backend.batchesSeen).toEqual([]);
  });

  it('that takes nothing fails the task, but not before its ticket is known', async () => {
    const backend = there();
    backend.submitFailure = new AxleError('UNAVAILABLE', 'lost');
    const queue = queueOver(backend);
    const told: unknown[] = [];
    const done = new Promise<void>((resolve) => {
      const taskDone = (...all: unknown[]) => {
        told.push(all);
        resolve();
      };
      queue.add(taskOf(1, wide), { taskDone }, performance.now());
    });
    expect(told).toEqual([]);
    await done;
    expect(told).toMatchObject([[{ error: { code: 'UNAVAILABLE' } }, 0, false]]);
    expect(queue.load).toBe(0);
  });
});

describe('how long a new task would wait', () => {
  it('depends on whose it is: others go before it only as far as their shares let them', async () => {
    let open = () => undefined as unknown;
    const gates: Promise<void>[] = [Promise.resolve()];
    const backend = new TestBackend('gpu', [singleOp('infer')], async (batch) => {
      await gates[0];
      return batch.map(() => value(1));
    });
    backend.computeMs = 10;
    const queue = queueOver(backend);
    const alone = policy({ itemsMax: 1 });
    const flood = (i: number) => add(queue, taskOf(i, alone, { tenant: 'flood' })).done;
    // What a task takes is known from this one: a part of 10 ms, as an average of late.
    await flood(0);
    gates[0] = new Promise((resolve) => {
      open = () => {
        resolve();
      };
    });
    expect(queue.waitMs).toBe(0);
    const floods = Array.from({ length: 20 }, (_, i) => flood(i));
    const taskMs = queue.waitMs / 20;
    expect(taskMs).toBeGreaterThan(0);
    const waitOf = (tenant: string, weight = 1) => queue.waitMsOf({ tenant, weight }) / taskMs;
    // Anybody's is behind all; of who has nothing there, behind what is on the device.
    expect(waitOf('flood')).toBeCloseTo(20);
    expect(waitOf('quiet')).toBeCloseTo(1);
    const quiet = add(queue, taskOf(1, alone, { tenant: 'quiet' })).done;
    expect(waitOf('quiet')).toBeCloseTo(3);
    expect(waitOf('quiet', 3)).toBeCloseTo(1 + 4 / 3);
    open();
    await Promise.all([...floods, quiet]);
    expect(waitOf('quiet')).toBe(0);
    expect(queue.waitMsOf({ tenant: 'flood', weight: 1 })).toBe(0);
  });
});
