import { LruMap } from '@axle/core/internal';

import { headBytesMax, headsMax } from '../door-limits.js';
import { readInferJson, type InferJson } from './infer-body.js';

/**
 * Reads the JSON of inferences. What comes before the tensors of a client is the same for each of its requests as a rule: it
 * is read once.
 */
export class InferHeads {
  private readonly known = new LruMap<string, InferJson>(headsMax);

  constructor(private readonly jsonBytesMax: number) {}

  /** @param length of the JSON, with which the body begins. @throws AxleError as `readInferJson` */
  read(body: Buffer, length: number): InferJson {
    const isHead = length <= headBytesMax && length < body.byteLength;
    // A character for each byte.
    const key = isHead ? body.toString('latin1', 0, length) : '';
    const before = isHead ? this.known.get(key) : undefined;
    if (before !== undefined) return before;
    const read = readInferJson(body.subarray(0, length), this.jsonBytesMax);
    // With an id, it does not come again.
    if (isHead && read.id === '') this.known.set(key, read);
    return read;
  }
}
