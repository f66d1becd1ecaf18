import { deepStrictEqual, ok } from 'node:assert';

import { onlyRefuses } from '../../../test/fuzz/only-refuses.mjs';
import { formatTensorJson, largestElement, parseTensorJson } from '../../dist/tensor-json.js';

/** @import { FuzzTarget } from '../../../test/fuzz/fuzz-loop.mjs' */

const objects = ['FP16', 'BF16', 'FP64', 'INT64', 'UINT64', 'INT8', 'BOOL', 'BYTES'].map((type) => {
  const values = type === 'BOOL' ? 'true, false' : type === 'BYTES' ? '"a", "é"' : '1, "2"';
  return `{"datatype": "${type}", "shape": [2], "data": [${values}]}`;
});

/** @type {FuzzTarget} */
export const target = {
  about: 'tensors as JSON: one that is read prints as JSON that reads to the same bytes',
  // Deep nesting is what recursion fails at.
  bytesMax: 65_536,
  run(bytes) {
    const array = onlyRefuses(() => parseTensorJson(bytes.toString(), undefined));
    if (array === undefined) return;
    const count = array.shape.reduce((product, size) => product * size, 1);
    const again = parseTensorJson(formatTensorJson(array), array.dtype);
    deepStrictEqual(contentOf(again), contentOf(array));
    const largest = largestElement(array);
    ok(largest === undefined || largest.index < count);
  },
  seeds: () => [
    '[[1, 2.5], [-3e2, "NaN"]]',
    '[true, false]',
    '"word"',
    '{"shape": [2, 0], "data": []}',
    '[[[[1]]], [[["-Infinity"]]]]',
    `{"data": ${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}}`,
    ...objects,
  ],
  dictionary: [
    ...'[]{},:"-.',
    ...['"data"', '"shape"', '"datatype"', '"dtype"', 'null', 'true', '1e999', '"Infinity"', '-0'],
    ...['18446744073709551615', '"-9223372036854775808"', '{"a":', '\\ud800', '"__proto__"'],
  ],
};

/** @param {import('../../dist/tensor-json.js').ArrayData} array */
function contentOf(array) {
  return array.dtype === 'BYTES' ? array.elements.map(String) : Buffer.from(array.bytes);
}
