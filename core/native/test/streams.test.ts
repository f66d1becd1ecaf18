import { afterAll, beforeAll, expect, test } from 'vitest';
import { ArgType, ErrorCode } from '../../src/generated/constants.js';
import type { NativeArg } from '../../src/native-binding.js';
import {
  binding,
  bytesOf,
  completionOf,
  rejectionOf,
  TEST_PLUGIN,
  TestOp,
  thrownBy,
  withArgs,
  type Completion,
} from './harness.js';

let pluginId = 0;

beforeAll(async () => {
  ({ pluginId } = await binding.pluginOpen(TEST_PLUGIN, {}));
});

afterAll(async () => {
  await binding.pluginClose(pluginId);
});

function open(settings: Readonly<Record<string, number>> = {}): number {
  const args = Object.entries(settings).map(([k, v]): NativeArg => [k, ArgType.INT, v]);
  return withArgs(args, (argsId) => binding.streamOpen(pluginId, 0, TestOp.echo, 1, argsId));
}

function write(
  stream: number,
  data: Uint8Array | null,
  end: boolean,
  cap = 1 << 20,
): Promise<Completion> {
  return completionOf(binding.streamWrite(stream, data, end, cap, 0));
}

/** Everything that comes out, as a caller that follows the contract gets it. */
async function pump(stream: number, data: Uint8Array, cap: number): Promise<Uint8Array> {
  const out: Uint8Array[] = [];
  let left = data;
  for (;;) {
    const { status, outputs, consumedBytes, streamMore } = await write(stream, left, true, cap);
    expect(status).toBe(0);
    out.push(bytesOf(outputs[0]));
    left = left.subarray(consumedBytes);
    if (left.length === 0 && streamMore === 0) return Buffer.concat(out);
  }
}

test('what goes in comes out in order, through a small window and a small cap', async () => {
  const data = Uint8Array.from({ length: 5000 }, (_, i) => i % 256);
  for (const settings of [{}, { window: 700 }, { times: 3 }, { window: 999, times: 2 }]) {
    const stream = open(settings);
    const out = await pump(stream, data, 1024);
    const times = settings.times ?? 1;
    expect(out).toHaveLength(5000 * times);
    expect(out.every((byte, i) => byte === Math.floor(i / times) % 256)).toBe(true);
    expect(thrownBy(() => binding.streamWrite(stream, null, true, 1, 0)).message).toMatch(
      /finished/,
    );
    await binding.streamClose(stream);
  }
});

test('an end without data finishes a stream', async () => {
  const stream = open();
  expect((await write(stream, Uint8Array.of(1), false)).consumedBytes).toBe(1);
  expect((await write(stream, null, true)).status).toBe(0);
  await binding.streamClose(stream);
});

test('one write at a time, and the end stays', async () => {
  const stream = open({ window: 1 });
  const first = write(stream, Uint8Array.of(1, 2), false);
  const error = thrownBy(() => binding.streamWrite(stream, null, false, 1, 0));
  expect(error.status).toBe(ErrorCode.FAILED_PRECONDITION);
  await first;
  await write(stream, Uint8Array.of(2, 3), true);
  expect(thrownBy(() => binding.streamWrite(stream, null, false, 1, 0)).message).toMatch(
    /end was given/,
  );
  await binding.streamClose(stream);
  expect((await rejectionOf(binding.streamClose(stream))).status).toBe(ErrorCode.INVALID_ARGUMENT);
});

test('after a failed write only close follows', async () => {
  const stream = open({ fail: 1 });
  expect(await write(stream, null, false)).toMatchObject({
    status: ErrorCode.DATA_LOSS,
    message: 'this stream fails',
  });
  expect(thrownBy(() => binding.streamWrite(stream, null, false, 1, 0)).message).toMatch(
    /has failed/,
  );
  await binding.streamClose(stream);
});

test('a plugin that consumes more than it got breaks a rule', async () => {
  const faults = binding.counters().pluginFaults;
  const stream = open({ overconsume: 1 });
  const end = await write(stream, Uint8Array.of(1), false);
  expect(end.status).toBe(ErrorCode.INTERNAL);
  expect(end.message).toMatch(/consumed more bytes/);
  expect(binding.counters().pluginFaults).toBe(faults + 1);
  await binding.streamClose(stream);
});

test('close with a write outstanding waits for it', async () => {
  const stream = open();
  const last = write(stream, new Uint8Array(100_000), true);
  await binding.streamClose(stream);
  expect((await last).status).toBe(0);
});

test('what cannot be streamed is refused', () => {
  for (const op of [TestOp.sleep, 3, 999]) {
    const error = thrownBy(() => binding.streamOpen(pluginId, 0, op, 1, 0));
    expect(error.status).toBe(ErrorCode.UNIMPLEMENTED);
  }
  expect(thrownBy(() => open({ refuse: 1 }))).toMatchObject({
    status: ErrorCode.RESOURCE_EXHAUSTED,
    message: 'no stream today',
  });
});

test('wrong data is refused and leaves the stream as it was', async () => {
  const stream = open();
  expect(thrownBy(() => binding.streamWrite(stream, 'x' as never, false, 1, 0)).status).toBe(3);
  expect(thrownBy(() => binding.streamWrite(stream, null, 1 as never, 1, 0)).status).toBe(3);
  expect(thrownBy(() => binding.streamWrite(stream, null, false, -1, 0)).status).toBe(3);
  expect((await write(stream, Uint8Array.of(5), true)).outputs[0]?.data).toEqual(Uint8Array.of(5));
  await binding.streamClose(stream);
});
