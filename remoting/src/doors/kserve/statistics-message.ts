import type { CountedModel } from './model-statistics.js';

const nothing = { count: 0, ns: 0 };

/** Statistics as the protocol writes them, in gRPC as in JSON. Outputs come back in the run: they cost nothing apart. */
export function statisticsMessage(counted: CountedModel): object {
  return {
    name: counted.name,
    version: counted.version,
    last_inference: counted.lastInference,
    inference_count: counted.inferenceCount,
    execution_count: counted.executionCount,
    inference_stats: {
      success: counted.success,
      fail: counted.fail,
      queue: counted.queue,
      compute_input: counted.computeInput,
      compute_infer: counted.computeInfer,
      compute_output: nothing,
    },
    batch_stats: counted.batches.map(({ batchSize, computeInfer }) => ({
      batch_size: batchSize,
      compute_input: nothing,
      compute_infer: computeInfer,
      compute_output: nothing,
    })),
  };
}
