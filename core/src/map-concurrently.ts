import { onAbort } from './abort-listeners.js';
import type { CallOptions } from './client.js';
import { errorAtIndex } from './errors.js';

/**
 * Runs at most `concurrency` at a time, results in order. Rejects with the first failure, saying whose it was, and stops
 * the others. The deadline of the options is that of the whole array.
 */
export async function mapConcurrently<I, O, C extends CallOptions>(
  inputs: readonly I[],
  concurrency: number,
  options: C,
  run: (input: I, options: C) => Promise<O>,
): Promise<O[]> {
  const outputs = new Array<O>(inputs.length);
  const stop = new AbortController();
  const stopListening = listen(options.signal, stop);
  const optionsNow = optionsWithin(options, stop.signal);
  let next = 0;
  const worker = async () => {
    while (next < inputs.length && !stop.signal.aborted) {
      const index = next++;
      try {
        outputs[index] = await run(inputs[index] as I, optionsNow());
      } catch (error) {
        const reason = errorAtIndex(error, index);
        stop.abort(reason);
        throw reason;
      }
    }
    stop.signal.throwIfAborted();
  };
  try {
    // Also where there is nothing to do.
    stop.signal.throwIfAborted();
    await Promise.all(Array.from({ length: Math.min(concurrency, inputs.length) }, worker));
  } finally {
    stopListening();
  }
  return outputs;
}

function listen(signal: AbortSignal | undefined, stop: AbortController): () => void {
  if (signal === undefined) return () => undefined;
  if (signal.aborted) stop.abort(signal.reason);
  return onAbort(signal, () => {
    stop.abort(signal.reason);
  });
}

/** Options of one element that starts now. */
function optionsWithin<C extends CallOptions>(options: C, signal: AbortSignal): () => C {
  const { deadlineMs } = options;
  if (typeof deadlineMs !== 'number') return () => ({ ...options, signal });
  const deadlineAt = performance.now() + deadlineMs;
  return () => ({ ...options, signal, deadlineMs: Math.max(0, deadlineAt - performance.now()) });
}
