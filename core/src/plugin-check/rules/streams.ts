import { gzipSync } from 'node:zlib';

import { DataType, ErrorCode, OPS } from '../../generated/constants.js';
import type { TaskCompletion } from '../host-connection.js';
import { leftBehind } from '../left-behind.js';
import { broken, type Rule } from '../rule.js';
import { isPure, outputBytes, smaller } from '../samples/sample.js';
import { text } from '../samples/text.js';
import { inputOf, withStreamSamples, type StreamTrial } from '../stream-trials.js';
import type { StreamOutcome, StreamUnderTest } from '../stream-under-test.js';
import { hasMessage, isRefusal, withQueue } from '../trials.js';

const pieceSizes = [1000, 7] as const;
const smallCap = 7;
const streamsAtOnce = 32;
/** Of streams at once: so little that each keeps output for its next write. */
const sharedCap = 50;
const cancelledStreams = 32;
const streamsPerRound = 32;
const leakBytesPerRoundMax = 400 * 1024;

async function withStream<T>(
  { plugin, device, sample }: StreamTrial,
  work: (stream: StreamUnderTest) => Promise<T>,
): Promise<T> {
  const stream = plugin.openStream(device, sample.request);
  try {
    return await work(stream);
  } finally {
    await stream.close();
  }
}

/** Pieces of a size, with an empty one after the first. */
function cut(data: Uint8Array, size: number): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < data.length; at += size) pieces.push(data.subarray(at, at + size));
  const [first = data, ...others] = pieces;
  return [first, data.subarray(0, 0), ...others];
}

/** The output of a whole stream, as the output of a task. */
function asCompletion(output: Buffer): TaskCompletion {
  return {
    status: ErrorCode.OK,
    message: '',
    outputs: [{ index: 0, name: '', dtype: DataType.UINT8, dims: [output.length], data: output }],
    batchSize: 1,
    timesNs: { queue_ns: 0, transfer_ns: 0, compute_ns: 0 },
    consumedBytes: 0,
    more: false,
  };
}

/** @param how the stream was written to, for the message. */
function checkOutcome(
  { sample }: StreamTrial,
  { output, failed }: StreamOutcome,
  how: string,
): void {
  if (failed !== undefined) {
    if (sample.mayRefuse && isRefusal(failed)) return;
    broken(`${sample.label}, ${how}: a write failed with ${failed.status}: ${failed.message}`);
  }
  const problem = sample.problemOf(asCompletion(output));
  if (problem !== undefined) broken(`${sample.label}, ${how}: ${problem}`);
}

/** An op of the plugin's own gives by a stream what it gives by a task. */
async function checkLikeTask(trial: StreamTrial, { output }: StreamOutcome): Promise<void> {
  const { plugin, device, sample } = trial;
  if (!sample.mayRefuse || !isPure(sample)) return;
  const whole = await withQueue(plugin, device, (queue) => plugin.run(queue, sample.request));
  if (whole.status === ErrorCode.OK && !outputBytes(whole, 0).equals(output)) {
    broken(`${sample.label} gives something else by a stream than by a task`);
  }
}

async function checkRuns(trial: StreamTrial): Promise<void> {
  const input = inputOf(trial.sample);
  const whole = await withStream(trial, (stream) => stream.writeAll(input, true));
  checkOutcome(trial, whole, 'by one write');
  await checkLikeTask(trial, whole);
  for (const size of pieceSizes) {
    const small = size < 100 ? { ...trial, sample: smaller(trial.sample) } : trial;
    const pieces = cut(inputOf(small.sample), size);
    const outcome = await withStream(small, (stream) => stream.writePieces(pieces));
    checkOutcome(small, outcome, `in pieces of ${size} bytes`);
    await checkLikeTask(small, outcome);
  }
}

async function checkCap(trial: StreamTrial): Promise<void> {
  const small = { ...trial, sample: smaller(trial.sample) };
  const outcome = await withStream(small, (stream) =>
    stream.writeAll(inputOf(small.sample), true, smallCap),
  );
  checkOutcome(small, outcome, `with ${smallCap} bytes of output a write`);
  await checkLikeTask(small, outcome);
}

async function checkEmpty(trial: StreamTrial): Promise<void> {
  const { sample } = trial;
  const none = new Uint8Array();
  const { failed } = await withStream(trial, (stream) => stream.writeAll(none, true));
  const mayFail = sample.mayRefuse || sample.request.op === OPS.decompress.id;
  if (failed === undefined || (mayFail && isRefusal(failed))) return;
  broken(`${sample.label}, with no input: status ${failed.status}: ${failed.message}`);
}

async function checkCancel(trial: StreamTrial): Promise<void> {
  const { plugin, device, sample } = trial;
  const input = inputOf(sample);
  for (let i = 0; i < cancelledStreams; i++) {
    const stream = plugin.openStream(device, sample.request);
    const written = stream.write(input, true);
    await stream.close();
    const { status, message } = await written;
    if (status === ErrorCode.OK || status === ErrorCode.CANCELLED) continue;
    broken(`${sample.label}: a cancelled write ended with status ${status}: ${message}`);
  }
  const after = await withStream(trial, (stream) => stream.writeAll(input, true));
  checkOutcome(trial, after, 'after others were cancelled');
}

async function checkClose(trial: StreamTrial): Promise<void> {
  const input = inputOf(trial.sample);
  await withStream(trial, () => Promise.resolve());
  await withStream(trial, (stream) => stream.write(input.subarray(0, input.length / 2), false));
  // The rest of the input and of the output is left where it is.
  await withStream(trial, (stream) => stream.write(input, true, smallCap));
  const after = await withStream(trial, (stream) => stream.writeAll(input, true));
  checkOutcome(trial, after, 'after others were closed midway');
}

async function checkMany({ plugin, device, sample }: StreamTrial): Promise<void> {
  const trials = Array.from({ length: streamsAtOnce }, (_, seed) => ({
    plugin,
    device,
    sample: sample.vary({ seed, size: 'small' }),
  }));
  const outcomes = await Promise.all(
    trials.map((trial) =>
      withStream(trial, (stream) => stream.writePieces(cut(inputOf(trial.sample), 100), sharedCap)),
    ),
  );
  for (const [i, trial] of trials.entries()) {
    const outcome = outcomes[i];
    if (outcome === undefined) continue;
    checkOutcome(trial, outcome, `beside ${streamsAtOnce - 1} others`);
    await checkLikeTask(trial, outcome);
  }
}

/** What ends too early, goes on after its end, or is damaged. */
const damagedArchives: readonly (readonly [string, (archive: Buffer) => Buffer])[] = [
  ['an input that is cut off', (archive) => archive.subarray(0, -1)],
  ['bytes after the end of its input', (archive) => Buffer.concat([archive, text(100, 3)])],
  [
    'an input whose checksum does not match',
    (archive) => {
      const damaged = Buffer.from(archive);
      damaged.writeUInt32LE(
        (damaged.readUInt32LE(archive.length - 8) ^ 1) >>> 0,
        archive.length - 8,
      );
      return damaged;
    },
  ],
];

async function checkDamage(trial: StreamTrial): Promise<void> {
  const archive = gzipSync(text(2000, 0));
  for (const [what, damage] of damagedArchives) {
    const pieces = cut(damage(archive), 100);
    const { failed } = await withStream(trial, (stream) => stream.writePieces(pieces));
    if (failed === undefined) broken(`${trial.sample.label} took ${what}`);
    const { status, message } = failed;
    const expected = status === ErrorCode.INVALID_ARGUMENT || status === ErrorCode.DATA_LOSS;
    if (!expected || !hasMessage(failed)) {
      broken(`${trial.sample.label} refused ${what} with status ${status}: ${message}`);
    }
  }
}

/** One stream that comes to its end or does not, and one that is closed while it has a write. */
async function useStreams(trial: StreamTrial, input: Uint8Array, end: boolean): Promise<void> {
  await withStream(trial, (stream) => stream.writeAll(input, end));
  const stream = trial.plugin.openStream(trial.device, trial.sample.request);
  const written = stream.write(input, true);
  await stream.close();
  await written;
}

async function checkLeaks(trial: StreamTrial): Promise<void> {
  const small = { ...trial, sample: smaller(trial.sample) };
  const input = inputOf(small.sample);
  const left = await leftBehind({
    work: async () => {
      for (let i = 0; i < streamsPerRound; i += 2) await useStreams(small, input, i % 4 === 0);
    },
    what: 'streams',
    perRound: streamsPerRound,
    bytesPerRoundMax: leakBytesPerRoundMax,
  });
  if (left !== undefined) broken(`${trial.sample.label}: ${left}`);
}

/** What holds for ordered streams. */
export const streamRules: readonly Rule[] = [
  {
    id: 'stream',
    title: 'gives by a stream what the op means, in whatever pieces its input comes',
    check: (subject) => withStreamSamples(subject, checkRuns),
  },
  {
    id: 'stream-cap',
    title: 'keeps each write of a stream under its cap, and says while more output waits',
    check: (subject) => withStreamSamples(subject, checkCap),
  },
  {
    id: 'stream-empty',
    title: 'ends a stream that had no input',
    check: (subject) => withStreamSamples(subject, checkEmpty),
  },
  {
    id: 'stream-cancel',
    title: 'completes the write of a stream that is closed meanwhile, once',
    check: (subject) => withStreamSamples(subject, checkCancel),
  },
  {
    id: 'stream-close',
    title: 'closes a stream that is new, midway, or has output left',
    check: (subject) => withStreamSamples(subject, checkClose),
  },
  {
    id: 'stream-many',
    title: `keeps ${streamsAtOnce} streams at once apart`,
    check: (subject) => withStreamSamples(subject, checkMany),
  },
  {
    id: 'stream-damage',
    title: 'refuses in a stream what is cut off, damaged, or goes on after its end',
    check: (subject) =>
      withStreamSamples(subject, checkDamage, {
        // The archives are gzip's: a stream that is told another codec refuses them for that.
        filter: ({ request: { op, args = [] } }) => op === OPS.decompress.id && args.length === 0,
        none: 'it has no streams that decompress gzip',
      }),
  },
  {
    id: 'stream-leaks',
    title: 'holds no more memory, descriptors and threads after many streams than after a few',
    check: (subject) => withStreamSamples(subject, checkLeaks),
  },
];
