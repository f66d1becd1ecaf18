/** @import { Random } from './random.mjs' */

/** Numbers at which lengths, counts and signs change their meaning. */
const INTERESTING = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0xffffffff];

/**
 * One to eight random changes of an input.
 *
 * @param {Buffer} input
 * @param {{ corpus: readonly Buffer[], dictionary: readonly Buffer[], bytesMax: number, random: Random }} from
 * @returns {Buffer}
 */
export function mutate(input, { corpus, dictionary, bytesMax, random }) {
  let bytes = Buffer.from(input);
  for (let left = 1 << random.below(4); left > 0; left--) {
    bytes = change(bytes, corpus, dictionary, random).subarray(0, bytesMax);
  }
  return bytes;
}

/**
 * @param {Buffer} bytes may be changed in place
 * @param {readonly Buffer[]} corpus
 * @param {readonly Buffer[]} dictionary
 * @param {Random} random
 * @returns {Buffer}
 */
function change(bytes, corpus, dictionary, random) {
  const at = random.below(bytes.length + 1);
  const end = Math.min(bytes.length, at + 1 + random.below(16));
  switch (random.below(10)) {
    case 0:
      if (at < bytes.length) bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << random.below(8)), at);
      return bytes;
    case 1:
      if (at < bytes.length) bytes.writeUInt8(random.below(256), at);
      return bytes;
    case 2:
      return splice(bytes, at, end, Buffer.alloc(0));
    case 3:
      return splice(bytes, at, at, Buffer.from([random.below(256)]));
    case 4:
      return overwrite(bytes, at, number(random));
    case 5:
      // Something twice, or hundreds of times: what nests and what counts shows only then.
      return splice(bytes, at, at, repeated(bytes.subarray(at, end), random));
    case 6: {
      const other = random.pick(corpus);
      const from = random.below(other.length + 1);
      return splice(bytes, at, bytes.length, other.subarray(from));
    }
    case 7: {
      const other = random.pick(corpus);
      const from = random.below(other.length + 1);
      return splice(bytes, at, at, other.subarray(from, from + 1 + random.below(32)));
    }
    case 8:
      if (dictionary.length > 0) return overwrite(bytes, at, random.pick(dictionary));
      return bytes;
    default:
      if (dictionary.length > 0) return splice(bytes, at, at, random.pick(dictionary));
      return bytes;
  }
}

/**
 * @param {Buffer} bytes
 * @param {number} start
 * @param {number} end
 * @param {Uint8Array} between
 */
function splice(bytes, start, end, between) {
  return Buffer.concat([bytes.subarray(0, start), between, bytes.subarray(end)]);
}

/**
 * @param {Buffer} bytes
 * @param {number} at
 * @param {Buffer} by
 */
function overwrite(bytes, at, by) {
  return splice(bytes, at, Math.min(bytes.length, at + by.length), by);
}

/** @param {Random} random */
function number(random) {
  const bytes = Buffer.alloc(1 << random.below(4));
  const value = random.pick(INTERESTING);
  const size = Math.min(4, bytes.length);
  const kept = size === 4 ? value : value % 2 ** (8 * size);
  if (random.below(2) === 0) bytes.writeUIntLE(kept, 0, size);
  else bytes.writeUIntBE(kept, bytes.length - size, size);
  return bytes;
}

/**
 * @param {Buffer} piece
 * @param {Random} random
 */
function repeated(piece, random) {
  const count = random.below(8) === 0 ? 1 << random.below(13) : 1;
  return Buffer.concat(Array.from({ length: count }, () => piece));
}
