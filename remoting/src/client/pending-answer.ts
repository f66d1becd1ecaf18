import type { AxleError } from '@axle/core/internal';

import type { RawFrame } from '../wire/frame-splitter.js';

/** What waits for the answer of a handle. */
export interface PendingAnswer {
  /** What it sends may wait for as long as the other side likes: it takes no more than its window. */
  readonly mayWait?: true;
  /** Any frame of the handle but ERROR. @returns whether it was the last */
  onFrame(raw: RawFrame): boolean;
  /** Nothing more comes. */
  onFailed(error: AxleError): void;
}
