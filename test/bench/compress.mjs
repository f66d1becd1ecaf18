// Speed and size beside the codecs' own tools, file to nowhere, on the same 64 MB and as many cores.
import { spawn } from 'node:child_process';
import { mkdtemp, open, readdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { connectLocal } from '@axle/core/internal';
import { plugin } from '@axle/plugin-cpu-fallback';

import { compare, row } from './row.mjs';
import { streamPeakMB } from './stream-memory.mjs';

const MB = 1_000_000;
const CORPUS_BYTES = 64 * MB;
const STREAM_BYTES = 4 * 1024 ** 3;
const STREAM_MEMORY_MB = 300;
const SIZE_GOAL = 0.99;

/**
 * @typedef {object} Case
 * @property {'zstd' | 'lz4' | 'gzip'} codec
 * @property {number} level
 * @property {readonly string[]} tool
 * @property {number | null} goal
 * @property {number} rounds
 * @property {number} [threads] of the plugin; default: all cores
 */

/** @type {readonly Case[]} */
const CASES = [
  { codec: 'zstd', level: 1, tool: ['zstd', '-T0', '-1'], goal: 0.95, rounds: 7 },
  { codec: 'zstd', level: 3, tool: ['zstd', '-T0', '-3'], goal: 0.95, rounds: 7 },
  { codec: 'zstd', level: 9, tool: ['zstd', '-T0', '-9'], goal: 0.95, rounds: 5 },
  { codec: 'zstd', level: 19, tool: ['zstd', '-T0', '-19'], goal: 0.95, rounds: 1 },
  { codec: 'lz4', level: 1, tool: ['lz4', '-1'], goal: 0.95, rounds: 9, threads: 1 },
  { codec: 'lz4', level: 1, tool: ['lz4', '-1'], goal: 1.6, rounds: 9, threads: 2 },
  { codec: 'lz4', level: 3, tool: ['lz4', '-3'], goal: 1.6, rounds: 5, threads: 2 },
  { codec: 'lz4', level: 9, tool: ['lz4', '-9'], goal: 1.6, rounds: 3, threads: 2 },
  { codec: 'gzip', level: 1, tool: ['pigz', '-1'], goal: 4, rounds: 7 },
  { codec: 'gzip', level: 3, tool: ['pigz', '-3'], goal: null, rounds: 5 },
  { codec: 'gzip', level: 6, tool: ['pigz', '-6'], goal: 1.4, rounds: 5 },
  { codec: 'gzip', level: 9, tool: ['pigz', '-9'], goal: null, rounds: 3 },
];

/**
 * @param {(line: string) => void} progress
 * @param {string} only cases whose name holds this; '' = all
 * @returns {Promise<import('./row.mjs').Row[]>}
 */
export async function benchCompress(progress, only) {
  const folder = await mkdtemp(join(tmpdir(), 'axle-bench-'));
  try {
    const corpus = join(folder, 'corpus');
    progress(`gathering ${CORPUS_BYTES / MB} MB of text and code`);
    await writeCorpus(corpus);
    const rows = [];
    for (const one of CASES.filter((each) => nameOf(each).includes(only))) {
      progress(nameOf(one));
      rows.push(...(await benchCase(one, corpus)));
    }
    if ('stream'.includes(only)) {
      progress('4 GiB stream');
      rows.push(await streamMemory());
    }
    return rows;
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** @param {Case} one */
function nameOf({ codec, level, threads }) {
  const cores = threads === undefined ? '' : `, ${threads} core${threads > 1 ? 's' : ''}`;
  return `${codec}-${level}${cores}`;
}

/**
 * @param {Case} one
 * @param {string} corpus
 */
async function benchCase(one, corpus) {
  const { codec, level, tool, goal, rounds, threads } = one;
  const options = threads === undefined ? {} : { threads: String(threads) };
  const client = await connectLocal({
    plugins: [{ ...plugin, options: { ...plugin.options, ...options } }],
  });
  let ourBytes = 0;
  let toolBytes = 0;
  const name = nameOf(one);
  const peer = tool.join(' ');
  const speed = await compare({
    bench: 'compress',
    case: name,
    unit: 'MB/s',
    peer,
    goal,
    rounds,
    better: 'higher',
    run: () =>
      megabytesPerSecond(async () => {
        const { data } = await client.compress(corpus, { codec, level });
        ourBytes = data.byteLength;
      }),
    runPeer: () =>
      megabytesPerSecond(async () => {
        toolBytes = await runTool([...tool, '-c', corpus]);
      }),
  });
  await client.close();
  const size = row({
    bench: 'compress',
    case: `${name}: size`,
    unit: 'ratio',
    value: CORPUS_BYTES / ourBytes,
    peer,
    peerValue: CORPUS_BYTES / toolBytes,
    ratio: toolBytes / ourBytes,
    goal: SIZE_GOAL,
  });
  return [speed, size];
}

/** @param {() => Promise<void>} work */
async function megabytesPerSecond(work) {
  const start = performance.now();
  await work();
  return CORPUS_BYTES / MB / ((performance.now() - start) / 1000);
}

/**
 * Bytes that a tool writes. They go through a pipe to a counter: /dev/null would let some tools skip work.
 *
 * @param {readonly string[]} command
 * @returns {Promise<number>}
 */
function runTool([file = '', ...args]) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    let bytes = 0;
    child.stdout.on('data', (/** @type {Buffer} */ chunk) => (bytes += chunk.length));
    child.on('error', reject);
    child.on('close', (code) =>
      code === 0 ? resolve(bytes) : reject(new Error(`${file} exited ${code}`)),
    );
  });
}

/**
 * What every set-up machine has: half JavaScript, TypeScript and JSON text, half machine code.
 *
 * @param {string} path
 */
async function writeCorpus(path) {
  const require = createRequire(import.meta.url);
  const code = await head(plugin.options['onnxruntime'] ?? process.execPath, CORPUS_BYTES / 2);
  const modules = join(dirname(require.resolve('typescript')), '..', '..');
  const text = await gatherText(modules, CORPUS_BYTES - code.length);
  await writeFile(path, Buffer.concat([text, code]));
}

/**
 * @param {string} path
 * @param {number} bytes
 */
async function head(path, bytes) {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/**
 * @param {string} folder
 * @param {number} bytes
 */
async function gatherText(folder, bytes) {
  const names = (await readdir(folder, { recursive: true })).filter((name) =>
    /\.(js|ts|mjs|cjs|json|md)$/.test(name),
  );
  const parts = [];
  let left = bytes;
  for (const name of names.sort()) {
    if (left === 0) break;
    const part = await head(join(folder, name), left).catch(() => Buffer.alloc(0));
    parts.push(part);
    left -= part.length;
  }
  if (left > 0) throw new Error(`${folder} holds too little text; ${left} bytes are missing`);
  return Buffer.concat(parts);
}

/** Peak memory of the process that compresses a long stream. */
async function streamMemory() {
  const peakMB = await streamPeakMB(STREAM_BYTES);
  return row({
    bench: 'compress',
    case: `peak memory of a ${STREAM_BYTES / 1024 ** 3} GiB stream`,
    unit: 'MB',
    value: peakMB,
    peer: 'bound',
    peerValue: STREAM_MEMORY_MB,
    ratio: STREAM_MEMORY_MB / peakMB,
    goal: 1,
  });
}
