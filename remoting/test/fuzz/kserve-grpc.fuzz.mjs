import { ok } from 'node:assert';

import { onlyRefuses } from '../../../test/fuzz/only-refuses.mjs';
import { readInferRequest } from '../../dist/doors/grpc/infer-message.js';
import { notAtLimit } from './at-limit.mjs';

/** @import { FuzzTarget } from '../../../test/fuzz/fuzz-loop.mjs' */

/** The most that a byte of typed contents stands for: INT64 of one digit. */
const WIDEST = 8;

/** A ModelInferRequest of one input. @param {string} fields of the input, in hex @param {string} [rest] */
const request = (fields, rest = '') =>
  Buffer.from(
    `0a016d2a${(fields.length / 2).toString(16).padStart(2, '0')}${fields}${rest}`,
    'hex',
  );

/** @type {FuzzTarget} */
export const target = {
  about: 'ModelInferRequest: refused or read, and never into more than it brought',
  run(bytes) {
    const read = onlyRefuses(() => notAtLimit(() => readInferRequest(bytes)));
    if (read === undefined) return;
    for (const { shape, data } of read.inputs) {
      ok(shape.every(Number.isInteger) && shape.length <= 32);
      ok((data?.byteLength ?? 0) <= WIDEST * bytes.byteLength);
    }
  },
  seeds: () => [
    // FP32 [1, 1], raw
    request('0a017812044650333 21a020101'.replace(' ', ''), '3a0400000000'),
    // INT64 [2], typed
    request('0a01781205494e5436341a01022a041a020102'),
    // BYTES [1], typed, with a parameter
    request('0a017812054259544553 1a01012a0342016122060a01701202 0801'.replaceAll(' ', '')),
  ],
  dictionary: ['FP32', 'INT8', 'BOOL', 'BYTES', 'shared_memory_region', '\x2a\x04', '\x80\x80\x80'],
};
