import { transferredAway } from '../attached-memory.js';
import type { NamedTensor } from '../backend.js';
import type { BinaryPieces } from '../binary-input.js';
import { Tensor } from '../tensor.js';

/**
 * The one input of an op that takes bytes, in the pieces that they lie in.
 *
 * @param what for messages: 'image', 'input'.
 * @throws AxleError INVALID_ARGUMENT when some of it was transferred away after it was read: what is left would pass
 * for a shorter input.
 */
export function bytesTensor({ pieces, byteLength }: BinaryPieces, what: string): NamedTensor {
  const left = pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
  if (left !== byteLength) throw transferredAway(what);
  return { name: '', tensor: Tensor.fromSegments('UINT8', pieces, [byteLength]) };
}
