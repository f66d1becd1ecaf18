import type { AxleError } from '@axle/core/internal';

import type { LogFields } from '../log/log.js';
import type { RawFrame } from '../wire/frame-splitter.js';
import type { FailedBefore } from './failed-before.js';

/** What the log may say of a request. */
export type RequestTold = Pick<
  LogFields,
  'model' | 'queueMs' | 'computeMs' | 'bytesIn' | 'bytesOut' | 'traceId'
> & { readonly op?: string };

/** What a connection holds under a handle. The front alone sets the two marks. */
export abstract class Held {
  /** Its final answer was sent. */
  isAnswered = false;
  /** Its name was taken away: no frame may name it any more. */
  isReleased = false;

  get told(): RequestTold {
    return {};
  }

  /** DATA of the handle; never called once it was answered. By itself it was on its way when nobody wanted it any more. */
  onData(_raw: RawFrame): void {
    // Its credit was given back with the frame.
  }

  /** Never called once it was answered. By itself it is answered so soon that there is nothing to cancel. */
  cancel(_reason: AxleError): void {
    // The answer that is due comes.
  }

  /** It was answered with ERROR, and so is what waits for it. */
  onFailed(_error: FailedBefore): void {
    // Nothing waits.
  }

  /** It stands for nothing any more: it was answered and released, or the connection ended. Called once. */
  close(): void {
    // Nothing is held.
  }
}
