import { connectKserve, type KserveStatistics } from '@axle/remoting';

import { UsageError } from '../failure.js';
import { inputSettings } from './client-target.js';
import { makeInputs } from './model-inputs.js';
import type { PerfCommandOptions } from './perf-options.js';
import type { ServerSums } from './tally.js';
import type { Target } from './target.js';

const nsPerMs = 1e6;

/** Requests to a model through a door of KServe v2: Axle's, or Triton's. */
export async function openDoorTarget(
  url: string,
  reference: string,
  options: PerfCommandOptions,
): Promise<Target> {
  const { batchSize, device, plugin, models } = options;
  const given = Object.entries({ device, plugin, models }).find(([, value]) => value !== undefined);
  if (given !== undefined) {
    throw new UsageError(`--${given[0]} does not go with --door: the server has its own`);
  }
  // As elsewhere: NAME or NAME:VERSION.
  const [, name = reference, version = ''] = /^(.*):(\d+)$/.exec(reference) ?? [];
  const client = await connectKserve(url, {
    input: options.inputTensorFormat,
    output: options.outputTensorFormat,
  });
  try {
    const model = await client.model(name, version);
    // Who may not ask this hears it before the work.
    await client.statistics(name, version);
    const inputs = await makeInputs(model, inputSettings(options));
    const requests = inputs.map((each) => client.prepare({ model: name, version, inputs: each }));
    return {
      name: reference,
      via: url,
      items: batchSize,
      send: async (index) => {
        await requests[index % requests.length]?.();
        return undefined;
      },
      serverSums: async () => sumsOf(await client.statistics(name, version)),
      close: () => Promise.resolve(client.close()),
    };
  } catch (error) {
    client.close();
    throw error;
  }
}

function sumsOf(statistics: KserveStatistics | undefined): ServerSums | undefined {
  if (statistics === undefined) return undefined;
  const { successCount, inferenceCount, executionCount, computeOutputNs } = statistics;
  return {
    requests: successCount,
    inferences: inferenceCount,
    executions: executionCount,
    queueMs: statistics.queueNs / nsPerMs,
    inputMs: statistics.computeInputNs / nsPerMs,
    inferMs: statistics.computeInferNs / nsPerMs,
    outputMs: computeOutputNs === undefined ? undefined : computeOutputNs / nsPerMs,
  };
}
