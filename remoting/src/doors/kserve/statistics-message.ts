import type { CountedModel } from './model-statistics.js';

/**
 * Statistics as the protocol writes them, in gRPC as in JSON. Devices tell the time to move data both ways as one: it is in
 * compute_input, and there is no compute_output.
 */
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
    },
    batch_stats: counted.batches.map(({ batchSize, computeInput, computeInfer }) => ({
      batch_size: batchSize,
      compute_input: computeInput,
      compute_infer: computeInfer,
    })),
  };
}
