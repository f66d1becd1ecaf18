import { AxleError } from '@axle/core';

import { WIRE_ERROR_DOC, type WireErrorIdName } from '../generated/wire.js';

/**
 * A frame that breaks the protocol: what decoders throw, for any bytes, and nothing else. The connection that it came
 * over is to be ended with GOAWAY and this error's number.
 */
export class WireError extends AxleError {
  constructor(
    readonly wireError: WireErrorIdName,
    /** The frame or field that it is about. */
    where: string,
  ) {
    super('INVALID_ARGUMENT', `${where}: ${wordsOf(WIRE_ERROR_DOC[wireError])} (${wireError})`);
  }
}

/** What is about no frame is in brackets. */
function wordsOf(doc: string): string {
  return doc.startsWith('(') ? doc.slice(1, -1) : `a frame ${doc}`;
}
