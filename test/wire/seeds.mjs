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
/** Of WELCOME. */
const FEATURES_AT = 32;
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
  const others = said.flatMap(({ frame }, place) =>
    Array.from({ length: (frame[TYPE_AT] ?? 0) < FIRST_SMALL ? 1 : HANDLES }, (_, i) => {
      const answer = Buffer.from(frame);
      if (answer.length >= ID_AT + 8 && (frame[TYPE_AT] ?? 0) >= FIRST_SMALL) {
        answer.writeBigUInt64LE(BigInt(i + 1), ID_AT);
      }
      return Buffer.concat([Buffer.of((place * 7 + i) % 64), welcome, answer]);
    }),
  );
  return [...others, sharedSeed(welcome)];
}

/**
 * A server that grants the guest's memory, and has written a result to where the target wants it.
 *
 * @param {Buffer} welcome
 * @returns {Buffer}
 */
function sharedSeed(welcome) {
  const granting = Buffer.from(welcome);
  granting.writeBigUInt64LE(3n, FEATURES_AT);
  const result = Buffer.alloc(16 + 24 + 24 + 16);
  result.writeUInt32LE(result.length - 16, 0);
  result.writeUInt8(0x20, TYPE_AT);
  result.writeBigUInt64LE(3n, ID_AT);
  // A batch of 1, no device, one output: slot 0, UINT8, rank 1, SHARED; 5000 bytes at 4096 of arena 0.
  result.writeUInt16LE(1, 32);
  result.writeUInt16LE(65535, 34);
  result.writeUInt16LE(1, 36);
  result.set([0, 0, 2, 1, 3], 40);
  for (const [at, value] of [
    [48, 5000n],
    [56, 5000n],
    [72, 4096n],
  ]) {
    result.writeBigUInt64LE(value, at);
  }
  return Buffer.concat([Buffer.of(0x80 | 63), granting, result]);
}
