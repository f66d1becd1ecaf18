import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DATA_TYPE_BYTES, DataType, ErrorCode } from '../../src/generated/constants.js';
import {
  binding,
  bytesOf,
  call,
  completionOf,
  stage,
  TEST_PLUGIN,
  TestOp,
  textOf,
  thrownBy,
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
});

function bytes(count: number): Uint8Array {
  return Uint8Array.from({ length: count }, (_, i) => (i * 31) % 256);
}

function refusal(inputs: readonly unknown[]): string {
  const error = thrownBy(() => stage(TestOp.echo, inputs));
  expect(error.status).toBe(ErrorCode.INVALID_ARGUMENT);
  return error.message;
}

test.each(Object.entries(DataType))('a tensor of %s comes back as it went', async (name, dtype) => {
  const elementBytes = DATA_TYPE_BYTES[name as keyof typeof DataType];
  const data =
    elementBytes === 0 ? Uint8Array.of(1, 0, 0, 0, 9, 0, 0, 0, 0) : bytes(2 * elementBytes);
  const { status, outputs } = await call(queueId, TestOp.echo, ['in', dtype, [1, 2], data]);
  expect(status).toBe(0);
  expect(outputs).toEqual([{ index: 0, name: 'in', dtype, dims: [1, 2], data }]);
});

test.each([0, 1, 63, 64, 1023, 1024, 1025, 16_383, 16_384, 16_385, 100_000, 3_000_000])(
  '%i bytes come back as they went',
  async (size) => {
    const data = bytes(size);
    const { outputs } = await call(queueId, TestOp.echo, [null, DataType.UINT8, [size], data], {
      outputBytesMax: size,
    });
    expect(outputs).toHaveLength(1);
    expect(outputs[0]?.data).toBeInstanceOf(Uint8Array);
    expect(Buffer.compare(bytesOf(outputs[0]), data)).toBe(0);
  },
);

test('scalars, several inputs and none', async () => {
  const none = await call(queueId, TestOp.echo, []);
  expect(none.outputs).toEqual([]);
  const { outputs } = await call(queueId, TestOp.echo, [
    'a', DataType.FP32, [], bytes(4),
    null, DataType.UINT8, [2, 0, 5], bytes(0),
    'ö', DataType.INT16, [3], bytes(6),
  ]); // prettier-ignore
  expect(outputs.map(({ name, dims }) => [name, dims])).toEqual([
    ['a', []],
    ['', [2, 0, 5]],
    ['ö', [3]],
  ]);
  expect(outputs[2]?.data).toEqual(bytes(6));
});

test('a scatter list is gathered in order, whatever its pieces', async () => {
  const whole = bytes(10_000);
  const cuts = [0, 0, 1, 3, 1030, 1030, 5000, 9999, 10_000];
  const pieces = cuts.slice(1).map((end, i) => whole.subarray(cuts[i], end));
  const { outputs } = await call(queueId, TestOp.echo, [null, DataType.FP32, [2500], pieces]);
  expect(Buffer.compare(bytesOf(outputs[0]), whole)).toBe(0);
  const text = textOf(await call(queueId, TestOp.describe, ['s', DataType.FP32, [2500], pieces]));
  expect(text).toContain('s 11 [ 2500 ] 10000 bytes in 8');
  const empty = await call(queueId, TestOp.echo, [null, DataType.UINT8, [0], []]);
  expect(bytesOf(empty.outputs[0])).toHaveLength(0);
});

test('what the task is told is what was staged', async () => {
  const told = await call(queueId, TestOp.describe, ['x', DataType.FP16, [1, 2, 3], bytes(12)], {
    deadlineMs: 1000,
    outputBytesMax: 5000,
  });
  expect(textOf(told)).toBe('deadline 1 cap 5000 chain 0-0\nx 10 [ 1 2 3 ] 12 bytes in 1\n');
});

test('views, Buffers and shared memory are taken', async () => {
  const shared = new Uint8Array(new SharedArrayBuffer(8000), 8, 4000).fill(3);
  const view = new Uint8Array(bytes(5000).buffer, 100, 2000);
  for (const data of [shared, view, Buffer.from(bytes(2000)), Buffer.from('small')]) {
    const { outputs } = await call(queueId, TestOp.echo, [null, 2, [data.length], data]);
    expect(Buffer.compare(bytesOf(outputs[0]), data)).toBe(0);
  }
});

test('memory is kept until the task is done, and small inputs may change at once', async () => {
  const argsId = binding.argsCreate([['delay_ms', 2, 50]]);
  const tasks = Array.from({ length: 50 }, (_, i) => {
    const size = i % 2 === 0 ? 100 : 50_000;
    const data = new Uint8Array(size).fill(i);
    const taskId = stage(TestOp.echo, [null, 2, [size], data], { argsId });
    if (size === 100) data.fill(255);
    return completionOf(taskId);
  });
  binding.submit(queueId);
  binding.argsFree(argsId);
  for (let i = 0; i < 200; i++) new Uint8Array(1 << 20).fill(254);
  for (const [i, { outputs }] of (await Promise.all(tasks)).entries()) {
    expect(bytesOf(outputs[0]).every((byte) => byte === i)).toBe(true);
  }
});

describe('what is wrong is refused, by name, with what was expected', () => {
  test.each<[string, readonly unknown[], RegExp]>([
    ['bytes', ['image', DataType.FP32, [2, 3], bytes(20)], /input 0 \('image'\): FP32 \[2, 3\] is 24 bytes, the data has 20/],
    ['a scalar', [null, DataType.INT64, [], bytes(4)], /input 0: INT64 \[\] is 8 bytes, the data has 4/],
    ['the second input', [null, 2, [1], bytes(1), 'b', 2, [2], bytes(1)], /input 1 \('b'\)/],
    ['dtype 0', [null, 0, [1], bytes(1)], /dtype must be .* not 0/],
    ['dtype 15', [null, 15, [1], bytes(1)], /dtype must be/],
    ['a dtype that is no number', [null, 'FP32', [1], bytes(1)], /dtype must be/],
    ['rank 17', [null, 2, new Array(17).fill(1), bytes(1)], /rank is 17, at most 16/],
    ['a huge rank', [null, 2, new Array(100_000).fill(1), bytes(1)], /at most 16/],
    ['no dims', [null, 2, undefined, bytes(1)], /dims must be an array/],
    ['a negative dimension', [null, 2, [1, -1], bytes(1)], /dimension 1 must be a non-negative safe integer/],
    ['a fraction', [null, 2, [0.5], bytes(1)], /dimension 0/],
    ['NaN', [null, 2, [NaN], bytes(1)], /dimension 0/],
    ['2^53', [null, 2, [2 ** 53], bytes(1)], /dimension 0/],
    ['a dimension that is no number', [null, 2, ['1'], bytes(1)], /dimension 0/],
    ['a product past 2^64', [null, 2, [2 ** 40, 2 ** 40], bytes(1)], /the shape .* overflows/],
    ['a byte count past 2^64', [null, 12, [2 ** 40, 2 ** 23], bytes(1)], /the shape .* overflows/],
    ['a name that is no string', [5, 2, [1], bytes(1)], /name must be a string or null/],
    ['an empty name', ['', 2, [1], bytes(1)], /the name is empty/],
    ['a long name', ['x'.repeat(128), 2, [1], bytes(1)], /longer than 127 bytes/],
    ['a name with NUL', ['a\0b', 2, [1], bytes(1)], /has a NUL/],
    ['other typed arrays', [null, 11, [1], new Float32Array(1)], /data must be a Uint8Array or an array/],
    ['no data', [null, 2, [1], null], /data must be a Uint8Array or an array/],
    ['a piece that is no array', [null, 2, [1], [bytes(1), 'x']], /data\[1\] must be a Uint8Array/],
    ['too many pieces', [null, 2, [0], new Array(65_537).fill(bytes(0))], /more than 65536 segments/],
    ['a list that does not divide', [null, 2, [1]], /must be a list of name, dtype, dims, data/],
    ['too many inputs', new Array(257).fill([null, 2, [0], bytes(0)]).flat(), /at most 256/],
    ['BYTES with too few elements', [null, 13, [2], Uint8Array.of(1, 0, 0, 0, 7)], /BYTES \[2\] is 2 elements, and the data ends after 1/],
    ['BYTES with too many', [null, 13, [1], new Uint8Array(8)], /the data goes on after them/],
    ['BYTES cut in a length', [null, 13, [1], bytes(3)], /ends in the middle of one after 0/],
    ['BYTES cut in a value', [null, 13, [1], Uint8Array.of(9, 0, 0, 0, 1)], /ends in the middle/],
    ['BYTES with a huge length', [null, 13, [1], Uint8Array.of(255, 255, 255, 255)], /ends in the middle/],
  ])('%s', (_what, inputs, message) => {
    expect(refusal(inputs)).toMatch(message);
    expect(binding.counters().tasksOutstanding).toBe(0);
  }); // prettier-ignore

  test('inputs that are no list', () => {
    expect(refusal(null as never)).toMatch(/must be a list/);
    expect(refusal('four' as never)).toMatch(/must be a list/);
  });

  test('numbers of the task', () => {
    const options = [
      { opVersion: -1 },
      { opVersion: 2 ** 32 },
      { chain: [0.5, 1] },
      { modelId: 77 },
      { argsId: 77 },
      { outputBytesMax: -1 },
      { outputBytesMax: 2 ** 53 },
      { deadlineMs: -1 },
      { deadlineMs: NaN },
      { deadlineMs: '5' },
    ] as never[];
    for (const each of options) {
      expect(thrownBy(() => stage(TestOp.echo, [], each)).status).toBe(ErrorCode.INVALID_ARGUMENT);
    }
    expect(thrownBy(() => stage(-1, [])).message).toMatch(/op must be an integer/);
  });
});

test('BYTES elements may cross the borders of segments', async () => {
  const whole = Buffer.concat([
    Buffer.from([5, 0, 0, 0]),
    Buffer.from('hello'),
    Buffer.from([0, 0, 0, 0]),
    Buffer.from([2, 0, 0, 0]),
    Buffer.from('yo'),
  ]);
  for (let size = 1; size <= whole.length; size++) {
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < whole.length; at += size)
      pieces.push(whole.subarray(at, at + size), bytes(0));
    const { outputs } = await call(queueId, TestOp.echo, [null, DataType.BYTES, [3], pieces]);
    expect(Buffer.compare(bytesOf(outputs[0]), whole)).toBe(0);
    expect(refusal([null, DataType.BYTES, [2], pieces])).toMatch(/goes on/);
    expect(refusal([null, DataType.BYTES, [4], pieces])).toMatch(/ends after 3/);
  }
});
