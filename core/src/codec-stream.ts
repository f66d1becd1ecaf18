import type { Transform } from 'node:stream';

import type { TimingMs } from './results.js';

/**
 * A Node Duplex that compresses or decompresses in constant memory, with back-pressure both ways. Small writes are
 * gathered, so that a device gets pieces worth splitting over its cores. Use with `pipeline`.
 */
export interface CodecStream extends Transform {
  /** The device that runs it; undefined until the first byte. */
  readonly device: string | undefined;
  /** Where the time went so far; `total` counts from when the stream was made. */
  readonly timingMs: TimingMs;
}
