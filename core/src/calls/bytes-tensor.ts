import type { NamedTensor } from '../backend.js';
import { Tensor } from '../tensor.js';

/** The one input of an op that takes bytes, in the pieces that they lie in. */
export function bytesTensor(pieces: readonly Uint8Array[]): NamedTensor {
  const bytes = pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
  return { name: '', tensor: Tensor.fromSegments('UINT8', pieces, [bytes]) };
}
