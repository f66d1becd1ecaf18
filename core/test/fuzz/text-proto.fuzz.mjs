import { deepStrictEqual } from 'node:assert';

import { onlyRefuses } from '../../../test/fuzz/only-refuses.mjs';
import { parseTextProto } from '../../dist/models/text-proto.js';

/** @import { FuzzTarget } from '../../../test/fuzz/fuzz-loop.mjs' */
/** @import { TextMessage, TextValue } from '../../dist/models/text-proto.js' */

/** @type {FuzzTarget} */
export const target = {
  about: "protobuf's text format: what is read prints as text that reads the same",
  run(bytes) {
    const message = onlyRefuses(() => parseTextProto(bytes.toString(), 'fuzz'));
    if (message === undefined) return;
    deepStrictEqual(parseTextProto(printMessage(message), 'printed'), message);
  },
  seeds: () => [
    'name: "x" max_batch_size: 8 # so many\ninput [ { name: \'a\' data_type: TYPE_FP32 dims: [ -1, 0x10 ] } ]',
    'a < b { c: 1.5e-3f, d: .5; e: -07 } > f: "\\x41\\101\\u00e9\\U0001F680\\n" "and" \'more\'',
  ],
  dictionary: [...'{}[]<>:,;#"\'\\-.', '\\x', '\\u', '\\U', '0x', '1e', 'inf', 'name', 'é', '🚀'],
};

/**
 * @param {TextMessage} message
 * @returns {string}
 */
function printMessage(message) {
  return [...message]
    .map(([name, values]) => `${name}: [${values.map(printValue).join(', ')}]`)
    .join('\n');
}

/**
 * @param {TextValue} value
 * @returns {string}
 */
function printValue(value) {
  if (value.kind === 'message') return `{ ${printMessage(value.value)} }`;
  if (value.kind === 'word') return value.value;
  if (value.kind === 'number') return printNumber(value.value);
  const octal = [...Buffer.from(value.value)].map((byte) => byte.toString(8).padStart(3, '0'));
  return `"${octal.map((digits) => `\\${digits}`).join('')}"`;
}

/** @param {number} value */
function printNumber(value) {
  if (Number.isFinite(value)) return Object.is(value, -0) ? '-0' : String(value);
  return value > 0 ? '1e999' : '-1e999';
}
