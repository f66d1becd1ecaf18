import { connect, type CallReport, type Client } from 'axle';

import { FileError, UsageError } from '../failure.js';
import { openInput, readWhole } from '../input.js';
import { SeededRandom } from '../load/index.js';
import { makeInputs, type ModelDescription } from './model-inputs.js';
import type { PerfCommandOptions } from './perf-options.js';
import type { AnswerTiming } from './tally.js';
import type { Target } from './target.js';

const fileBytesMax = 1024 ** 3;
/** Of the echo plugin. */
const echoOp = 'echo.axle/echo';

type Call = (index: number) => Promise<CallReport>;

interface Work {
  readonly name: string;
  readonly items: number;
  readonly call: Call;
}

/** Calls of a client of Axle's own: in this process, or of the server that AXLE_ENDPOINT names. */
export async function openClientTarget(
  what: string,
  options: PerfCommandOptions,
  signal: AbortSignal,
): Promise<Target> {
  const { models, plugin: plugins } = options;
  const endpoint = process.env['AXLE_ENDPOINT'] || 'local:';
  if (plugins !== undefined && !endpoint.startsWith('local:')) {
    throw new UsageError('--plugin is for this process; a server has its own: axle serve --plugin');
  }
  const client = await connect({ models, plugins });
  try {
    const { name, items, call } = await workOf(client, what, options, signal);
    return {
      name,
      via: endpoint,
      items,
      send: async (index) => timingOf(await call(index)),
      close: () => client.close(),
    };
  } catch (error) {
    await client.close();
    throw error;
  }
}

async function workOf(
  client: Client,
  what: string,
  options: PerfCommandOptions,
  signal: AbortSignal,
): Promise<Work> {
  const { device, strict } = options;
  const placed = { device, strict };
  switch (what) {
    case 'classify': {
      const image = await fileOf(what, options, signal);
      return { name: what, items: 1, call: () => client.classify(image, placed) };
    }
    case 'compress': {
      const data = await fileOf(what, options, signal);
      return { name: what, items: 1, call: () => client.compress(data, placed) };
    }
    case 'decompress': {
      const data = await fileOf(what, options, signal);
      return { name: what, items: 1, call: () => client.decompress(data, placed) };
    }
    case 'echo':
      return { name: what, items: 1, call: await echo(client, options) };
    default: {
      const model = await describe(client, what);
      await client.prefetch(what, { ...placed, signal });
      const inputs = await makeInputs(model, inputSettings(options));
      const call: Call = (index) => client.infer(what, inputs[index % inputs.length] ?? {}, placed);
      return { name: what, items: options.batchSize, call };
    }
  }
}

export function inputSettings(options: PerfCommandOptions) {
  const { batchSize, shape: shapes = new Map(), inputData: data, stringLength, seed } = options;
  return { batchSize, shapes, data, stringLength, seed };
}

async function describe(client: Client, reference: string): Promise<ModelDescription> {
  const { name, maxBatchSize, inputs } = await client.model(reference);
  return { name, maxBatchSize, inputs };
}

async function fileOf(
  what: string,
  { file }: PerfCommandOptions,
  signal: AbortSignal,
): Promise<Buffer> {
  if (file === undefined) throw new UsageError(`axle perf ${what} takes --file, what it works on`);
  const input = await openInput(file);
  try {
    return await readWhole(input, fileBytesMax, signal);
  } finally {
    await input.close();
  }
}

async function echo(
  client: Client,
  { size, seed, device, strict }: PerfCommandOptions,
): Promise<Call> {
  const ops = await client.ops();
  if (!ops.some(({ name }) => name === echoOp)) {
    throw new FileError(
      'NOT_FOUND',
      `no device has ${echoOp}; bring it along by --plugin echo=plugins/echo/build/libaxle_echo.so, here or with axle serve`,
    );
  }
  const payload = await client.allocate(size);
  const random = new SeededRandom(seed);
  for (let at = 0; at < payload.byteLength; at += 1) payload[at] = random.below(256);
  return () => client.run(echoOp, { bytes: payload }, { device, strict });
}

function timingOf({ timingMs, steps }: CallReport): AnswerTiming {
  const { queue, transfer, compute } = timingMs;
  return {
    queueMs: queue,
    transferMs: transfer,
    computeMs: compute,
    batchSize: steps[0]?.batchSize ?? 1,
  };
}
