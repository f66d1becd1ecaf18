import { deepStrictEqual } from 'node:assert';

import { onlyRefuses } from '../../../test/fuzz/only-refuses.mjs';
import { parseInputItems } from '../../dist/perf/input-file.js';

/** @import { FuzzTarget } from '../../../test/fuzz/fuzz-loop.mjs' */

const inputs = /** @type {const} */ ([
  { name: 'x', dtype: 'FP32', shape: [2] },
  { name: '__proto__', dtype: 'BYTES', shape: [1] },
]);

/** @type {FuzzTarget} */
export const target = {
  about: 'input files of axle perf: items that are read have all inputs, of their types and shapes',
  run(bytes) {
    const items = onlyRefuses(() => parseInputItems(bytes.toString(), inputs));
    for (const item of items ?? []) {
      const read = Object.entries(item).map(([name, { dtype, shape }]) => ({ name, dtype, shape }));
      deepStrictEqual(read, inputs);
    }
  },
  seeds: () => [
    Buffer.from(
      '{"data": [{"x": [1, 2], "__proto__": ["a"]}, {"x": [[3], [4]], "__proto__": ["b"]}]}',
    ),
    Buffer.from('{"data": [{"x": {"b64": "AAAAAAAAAAA="}, "__proto__": {"content": ["\u00e9"]}}]}'),
    Buffer.from('{"data": [{"x": {"content": [1, 2]}, "__proto__": {"b64": "AQAAAGE="}}]}'),
  ],
  dictionary: [...'[]{}":,0123456789', 'data', 'content', 'b64', 'shape', '__proto__', '"NaN"'],
};
