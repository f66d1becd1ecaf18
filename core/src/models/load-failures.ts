import type { Device } from '../backend.js';
import { AxleError, messageOf } from '../errors.js';
import type { ErrorCodeName } from '../generated/constants.js';
import { LruMap } from '../lru-map.js';
import type { Model } from './model.js';

/** Failures that are remembered, over all devices. */
const failuresMax = 1024;
/** How long a failure of the model itself is given again without another try, milliseconds. */
export const modelFailureMs = 60_000;
/** The same for a failure of the device: at first, twice as long after each further one, up to the most. */
export const backOffMs = 250;
export const backOffMsMax = 30_000;

/** Failures of a model, which fails in the same way when it is tried again. All others may be the device's. */
const modelCodes: ReadonlySet<ErrorCodeName> = new Set([
  'INVALID_ARGUMENT',
  'NOT_FOUND',
  'FAILED_PRECONDITION',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'DATA_LOSS',
]);

interface Failure {
  readonly error: unknown;
  readonly failedAt: number;
  readonly retryAt: number;
  /** Until the next try; undefined: the model's own failure. */
  readonly backOffMs: number | undefined;
}

/**
 * Loads that failed: which model on which device is not to be tried again for a while. Otherwise each call would load a
 * damaged model anew, or load a device that is out of memory once more.
 */
export class LoadFailures {
  private readonly failures = new LruMap<string, Failure>(failuresMax);

  /** @param clock milliseconds. */
  constructor(private readonly clock: () => number) {}

  note(device: Device, model: Model, error: unknown): void {
    const key = keyOf(device.id, model);
    const failedAt = this.clock();
    if (error instanceof AxleError && modelCodes.has(error.code)) {
      const retryAt = failedAt + modelFailureMs;
      this.failures.set(key, { error, failedAt, retryAt, backOffMs: undefined });
      return;
    }
    const before = this.failures.get(key)?.backOffMs ?? backOffMs / 2;
    const wait = Math.min(before * 2, backOffMsMax);
    this.failures.set(key, { error, failedAt, retryAt: failedAt + wait, backOffMs: wait });
  }

  /**
   * What a call is told instead of another try; undefined = try.
   *
   * @returns an error of the same code, which says that it is not from a try of now; its cause is the one that is.
   */
  refusal(device: Device, model: Model): AxleError | undefined {
    const failure = this.failures.get(keyOf(device.id, model));
    const now = this.clock();
    if (failure === undefined || now >= failure.retryAt) return undefined;
    const { error, failedAt, retryAt } = failure;
    const [code, retryable] =
      error instanceof AxleError
        ? ([error.code, error.retryable] as const)
        : (['UNKNOWN'] as const);
    const ago = ((now - failedAt) / 1000).toFixed(1);
    const left = ((retryAt - now) / 1000).toFixed(1);
    return new AxleError(
      code,
      `${messageOf(error)} (model '${model.name}' failed to load on ${device.id} ${ago} s ago; ` +
        `calls try it again in ${left} s, prefetch at once)`,
      retryable === undefined ? { cause: error } : { cause: error, retryable },
    );
  }

  /**
   * Why the model cannot be used there, as far as is known: its own failure until it loads, one of the device until it
   * would be tried again.
   */
  standing(deviceId: string, model: Model): unknown {
    const failure = this.failures.get(keyOf(deviceId, model));
    if (failure === undefined) return undefined;
    const lasts = failure.backOffMs === undefined || this.clock() < failure.retryAt;
    return lasts ? failure.error : undefined;
  }

  forget(device: Device, model: Model): void {
    this.failures.delete(keyOf(device.id, model));
  }
}

/** Warm-ups are part of loading, and no part of the content. */
function keyOf(deviceId: string, { source, warmUps }: Model): string {
  const config = warmUps.length === 0 ? '' : JSON.stringify(warmUps);
  return `${deviceId} ${source.contentId} ${config}`;
}
