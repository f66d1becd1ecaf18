import type { ErrorCodeName } from '@axle/core/internal';

import type { AnswerJson } from './infer-answer.js';
import type { InferJson } from './infer-body.js';
import type { RequestOptions } from './request-options.js';
import type { ServerSettings } from '../kserve/operator-settings.js';

export type ReadKind = 'readInfer' | 'readOptions' | 'readSettings';

/** What comes of either. */
export type JsonValue = InferJson | RequestOptions | ServerSettings | Uint8Array;

/** What a thread for large JSON is asked to do. */
export type JsonTask =
  | {
      readonly kind: ReadKind;
      readonly json: Uint8Array;
      readonly bytesMax: number;
    }
  | { readonly kind: 'writeAnswer'; readonly answer: AnswerJson };

/** What comes of it. An error loses its class on the way between threads. */
export type JsonOutcome =
  | { readonly value: JsonValue }
  | { readonly code: ErrorCodeName; readonly message: string; readonly retryable: boolean };
