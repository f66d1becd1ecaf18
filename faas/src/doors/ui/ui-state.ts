import type { Deployment } from '../../functions/deployment.js';
import type { CallFigures } from '../../metrics/gateway-metrics.js';
import type { FunctionReport, StartFailure } from '../../calls/served-function.js';
import type { PoolSample } from './pool-sample.js';

/** What the page shows: counters since the front end started, from which it makes rates. */
export interface UiState {
  /** Milliseconds, of the server's clock that does not jump. */
  readonly atMs: number;
  readonly functions: readonly UiFunction[];
  /** Null: the front end has no pool, or none that tells of itself. */
  readonly pool: PoolSample | null;
  /** Why there is nothing of the pool; '' otherwise. */
  readonly poolTrouble: string;
}

export interface UiFunction {
  readonly name: string;
  readonly image: string;
  /** Instances that take calls. */
  readonly instances: number;
  /** Calls that wait for one. */
  readonly waiting: number;
  readonly calls: number;
  /** That were answered with a status of 500 or more. */
  readonly failures: number;
  readonly coldStarts: number;
  /** Of all calls that ended, together. */
  readonly seconds: number;
  readonly ended: number;
  /** Why what was deployed last does not run; '': it does. */
  readonly failure: string;
}

export function uiFunction(
  { name, image }: Pick<Deployment, 'name' | 'image'>,
  report: FunctionReport | undefined,
  { calls, ended, failures, coldStarts, seconds }: CallFigures,
  failure: StartFailure | undefined,
): UiFunction {
  const { ready: instances = 0, waiting = 0 } = report ?? {};
  return {
    ...{ name, image, instances, waiting, calls, ended, failures, coldStarts, seconds },
    failure: failure === undefined ? '' : `${failure.code}: ${failure.message}`,
  };
}
