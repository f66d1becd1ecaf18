import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';

import { binding, TestOp, TEST_PLUGIN, thrownBy } from './harness.js';

const numbers = new Float64Array(7);
const frames = new Uint8Array(256 * 1024);
const bindingHandle = 1;
const INVALID_ARGUMENT = 3;
const FAILED_PRECONDITION = 9;

interface Answers {
  readonly results: number;
  readonly resultBytes: number;
  readonly returned: number;
  readonly returnedBytes: number;
  readonly inputBytes: number;
  readonly workNs: number;
  readonly forgotten: number;
  readonly bytes: Buffer;
}

const waiting: (() => void)[] = [];
const answered: (Answers & { readonly lane: number })[] = [];
let queue = 0;
let plugin = 0;

beforeAll(async () => {
  binding.laneConnect(numbers, frames, (lane) => {
    const [results = 0, resultBytes = 0, returned = 0, returnedBytes = 0] = numbers;
    const [, , , , inputBytes = 0, workNs = 0, forgotten = 0] = numbers;
    const bytes = Buffer.from(frames.subarray(0, resultBytes + returnedBytes));
    const counts = { results, resultBytes, returned, returnedBytes, inputBytes, workNs, forgotten };
    answered.push({ lane, ...counts, bytes });
    for (const resolve of waiting.splice(0)) resolve();
  });
  plugin = (await binding.pluginOpen(TEST_PLUGIN, {})).pluginId;
  queue = binding.queueOpen(plugin, 0);
});

interface LaneOptions {
  readonly op?: number;
  readonly argsId?: number;
  readonly outputBytesMax?: number;
  readonly batchMax?: number;
}

function open({ op, argsId, outputBytesMax, batchMax }: LaneOptions = {}): number {
  const kind = [op ?? TestOp.echo, 1, 0, 0, outputBytesMax ?? 1 << 20, batchMax ?? 4, 65536, 0];
  return binding.laneOpen(queue, bindingHandle, argsId ?? 0, kind, false, ['any']);
}

/** A plain CALL with one input of UINT8. */
function callFrame(id: number, data: Uint8Array, handle = bindingHandle): Buffer {
  const padded = Math.ceil(data.byteLength / 8) * 8;
  const frame = Buffer.alloc(16 + 16 + 16 + 8 + padded);
  frame.writeUInt32LE(frame.length - 16, 0);
  frame.writeUInt8(0x11, 4);
  frame.writeBigUInt64LE(BigInt(id), 8);
  frame.writeBigUInt64LE(BigInt(handle), 16);
  frame.writeUInt16LE(1, 30);
  frame.writeUInt8(2, 34);
  frame.writeUInt8(1, 35);
  frame.writeUInt8(1, 36);
  frame.writeBigUInt64LE(BigInt(data.byteLength), 40);
  frame.writeBigUInt64LE(BigInt(data.byteLength), 48);
  frame.set(data, 56);
  return frame;
}

/** Until so many calls of the lane are over. */
async function overOf(lane: number, calls: number): Promise<Answers[]> {
  for (;;) {
    const its = answered.filter((one) => one.lane === lane);
    const over = its.reduce((n, one) => n + one.results + one.returned + one.forgotten, 0);
    if (over >= calls) return its;
    await new Promise<void>((resolve) => waiting.push(resolve));
  }
}

const data = (bytes: number) => Buffer.alloc(bytes, 9);

describe('a lane', () => {
  it('takes the calls that bytes begin with, and answers them', async () => {
    const lane = open();
    const calls = [1, 2, 3, 7, 8, 9].map((id) => callFrame(10 + id, data(id)));
    const bytes = Buffer.concat([...calls, callFrame(30, data(1), 2)]);
    const whole = Buffer.concat(calls).length;
    expect(binding.laneTake(lane, bytes, 0, 100, 10)).toBe(whole);
    expect([...numbers.subarray(0, 3)]).toEqual([6, 30, 19]);
    const its = await overOf(lane, 6);
    expect(its.reduce((sum, one) => sum + one.inputBytes, 0)).toBe(30);
    const results = Buffer.concat(its.map(({ bytes: all }) => all));
    expect(results.readUInt8(4)).toBe(0x20);
    expect(its.reduce((sum, one) => sum + one.resultBytes, 0)).toBe(results.length);
    binding.laneClose(lane);
    expect(thrownBy(() => binding.laneClose(lane)).status).toBe(INVALID_ARGUMENT);
    expect(thrownBy(() => binding.laneTake(lane, bytes, 0, 1, 0)).status).toBe(INVALID_ARGUMENT);
  });

  it('takes no more than it may, none with a handle that does not rise, and none that is cut', async () => {
    const lane = open();
    const one = callFrame(5, data(3));
    const two = Buffer.concat([one, callFrame(6, data(3))]);
    expect(binding.laneTake(lane, two, 0, 0, 0)).toBe(0);
    expect(binding.laneTake(lane, two, 0, 100, 5)).toBe(0);
    expect(binding.laneTake(lane, one.subarray(0, one.length - 1), 0, 100, 0)).toBe(0);
    expect(binding.laneTake(lane, Buffer.alloc(0), 0, 100, 0)).toBe(0);
    expect(binding.laneTake(lane, Buffer.concat([one, one]), 0, 100, 0)).toBe(one.length);
    expect(binding.laneTake(lane, two, one.length, 1, 5)).toBe(one.length);
    await overOf(lane, 2);
    binding.laneClose(lane);
  });

  it('returns calls that the device fails or whose outputs no frame holds, as they came', async () => {
    const lane = open({ outputBytesMax: 16 });
    const frame = callFrame(5, data(17));
    expect(binding.laneTake(lane, frame, 0, 1, 0)).toBe(frame.length);
    const [failed] = await overOf(lane, 1);
    expect(failed).toMatchObject({ results: 0, returned: 1, inputBytes: 17 });
    expect(failed?.bytes).toEqual(frame);
    binding.laneClose(lane);
    const args = binding.argsCreate([['bytes', 2, 20_000]]);
    const large = open({ op: TestOp.fill, argsId: args });
    binding.argsFree(args);
    expect(binding.laneTake(large, frame, 0, 1, 0)).toBe(frame.length);
    const [tooLong] = await overOf(large, 1);
    expect(tooLong).toMatchObject({ results: 0, returned: 1 });
    expect(tooLong?.bytes).toEqual(frame);
    binding.laneClose(large);
  });

  it('stays while the device has calls of it, forgotten or not', async () => {
    const args = binding.argsCreate([['ms', 2, 60_000]]);
    const lane = open({ op: TestOp.sleep, argsId: args, batchMax: 1 });
    binding.argsFree(args);
    const two = Buffer.concat([callFrame(5, data(3)), callFrame(6, data(4))]);
    expect(binding.laneTake(lane, two, 0, 2, 0)).toBe(two.length);
    expect(thrownBy(() => binding.laneClose(lane)).status).toBe(FAILED_PRECONDITION);
    expect(binding.laneForget(lane, 7)).toBe(-1);
    expect(binding.laneForget(lane, 6)).toBe(4);
    expect(binding.laneForget(lane, 6)).toBe(-1);
    binding.laneForgetAll(lane);
    const its = await overOf(lane, 2);
    expect(its.reduce((sum, one) => sum + one.forgotten, 0)).toBe(2);
    expect(its.every(({ inputBytes, bytes }) => inputBytes === 0 && bytes.length === 0)).toBe(true);
    binding.laneClose(lane);
  });

  it('takes nothing once its queue is closed', async () => {
    const other = binding.queueOpen(plugin, 0);
    const lane = binding.laneOpen(other, 1, 0, [TestOp.echo, 1, 0, 0, 100, 4, 65536, 0], false, [
      '',
    ]);
    await binding.queueClose(other);
    expect(binding.laneTake(lane, callFrame(5, data(3)), 0, 1, 0)).toBe(0);
    binding.laneClose(lane);
    expect(binding.counters().tasksOutstanding).toBe(0);
  });

  it('refuses what makes no sense', () => {
    const lane = open();
    const frame = callFrame(5, data(3));
    const wrong: (() => unknown)[] = [
      () => binding.laneConnect(numbers, frames, () => undefined),
      () => binding.laneOpen(queue + 1000, 1, 0, [1, 1, 0, 0, 1, 1, 65536, 0], false, ['']),
      () => binding.laneOpen(queue, 1, 999, [1, 1, 0, 0, 1, 1, 65536, 0], false, ['']),
      () => binding.laneOpen(queue, 1, 0, [1, 1, 0, 0, 1, 1, 65537, 0], false, ['']),
      () => binding.laneOpen(queue, 1, 0, [1, 1, 0, 0], false, ['']),
      () =>
        binding.laneOpen(queue, 1, 0, [1, 1, 0, 0, 1, 1, 65536, 0], false, new Array(257).fill('')),
      () => binding.laneTake(lane, frame, frame.length + 1, 1, 0),
      () => binding.laneTake(lane, frame, 0, 1025, 0),
      () => binding.laneTake(lane, 'bytes' as unknown as Uint8Array, 0, 1, 0),
      () => binding.laneForget(lane, -1),
    ];
    for (const each of wrong) {
      expect([INVALID_ARGUMENT, FAILED_PRECONDITION]).toContain(thrownBy(each).status);
    }
    binding.laneClose(lane);
  });
});

describe('a lane that is given anything', () => {
  const vectors = join(import.meta.dirname, '../../../proto/vectors');
  const known = readdirSync(vectors)
    .filter((file) => file.endsWith('.json'))
    .flatMap(
      (file) =>
        JSON.parse(readFileSync(join(vectors, file), 'utf8')) as { bytes: [string, string][] }[],
    )
    .map(({ bytes }) => Buffer.from(bytes.map(([, piece]) => piece).join(''), 'hex'));
  const plain = [1, 9, 64, 500].map((size, i) => callFrame(100 + i, data(size)));

  it('takes whole calls or nothing, and gives back all that it took', async () => {
    const lane = open();
    let calls = 0;
    const bytes = fc
      .array(
        fc.oneof(
          fc.constantFrom(...known, ...plain),
          fc.tuple(fc.constantFrom(...plain), fc.nat(99), fc.nat(255)).map(([frame, at, value]) => {
            const changed = Buffer.from(frame);
            changed[at % changed.length] = value;
            return changed;
          }),
          fc.uint8Array({ maxLength: 64 }),
        ),
        { minLength: 1, maxLength: 8 },
      )
      .map((parts) => Buffer.concat(parts));
    await fc.assert(
      fc.asyncProperty(bytes, fc.nat(40), async (all, at) => {
        const start = Math.min(at % 3 === 0 ? at : 0, all.length);
        // From memory of its exact size, so that a sanitizer sees what lies past it.
        const exact = new Uint8Array(all);
        const taken = binding.laneTake(lane, exact, start, 16, 0);
        if (taken === 0) return;
        const count = numbers[0] as number;
        calls += count;
        expect(taken).toBeLessThanOrEqual(all.length - start);
        expect(count).toBeGreaterThan(0);
        let end = start;
        for (let i = 0; i < count; i++) end += 16 + all.readUInt32LE(end);
        expect(end).toBe(start + taken);
        exact.fill(0xff);
        await overOf(lane, calls);
      }),
      { numRuns: 3000 },
    );
    expect(calls).toBeGreaterThan(200);
    expect(binding.counters().tasksOutstanding).toBe(0);
    binding.laneClose(lane);
  });
});
