import { ok } from 'node:assert';

import { onlyRefuses } from '../../../test/fuzz/only-refuses.mjs';
import { addModel, onnxModel } from '../../../test/onnx-model.mjs';
import { readOnnxMetadata } from '../../dist/models/onnx-metadata.js';

/** @import { FuzzTarget } from '../../../test/fuzz/fuzz-loop.mjs' */

/** @type {FuzzTarget} */
export const target = {
  about: 'the metadata of ONNX files',
  run(bytes) {
    const metadata = onlyRefuses(() => readOnnxMetadata(bytes, 'fuzz.onnx'));
    if (metadata === undefined) return;
    for (const { name, shape } of [...metadata.inputs, ...metadata.outputs]) {
      ok(typeof name === 'string');
      for (const size of shape) ok(Number.isSafeInteger(size) && size >= -1, `a size of ${size}`);
    }
    ok(metadata.externalFiles.every((file) => typeof file === 'string'));
  },
  seeds: () => [
    addModel([2], { data: Float32Array.of(10, 20) }),
    addModel([2], { location: 'weights.bin' }),
    onnxModel({
      inputs: [{ name: 'any' }, { name: 'words', shape: [3, 'n', -1, 2 ** 40], elementType: 8 }],
      outputs: [{ name: 'y', shape: [], elementType: 16 }],
      nodes: [['Identity', ['any'], ['y']]],
    }),
    // A node (field 1 of the graph) with an attribute (5) that holds a graph (6) with a node, and so on.
    nested(20),
  ],
  dictionary: [
    ...[0x0a, 0x2a, 0x32, 0x3a, 0x5a, 0x62, 0x6a, 0x7a, 0x80, 0xff].map((byte) => Buffer.of(byte)),
    Buffer.of(0xca, 0x01),
    Buffer.from('ffffffffffffffffff01', 'hex'),
    Buffer.from('ffffffff0f', 'hex'),
    'location',
  ],
};

/** @param {number} depth of graphs in attributes of nodes */
function nested(depth) {
  let graph = Buffer.alloc(0);
  for (let i = 0; i < depth; i++) graph = field(1, field(5, field(6, graph)));
  return field(7, graph);
}

/**
 * @param {number} number
 * @param {Buffer} value of fewer than 16384 bytes
 */
function field(number, value) {
  const length =
    value.length < 128 ? [value.length] : [(value.length & 0x7f) | 0x80, value.length >> 7];
  return Buffer.concat([Buffer.of((number << 3) | 2, ...length), value]);
}
