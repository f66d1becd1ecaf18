import { AxleError, type NamedTensor } from '@axle/core/internal';

import type { FailedBefore } from './failed-before.js';
import type { Front } from './front.js';
import type { Future } from './future.js';
import { Held } from './held.js';

/**
 * What may hold tensors that calls can name: a CALL, or a PUT. Those it keeps count for its connection, and for its tenant,
 * until it closes.
 */
export abstract class TensorHolder extends Held {
  private keptBytes = 0;
  private isClosed = false;

  /** @param kept undefined: it keeps none */
  protected constructor(
    protected readonly front: Front,
    readonly kept: Future<readonly NamedTensor[]> | undefined,
  ) {
    super();
  }

  /** It is to be answered, and there is someone to. */
  protected get isOpen(): boolean {
    return !this.isAnswered && !this.isClosed;
  }

  override onFailed(error: FailedBefore): void {
    this.kept?.fail(error);
  }

  override close(): void {
    this.isClosed = true;
    this.front.keptBytes -= this.keptBytes;
    this.front.tenant.usage.give('requestBytes', this.keptBytes);
    this.keptBytes = 0;
  }

  /** @throws AxleError RESOURCE_EXHAUSTED when the connection keeps too much */
  protected keep(bytes: number): void {
    const { front } = this;
    const { keptBytesMax } = front;
    if (front.keptBytes + bytes > keptBytesMax) {
      throw new AxleError(
        'RESOURCE_EXHAUSTED',
        `${bytes} bytes more than the ${front.keptBytes} kept are past the limit of ${keptBytesMax} of a connection; release some`,
        { retryable: false },
      );
    }
    front.tenant.usage.take('requestBytes', bytes);
    front.keptBytes += bytes;
    this.keptBytes += bytes;
  }
}

export function bytesOf(tensors: readonly NamedTensor[]): number {
  return tensors.reduce((sum, { tensor }) => sum + tensor.byteLength, 0);
}

/** The tensor at a position among those that are kept. @throws AxleError INVALID_ARGUMENT where there is none */
export function outputAt(tensors: readonly NamedTensor[], output: number, handle: number) {
  const found = tensors.find(({ position }, index) => (position ?? index) === output);
  if (found !== undefined) return found.tensor;
  throw new AxleError(
    'INVALID_ARGUMENT',
    `handle ${handle} keeps ${tensors.length} tensors, and none as output ${output}`,
  );
}
