import { ok } from 'node:assert';

import { onlyRefuses } from '../../../test/fuzz/only-refuses.mjs';
import { defaultDoorLimits } from '../../dist/doors/door-limits.js';
import { readInferBody } from '../../dist/doors/http/infer-body.js';
import { notAtLimit } from './at-limit.mjs';

/** @import { FuzzTarget } from '../../../test/fuzz/fuzz-loop.mjs' */

/** The most that a character of JSON stands for. */
const WIDEST = 8;

/** The first two bytes say how long the JSON is. @param {string} json @param {Buffer} [raw] */
const seed = (json, raw = Buffer.alloc(0)) => {
  const length = Buffer.alloc(2);
  length.writeUInt16LE(json.length);
  return Buffer.concat([length, Buffer.from(json), raw]);
};

/** @type {FuzzTarget} */
export const target = {
  about: 'bodies of REST: refused or read, and never into more than they brought',
  run(bytes) {
    const body = Buffer.from(bytes.subarray(2));
    const jsonBytes = String((bytes[0] ?? 0) + 256 * (bytes[1] ?? 0));
    const read = onlyRefuses(() =>
      notAtLimit(() =>
        readInferBody(body, jsonBytes, { model: 'm', version: '' }, defaultDoorLimits),
      ),
    );
    for (const { data } of read?.request.inputs ?? []) {
      ok((data?.byteLength ?? 0) <= WIDEST * bytes.byteLength);
    }
  },
  seeds: () => [
    seed('{"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":[[1,2.5]]}]}'),
    seed(
      '{"id":"7","inputs":[{"name":"x","datatype":"INT64","shape":[1],"data":[9223372036854775807]}]}',
    ),
    seed(
      '{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"parameters":{"binary_data_size":4}}]}',
      Buffer.alloc(4),
    ),
    seed(
      '{"inputs":[{"name":"x","datatype":"BYTES","shape":[1],"data":["a"]}],"outputs":[{"name":"y"}]}',
    ),
  ],
  dictionary: ['"data":', '"parameters":{', 'binary_data_size', '[[', '1e999', '-0', '__proto__'],
};
