import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ArgType, ErrorCode } from '../../src/generated/constants.js';
import type { NativeArg } from '../../src/native-binding.js';
import {
  binding,
  bytesOf,
  call,
  completionOf,
  rejectionOf,
  stage,
  stray,
  TEST_PLUGIN,
  TestOp,
  textOf,
  thrownBy,
  withArgs,
} from './harness.js';

let pluginId = 0;
let queueId = 0;

beforeAll(async () => {
  ({ pluginId } = await binding.pluginOpen(TEST_PLUGIN, {}));
  queueId = binding.queueOpen(pluginId, 0);
});

afterAll(async () => {
  await binding.queueClose(queueId);
  await binding.pluginClose(pluginId);
  expect(stray).toEqual([]);
  expect(binding.counters().tasksOutstanding).toBe(0);
  expect(binding.counters().pluginFaults).toBe(0);
});

function fill(settings: Readonly<Record<string, number>>, outputBytesMax = 1 << 28) {
  const args = Object.entries(settings).map(([k, v]): NativeArg => [k, ArgType.INT, v]);
  return withArgs(args, (argsId) => call(queueId, TestOp.fill, [], { argsId, outputBytesMax }));
}

function isPattern(bytes: Uint8Array): boolean {
  return bytes.every((byte, i) => byte === i % 251);
}

test('thousands of tasks at once: none lost, none twice, each with its own bytes', async () => {
  const count = 20_000;
  const seen = new Set<number>();
  const results = await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const data = new Uint8Array(4 + (i % 7) * 300);
      new DataView(data.buffer).setUint32(0, i);
      const { taskId, status, outputs } = await call(queueId, TestOp.echo, [
        null,
        2,
        [data.length],
        data,
      ]);
      seen.add(taskId);
      expect(status).toBe(0);
      return Buffer.compare(bytesOf(outputs[0]), data) === 0;
    }),
  );
  expect(results.every(Boolean)).toBe(true);
  expect(seen.size).toBe(count);
  expect(stray).toEqual([]);
  expect(binding.counters().tasksOutstanding).toBe(0);
});

test('a submit takes as many tasks as the ABI allows, and tells a batch', async () => {
  const tasks = Array.from({ length: 1024 }, (_, i) =>
    completionOf(
      stage(TestOp.batched, ['x', 2, [1 + (i % 3), 2], new Uint8Array(2 * (1 + (i % 3)))]),
    ),
  );
  expect(thrownBy(() => stage(TestOp.batched, [])).message).toMatch(
    /1024 tasks are staged already/,
  );
  binding.submit(queueId);
  const done = await Promise.all(tasks);
  expect(done.every(({ status, batchSize }) => status === 0 && batchSize === 1024)).toBe(true);
  expect(done[0]?.computeNs).toBe(3);
});

test('what may not be in one submit is refused, and nothing of it runs', () => {
  const x = new Uint8Array(4);
  const pairs: [() => void, () => void, RegExp][] = [
    [() => stage(TestOp.batched, ['x', 2, [1, 4], x]), () => stage(TestOp.echo, []), /one op/],
    [() => stage(TestOp.batched, ['x', 2, [1, 4], x]), () => stage(TestOp.batched, ['x', 2, [2, 2], x]), /must share/],
    [() => stage(TestOp.batched, ['x', 2, [1, 4], x]), () => stage(TestOp.batched, ['y', 2, [1, 4], x]), /must share/],
    [() => stage(TestOp.batched, ['x', 2, [1, 4], x]), () => stage(TestOp.batched, ['x', 6, [1, 4], x]), /must share/],
    [() => stage(TestOp.batched, []), () => stage(TestOp.batched, ['x', 2, [1, 4], x]), /must share/],
    [
      () => stage(TestOp.batched, []),
      () => withArgs([['a', ArgType.INT, 1]], (argsId) => stage(TestOp.batched, [], { argsId })),
      /must share/,
    ],
  ]; // prettier-ignore
  for (const [first, second, message] of pairs) {
    first();
    second();
    const error = thrownBy(() => binding.submit(queueId));
    expect(error.status).toBe(ErrorCode.INVALID_ARGUMENT);
    expect(error.message).toMatch(message);
    expect(thrownBy(() => binding.submit(queueId)).message).toMatch(/no task is staged/);
  }
  stage(TestOp.echo, [], { opVersion: 9 });
  expect(thrownBy(() => binding.submit(queueId)).status).toBe(ErrorCode.UNIMPLEMENTED);
  stage(TestOp.echo, []);
  expect(thrownBy(() => binding.submit(12_345)).status).toBe(ErrorCode.INVALID_ARGUMENT);
  expect(thrownBy(() => binding.submit(queueId)).message).toMatch(/no task is staged/);
});

test('equal arguments are the same arguments', async () => {
  const args = (): NativeArg[] => [
    ['s', ArgType.STRING, 'v'],
    ['i', ArgType.INT, 3],
  ];
  const tasks = [args(), args()].map((each) =>
    withArgs(each, (argsId) => completionOf(stage(TestOp.batched, [], { argsId }))),
  );
  binding.submit(queueId);
  expect((await Promise.all(tasks)).map(({ batchSize }) => batchSize)).toEqual([2, 2]);
});

test('arguments arrive as they were given', async () => {
  const args: NativeArg[] = [
    ['yes', ArgType.BOOL, true],
    ['no', ArgType.BOOL, false],
    ['int', ArgType.INT, -(2 ** 53) + 1],
    ['float', ArgType.FLOAT, 0.1],
    ['text', ArgType.STRING, 'grüße'],
    ['empty', ArgType.STRING, ''],
    ['bytes', ArgType.BYTES, Buffer.from('raw')],
  ];
  const reply = await withArgs(args, (argsId) => call(queueId, TestOp.args, [], { argsId }));
  expect(textOf(reply)).toBe(
    'yes:1:1\nno:1:0\nint:2:-9007199254740991\nfloat:3:0.10000000000000001\n' +
      'text:4:grüße\nempty:4:\nbytes:5:raw\n',
  );
  expect(reply.outputs[0]?.name).toBe('text');
});

test('arguments live until the last task that uses them', async () => {
  const argsId = binding.argsCreate([
    ['delay_ms', ArgType.INT, 30],
    ['x', ArgType.STRING, 'kept'],
  ]);
  const task = call(queueId, TestOp.args, [], { argsId });
  binding.argsFree(argsId);
  expect(thrownBy(() => stage(TestOp.args, [], { argsId })).status).toBe(
    ErrorCode.INVALID_ARGUMENT,
  );
  expect(textOf(await task)).toContain('x:4:kept');
});

test('the cap holds for what is allocated, resized and emitted', async () => {
  expect(await fill({ bytes: 1000 }, 1001)).toMatchObject({ status: 0 });
  expect(await fill({ bytes: 1000 }, 999)).toMatchObject({
    status: ErrorCode.RESOURCE_EXHAUSTED,
    message: 'the output is over its cap',
  });
  expect(await fill({ bytes: 1000, chunks: 10 }, 1000)).toMatchObject({ status: 0 });
  expect((await fill({ bytes: 1000, chunks: 10 }, 999)).status).toBe(ErrorCode.RESOURCE_EXHAUSTED);
  expect((await fill({ bytes: 1000, resize: 1 }, 999)).status).toBe(ErrorCode.RESOURCE_EXHAUSTED);
  expect((await fill({ bytes: 1 }, 0)).status).toBe(ErrorCode.RESOURCE_EXHAUSTED);
});

test('memory that the machine has not is refused, not fatal', async () => {
  const { status } = await fill({ bytes: 2 ** 46 }, 2 ** 50);
  expect(status).toBe(ErrorCode.RESOURCE_EXHAUSTED);
});

test.each([1, 1000, 20_000, 300_000, 2_000_000, 40_000_000])(
  '%i bytes, resized and wasted',
  async (bytes) => {
    for (const settings of [
      {},
      { resize: 1 },
      { waste: 3 * bytes },
      { resize: 1, waste: 5 * bytes },
    ]) {
      const { status, outputs } = await fill({ bytes, ...settings });
      expect(status).toBe(0);
      expect(outputs[0]?.dims).toEqual([bytes]);
      expect(isPattern(bytesOf(outputs[0]))).toBe(true);
    }
  },
);

test('chunks of one output are joined in order', async () => {
  for (const [bytes, chunks] of [
    [10, 3],
    [100_000, 7],
    [3000, 1000],
    [16_384, 16_384],
  ] as const) {
    const { outputs } = await fill({ bytes, chunks });
    expect(outputs).toHaveLength(1);
    expect(outputs[0]?.data).toHaveLength(chunks);
    expect(outputs[0]?.dims).toEqual([bytes]);
    expect(isPattern(bytesOf(outputs[0]))).toBe(true);
  }
});

test('output memory is counted while it is in use, and given back by the garbage collector', async () => {
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  const outputBytesAfterCollecting = async () => {
    for (let i = 0; i < 50 && binding.counters().outputBytes > 0; i++) {
      collectGarbage();
      await sleep(5);
    }
    return binding.counters().outputBytes;
  };
  // What earlier tests had: the collector may take it at any time.
  expect(await outputBytesAfterCollecting()).toBe(0);
  const held = [await fill({ bytes: 1_000_000 }), await fill({ bytes: 500_000 })];
  expect(binding.counters().outputBytes).toBe(1_500_000);
  held.length = 0;
  expect(await outputBytesAfterCollecting()).toBe(0);
});

test('cancel ends a task that sleeps, by the slot and by asking', async () => {
  for (const poll of [0, 1]) {
    const args: NativeArg[] = [
      ['ms', ArgType.INT, 60_000],
      ['poll', ArgType.INT, poll],
    ];
    const taskId = withArgs(args, (argsId) => stage(TestOp.sleep, [], { argsId }));
    binding.submit(queueId);
    const done = completionOf(taskId);
    await sleep(5);
    expect(binding.counters().tasksOutstanding).toBe(1);
    binding.cancel(taskId);
    binding.cancel(taskId);
    expect(await done).toMatchObject({
      taskId,
      status: ErrorCode.CANCELLED,
      message: 'cancelled while asleep',
    });
    binding.cancel(taskId);
  }
});

test('cancel before submit, of ids that are none, and against completion', async () => {
  const args: NativeArg[] = [['ms', ArgType.INT, 60_000]];
  const staged = withArgs(args, (argsId) => stage(TestOp.sleep, [], { argsId }));
  binding.cancel(staged);
  for (const id of [0, -1, 1.5, NaN, Infinity, 2 ** 53, staged + 1]) binding.cancel(id);
  binding.submit(queueId);
  const early = completionOf(staged);
  binding.cancel(staged);
  expect((await early).status).toBe(ErrorCode.CANCELLED);

  // Tasks end at the moment at which they are cancelled.
  const argsId = binding.argsCreate([['ms', ArgType.INT, 1]]);
  for (let round = 0; round < 20; round++) {
    const ids = Array.from({ length: 100 }, () => stage(TestOp.sleep, [], { argsId }));
    binding.submit(queueId);
    const all = ids.map((id) => completionOf(id));
    await sleep(round % 3);
    for (const id of ids) binding.cancel(id);
    for (const { status } of await Promise.all(all))
      expect([0, ErrorCode.CANCELLED]).toContain(status);
  }
  binding.argsFree(argsId);
});

test('closing a queue waits for its tasks', async () => {
  const queue = binding.queueOpen(pluginId, 1);
  let done = false;
  const task = withArgs([['ms', ArgType.INT, 40]], (argsId) =>
    call(queue, TestOp.pause, [], { argsId }),
  );
  void task.then(() => (done = true));
  const closed = binding.queueClose(queue);
  expect((await rejectionOf(binding.queueClose(queue))).status).toBe(ErrorCode.INVALID_ARGUMENT);
  stage(TestOp.echo, []);
  expect(thrownBy(() => binding.submit(queue)).status).toBe(ErrorCode.INVALID_ARGUMENT);
  await closed;
  expect(done).toBe(true);
});

test('a plugin closed with a queue open ends with the queue', async () => {
  const plugin = await binding.pluginOpen(TEST_PLUGIN, { own: 'instance' });
  const queue = binding.queueOpen(plugin.pluginId, 0);
  await binding.pluginClose(plugin.pluginId);
  expect((await call(queue, TestOp.echo)).status).toBe(0);
  await binding.queueClose(queue);
});

test('each completion finds the context of its caller', async () => {
  const storage = new AsyncLocalStorage<number>();
  const seen = await Promise.all(
    Array.from({ length: 50 }, (_, i) =>
      storage.run(i, async () => {
        await call(queueId, TestOp.echo, [null, 2, [1], new Uint8Array(1)]);
        return storage.getStore();
      }),
    ),
  );
  expect(seen).toEqual(Array.from({ length: 50 }, (_, i) => i));
});
