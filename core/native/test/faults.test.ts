import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ArgType, ErrorCode } from '../../src/generated/constants.js';
import {
  binding,
  bytesOf,
  call,
  completionOf,
  faultsDuring,
  stage,
  stray,
  TEST_PLUGIN,
  TestOp,
  thrownBy,
  withArgs,
  type Completion,
} from './harness.js';

/** Lines of log: of this whole file, and since a test last emptied them. */
const allLines: string[] = [];
const lines: string[] = [];
binding.onLog((_level, plugin, message) => {
  allLines.push(`${plugin}: ${message}`);
  lines.push(`${plugin}: ${message}`);
});

let pluginId = 0;
let queueId = 0;

beforeAll(async () => {
  ({ pluginId } = await binding.pluginOpen(TEST_PLUGIN, {}));
  queueId = binding.queueOpen(pluginId, 0);
});

afterAll(async () => {
  // Whatever went wrong before, tasks still run.
  const { outputs } = await call(queueId, TestOp.echo, [null, 2, [3], Uint8Array.of(1, 2, 3)]);
  expect(bytesOf(outputs[0])).toEqual(Uint8Array.of(1, 2, 3));
  await binding.queueClose(queueId);
  await binding.pluginClose(pluginId);
  expect(binding.counters().outputBytes).toBe(0);
  expect(stray).toEqual([]);
});

function misbehave(fault: string): Promise<Completion> {
  return withArgs([['fault', ArgType.STRING, fault]], (argsId) =>
    call(queueId, TestOp.misbehave, [], { argsId }),
  );
}

test.each([
  ['foreign_pointer', /emitted memory that is not allocated for this task/],
  ['emit_twice', /emitted memory that is not allocated for this task/],
  ['too_large', /emitted more bytes than were allocated/],
  ['wrong_dims', /bytes are not its dimensions times its dtype/],
  ['negative_dims', /a dimension that is negative/],
  ['huge_dims', /dimensions overflow/],
  ['null_dims', /dims is NULL/],
  ['rank', /rank is over 16/],
  ['dtype', /dtype is not known/],
  ['output', /position is over 255/],
  ['name', /name is too long or not UTF-8/],
  ['bytes_elements', /BYTES chunk whose lengths do not cover/],
  ['tensor_in_pieces', /several chunks for an output that does not have one dimension/],
  ['overrun', /wrote past the end of memory/],
  ['overrun_not_emitted', /wrote past the end of memory/],
  ['null_chunk', /a NULL chunk/],
  ['small_chunk', /chunk whose struct_size/],
  ['release_foreign', /released memory that is not allocated/],
  ['resize_foreign', /resized memory that is not allocated/],
  ['bad_status', /a number that is no status/],
  ['null_completion', /no axle_completion/],
])('%s: the task is INTERNAL and says which plugin and which rule', async (fault, rule) => {
  lines.length = 0;
  let end: Completion | undefined;
  const faults = await faultsDuring(async () => (end = await misbehave(fault)));
  expect(end?.status).toBe(ErrorCode.INTERNAL);
  expect(end?.message).toMatch(/^plugin 'test' broke a rule of the ABI: it /);
  expect(end?.message).toMatch(rule);
  expect(faults).toBe(1);
  expect(lines.some((line) => line.startsWith('test: ') && rule.test(line))).toBe(true);
});

test.each([
  ['complete_twice', 1],
  ['emit_after_complete', 1],
  ['alloc_after_complete', 1],
  ['no_task', 2],
])('%s: the task is not harmed, and faults are counted', async (fault, count) => {
  const faults = await faultsDuring(async () => {
    expect((await misbehave(fault)).status).toBe(0);
    // The second call comes after the completion.
    await sleep(20);
  });
  expect(faults).toBe(count);
});

test('a batch_size over the tasks of the submit is counted, and not handed on', async () => {
  let end: Completion | undefined;
  const faults = await faultsDuring(async () => (end = await misbehave('batch_size')));
  expect(end).toMatchObject({ status: 0, batchSize: 1 });
  expect(faults).toBe(1);
});

test('a second completion after the task is gone harms no other', async () => {
  const faults = await faultsDuring(async () => {
    await misbehave('complete_twice_later');
    const others = Array.from({ length: 200 }, (_, i) =>
      call(queueId, TestOp.echo, [null, 2, [1], Uint8Array.of(i)]),
    );
    const pauses = withArgs([['ms', ArgType.INT, 60]], (argsId) =>
      Array.from({ length: 20 }, () => call(queueId, TestOp.pause, [], { argsId })),
    );
    for (const { status } of await Promise.all([...others, ...pauses])) expect(status).toBe(0);
  });
  expect(faults).toBe(1);
});

test('calls that overlap are put in order', async () => {
  let end: Completion | undefined;
  await faultsDuring(async () => (end = await misbehave('overlap')));
  expect(end?.status).toBe(0);
});

test('complete inside submit is counted, and the tasks complete after it', async () => {
  const faults = await faultsDuring(async () => {
    const argsId = binding.argsCreate([['fault', ArgType.STRING, 'complete_inside_submit']]);
    const ids = Array.from({ length: 5 }, () => stage(TestOp.misbehave, [], { argsId }));
    binding.submit(queueId);
    expect(binding.counters().tasksOutstanding).toBe(5);
    for (const { status, outputs } of await Promise.all(ids.map(completionOf))) {
      expect(status).toBe(0);
      expect(bytesOf(outputs[0])).toHaveLength(32);
    }
    binding.argsFree(argsId);
  });
  expect(faults).toBe(5);
});

test.each([
  ['submit_fails', ErrorCode.RESOURCE_EXHAUSTED, /^this submit fails$/, 0],
  [
    'submit_fails_silently',
    ErrorCode.UNAVAILABLE,
    /submit failed with UNAVAILABLE and no message/,
    0,
  ],
  ['submit_fails_oddly', ErrorCode.INTERNAL, /submit failed with INTERNAL/, 1],
  ['complete_and_fail', ErrorCode.RESOURCE_EXHAUSTED, /./, 2],
])('%s: submit throws and nothing is outstanding', async (fault, status, message, count) => {
  const faults = await faultsDuring(async () => {
    const argsId = binding.argsCreate([['fault', ArgType.STRING, fault]]);
    for (let i = 0; i < 3; i++) stage(TestOp.misbehave, [], { argsId });
    const error = thrownBy(() => binding.submit(queueId));
    expect(error.status).toBe(status);
    expect(error.message).toMatch(message);
    expect(binding.counters().tasksOutstanding).toBe(0);
    binding.argsFree(argsId);
    await sleep(5);
  });
  expect(faults).toBe(count);
});

test('a failure has a message, and a message is text', async () => {
  expect(await misbehave('no_message')).toMatchObject({
    status: ErrorCode.DATA_LOSS,
    message: "plugin 'test' ended the task with DATA_LOSS and no message",
  });
  expect((await misbehave('bad_message')).message).toBe('a ?éz');
});

test('faults are logged up to a number, and counted past it', async () => {
  const faults = await faultsDuring(async () => {
    for (let i = 0; i < 150; i++) await misbehave('bad_status');
  });
  expect(faults).toBe(150);
  // The number is of the plugin's whole life, and how many faults overlapping calls were depends on the
  // threads. Lines come on turns of the loop of their own.
  await expect
    .poll(() => allLines.filter((line) => line.includes('counted but not logged')).length)
    .toBe(1);
  // 100 faults, the line that says so, and the few that plugins log themselves.
  expect(allLines.length).toBeLessThan(110);
});

test('a fault of a new kind is logged past that number, once', async () => {
  const overconsumed = () =>
    allLines.filter((line) => line.includes('consumed more bytes of a stream')).length;
  expect(overconsumed()).toBe(0);
  const faults = await faultsDuring(async () => {
    for (let i = 0; i < 3; i++) await overconsume();
  });
  expect(faults).toBe(3);
  await expect.poll(overconsumed).toBe(1);
});

async function overconsume(): Promise<void> {
  const stream = withArgs([['overconsume', ArgType.INT, 1]], (argsId) =>
    binding.streamOpen(pluginId, 0, TestOp.echo, 1, argsId),
  );
  await completionOf(binding.streamWrite(stream, Uint8Array.of(1), false, 100, 0));
  await binding.streamClose(stream);
}
