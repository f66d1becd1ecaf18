import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { ROOT } from '../../scripts/repository.mjs';

const VECTORS = join(ROOT, 'proto/vectors');

/**
 * What the fuzz targets of the wire protocol begin with: the test vectors, after a byte whose lowest bit says who sends.
 *
 * @returns {Buffer[]}
 */
export function wireSeeds() {
  return readdirSync(VECTORS)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .flatMap((file) => JSON.parse(readFileSync(join(VECTORS, file), 'utf8')))
    .map(({ from, bytes }) => {
      const hex = bytes.map((/** @type {[string, string]} */ [, piece]) => piece).join('');
      return Buffer.concat([Buffer.of(from === 'client' ? 0 : 1), Buffer.from(hex, 'hex')]);
    });
}
