import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { ArgType, ErrorCode } from '../../src/generated/constants.js';
import type { NativeArg } from '../../src/native-binding.js';
import {
  binding,
  bytesOf,
  call,
  completionOf,
  stage,
  TEST_PLUGIN,
  TestOp,
  thrownBy,
  withArgs,
} from './harness.js';

const KiB = 1024;
let pluginId = 0;
let queueId = 0;

beforeAll(async () => {
  ({ pluginId } = await binding.pluginOpen(TEST_PLUGIN, {}));
  queueId = binding.queueOpen(pluginId, 0);
});

afterAll(async () => {
  await binding.queueClose(queueId);
  await binding.pluginClose(pluginId);
  expect(binding.counters()).toMatchObject({ tasksOutstanding: 0, pluginFaults: 0 });
});

/** Outputs of `fill`, which the plugin allocates as memory that may be shared. */
async function filled(settings: Readonly<Record<string, number>>, into: Uint8Array) {
  const args = Object.entries({ shared: 1, ...settings }).map(([name, value]): NativeArg => [
    name,
    ArgType.INT,
    value,
  ]);
  const { status, outputs } = await withArgs(args, (argsId) =>
    call(queueId, TestOp.fill, [], { argsId, outputBytesMax: 1 << 28, into }),
  );
  expect(status).toBe(0);
  expect(bytesOf(outputs[0]).every((byte, i) => byte === i % 251)).toBe(true);
  const data = outputs[0]?.data ?? [];
  return data instanceof Uint8Array ? [data] : [...data];
}

/** Where each piece lies in the memory; undefined: elsewhere. */
function placesIn(into: Uint8Array, pieces: readonly Uint8Array[]): (number | undefined)[] {
  return pieces.map(({ buffer, byteOffset }) =>
    buffer === into.buffer ? byteOffset - into.byteOffset : undefined,
  );
}

describe('memory of the caller', () => {
  it('has the output, without a copy', async () => {
    const into = new Uint8Array(64 * KiB);
    const pieces = await filled({ bytes: 40 * KiB }, into);
    const [place] = placesIn(into, pieces);
    expect(place).toBeGreaterThanOrEqual(0);
    expect(pieces[0]?.byteLength).toBe(40 * KiB);
    expect(into[(place as number) + 250]).toBe(250);
  });

  it('has it at a multiple of 64, wherever the memory starts', async () => {
    for (const start of [1, 63, 64]) {
      const into = new Uint8Array(new ArrayBuffer(64 * KiB), start, 41 * KiB);
      const [before] = placesIn(
        new Uint8Array(into.buffer),
        await filled({ bytes: 40 * KiB }, into),
      );
      expect(before).toBeGreaterThanOrEqual(start);
      const [first] = placesIn(
        new Uint8Array(into.buffer),
        await filled({ bytes: 20 * KiB }, into),
      );
      expect(((before as number) - (first as number)) % 64).toBe(0);
    }
  });

  it('has pieces one after another, and what does not fit lies elsewhere', async () => {
    const into = new Uint8Array(200 * KiB);
    // The third would end past it.
    const places = placesIn(into, await filled({ bytes: 255 * KiB, chunks: 3 }, into));
    expect(places).toHaveLength(3);
    expect((places[1] as number) - (places[0] as number)).toBe(85 * KiB);
    expect(places[2]).toBeUndefined();
  });

  it('gets back what an output did not need', async () => {
    const into = new Uint8Array(101 * KiB);
    const places = placesIn(
      into,
      await filled({ bytes: 80 * KiB, chunks: 2, waste: 20 * KiB }, into),
    );
    expect((places[1] as number) - (places[0] as number)).toBe(40 * KiB);
  });

  it('lets an output grow in it, and out of it', async () => {
    const roomy = new Uint8Array(101 * KiB);
    expect(placesIn(roomy, await filled({ bytes: 100 * KiB, resize: 1 }, roomy))).toEqual([
      expect.any(Number),
    ]);
    const small = new Uint8Array(64 * KiB);
    expect(placesIn(small, await filled({ bytes: 100 * KiB, resize: 1 }, small))).toEqual([
      undefined,
    ]);
  });

  it('is not used for memory that a plugin may read back', async () => {
    const into = new Uint8Array(64 * KiB);
    expect(placesIn(into, await filled({ bytes: 40 * KiB, shared: 0 }, into))).toEqual([undefined]);
    expect(into.every((byte) => byte === 0)).toBe(true);
  });

  it('is a Uint8Array', () => {
    const wrong = 'memory' as unknown as Uint8Array;
    const { status, message } = thrownBy(() => stage(TestOp.fill, [], { into: wrong }));
    expect({ status, message }).toEqual({
      status: ErrorCode.INVALID_ARGUMENT,
      message: expect.stringContaining('into') as string,
    });
    binding.unstage();
  });
});

describe('inputs', () => {
  it('may change once they were copied, in one piece or several', async () => {
    const data = new Uint8Array(50_000).fill(1);
    const pieces = [new Uint8Array(30_000).fill(2), new Uint8Array(20_000).fill(3)];
    const inputs = ['a', 2, [50_000], data, 'b', 2, [50_000], pieces];
    const id = stage(TestOp.echo, inputs, { copiesInputs: true });
    data.fill(9);
    for (const piece of pieces) piece.fill(9);
    binding.submit(queueId);
    const { outputs } = await completionOf(id);
    expect(bytesOf(outputs[0]).every((byte) => byte === 1)).toBe(true);
    expect(bytesOf(outputs[1]).every((byte, i) => byte === (i < 30_000 ? 2 : 3))).toBe(true);
  });
});
