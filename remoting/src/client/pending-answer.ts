import type { AxleError } from '@axle/core/internal';

import type { RawFrame } from '../wire/frame-splitter.js';

/** What waits for the answer of a handle. */
export interface PendingAnswer {
  /** What it sends may wait for as long as the other side likes: it takes no more than its window. */
  readonly mayWait?: true;
  /** Any frame of the handle but ERROR. @returns whether it was the last */
  onFrame(raw: RawFrame): boolean;
  /** It hears more frames of the handle after the last of its answer. */
  readonly stays?: boolean;
  /** Nothing more comes. */
  onFailed(error: AxleError): void;
  /** The server keeps its answer until it is acknowledged: that of a call whose op is neither PURE nor IDEMPOTENT. */
  readonly isKept?: boolean;
  /**
   * Its connection was lost, and it waits for the next one, where the journal makes its handle again. What does not have
   * this fails with its connection.
   *
   * @param neverRan the server is sure not to have begun it.
   */
  onLost?(reason: AxleError, neverRan: boolean): void;
}
