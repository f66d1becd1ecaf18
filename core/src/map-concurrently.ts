import { errorAtIndex } from './errors.js';

/** Runs at most `concurrency` at a time, results in order; rejects with the first failure, saying whose it was. */
export async function mapConcurrently<I, O>(
  inputs: readonly I[],
  concurrency: number,
  run: (input: I) => Promise<O>,
): Promise<O[]> {
  const outputs = new Array<O>(inputs.length);
  let next = 0;
  let failed = false;
  const worker = async () => {
    while (next < inputs.length && !failed) {
      const index = next++;
      try {
        outputs[index] = await run(inputs[index] as I);
      } catch (error) {
        failed = true;
        throw errorAtIndex(error, index);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, inputs.length) }, worker));
  return outputs;
}
