import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { ROOT } from '../../scripts/repository.mjs';

const VECTORS = join(ROOT, 'proto/vectors');

/** @returns {{ from: string, frame: Buffer }[]} */
function vectors() {
  return readdirSync(VECTORS)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .flatMap((file) => JSON.parse(readFileSync(join(VECTORS, file), 'utf8')))
    .map(({ from, bytes }) => {
      const hex = bytes.map((/** @type {[string, string]} */ [, piece]) => piece).join('');
      return { from, frame: Buffer.from(hex, 'hex') };
    });
}

/**
 * What the fuzz targets of the wire protocol begin with: the test vectors, after a byte whose lowest bit says who sends.
 *
 * @returns {Buffer[]}
 */
export function wireSeeds() {
  return vectors().map(({ from, frame }) =>
    Buffer.concat([Buffer.of(from === 'client' ? 0 : 1), frame]),
  );
}

const TYPE_AT = 4;
const ID_AT = 8;
const WELCOME = 0x02;
const FIRST_SMALL = 0x10;
/** Handles that the target of the client makes. */
const HANDLES = 7;

/**
 * What servers say to the target of the C client: a greeting, and each frame of theirs as the answer to each of its
 * requests.
 *
 * @returns {Buffer[]}
 */
export function clientSeeds() {
  const said = vectors().filter(({ from, frame }) => from === 'server' && frame.length > ID_AT);
  const welcome = said.find(({ frame }) => frame[TYPE_AT] === WELCOME)?.frame;
  if (welcome === undefined) throw new Error('proto/vectors has no WELCOME');
  return said.flatMap(({ frame }, place) =>
    Array.from({ length: (frame[TYPE_AT] ?? 0) < FIRST_SMALL ? 1 : HANDLES }, (_, i) => {
      const answer = Buffer.from(frame);
      if (answer.length >= ID_AT + 8 && (frame[TYPE_AT] ?? 0) >= FIRST_SMALL) {
        answer.writeBigUInt64LE(BigInt(i + 1), ID_AT);
      }
      return Buffer.concat([Buffer.of((place * 7 + i) % 64), welcome, answer]);
    }),
  );
}
