// What a frame costs to write and to read, in CPU time of this thread: node remoting/bench/wire-frames.mjs
import { decodeFrame, FrameSplitter, FrameWriter } from '../dist/index.js';

/** @import { Frame, Side } from '../dist/index.js' */

/** Frames of one write, as many as a busy connection gathers. */
const GATHERED = 32;
const FRAMES = 500_000;
const ROUNDS = 9;

/** @param {number} bytes */
function tensor(bytes) {
  return /** @type {const} */ ({
    source: 'INLINE',
    slot: 0,
    dtype: 'UINT8',
    shape: [bytes],
    name: '',
    data: new Uint8Array(bytes),
  });
}

/** @type {Record<string, { from: Side, make: (id: number) => Frame }>} */
const CASES = {
  'CALL, 64 B': {
    from: 'client',
    make: (id) => ({
      type: 'CALL',
      id,
      keep: false,
      omit: false,
      replay: false,
      binding: 1,
      deadlineUs: 0,
      priority: 0,
      place: undefined,
      trace: undefined,
      inputs: [tensor64],
    }),
  },
  'RESULT, 64 B': {
    from: 'server',
    make: (id) => ({
      type: 'RESULT',
      id,
      queueUs: 1,
      transferUs: 0,
      computeUs: 2,
      totalUs: 5,
      batchSize: 1,
      device: 0,
      outputs: [tensor64],
      steps: [],
      fallbacks: [],
    }),
  },
  'DATA, 64 KiB': {
    from: 'client',
    make: (id) => ({ type: 'DATA', id, end: false, data: data64KiB }),
  },
};
const tensor64 = tensor(64);
const data64KiB = new Uint8Array(65536);

/**
 * @param {() => void} work of `FRAMES` frames
 * @returns {number} nanoseconds of CPU a frame
 */
function measure(work) {
  const start = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(start);
  return ((user + system) * 1000) / FRAMES;
}

/** @param {number[]} values */
function median(values) {
  return values.sort((a, b) => a - b)[values.length >> 1] ?? NaN;
}

for (const [name, { from, make }] of Object.entries(CASES)) {
  const writer = new FrameWriter();
  const splitter = new FrameSplitter(from);
  for (let i = 1; i <= GATHERED; i++) writer.write(make(i));
  const chunk = Buffer.concat(writer.take());
  const writes = [];
  const reads = [];
  let frames = 0;
  for (let round = 0; round < ROUNDS; round++) {
    writes.push(
      measure(() => {
        for (let i = 1; i <= FRAMES; i++) {
          writer.write(make(i));
          if (i % GATHERED === 0) writer.take();
        }
      }),
    );
    reads.push(
      measure(() => {
        for (let i = 0; i < FRAMES; i += GATHERED) {
          splitter.push(chunk, (raw) => {
            if (decodeFrame(raw).id > 0) frames += 1;
          });
        }
      }),
    );
  }
  const [write, read] = [median(writes), median(reads)];
  const bytes = chunk.length / GATHERED;
  console.log(
    `${name.padEnd(14)} ${bytes} bytes: write ${write.toFixed(0)} ns, read ${read.toFixed(0)} ns (${frames} frames read)`,
  );
}
