import { asAxleError } from '../as-axle-error.js';
import type { Calls } from '../calls/function-call.js';
import { httpStatusOf } from '../doors/error-status.js';
import type { Functions } from '../functions/functions.js';
import type { GatewayMetrics } from './gateway-metrics.js';

/** Calls that came through no door that is open still: counted until the head of their answer. */
export function countedCalls(functions: Functions, metrics: () => GatewayMetrics): Calls {
  return {
    async invoke(call) {
      const { functionName: name } = call;
      // What is not deployed any more becomes no label.
      if (functions.get(name) === undefined) return functions.invoke(call);
      const startedAt = performance.now();
      const end = (status: number): void =>
        metrics().end(name, status, performance.now() - startedAt);
      metrics().start(name);
      try {
        const answer = await functions.invoke(call);
        if (answer.isColdStart) metrics().coldStart(name);
        end(answer.status);
        return answer;
      } catch (error) {
        end(httpStatusOf(asAxleError(error)));
        throw error;
      }
    },
  };
}
