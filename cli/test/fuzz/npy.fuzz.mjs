import { deepStrictEqual, ok } from 'node:assert';

import { onlyRefuses } from '../../../test/fuzz/only-refuses.mjs';
import { readNpy, writeNpy } from '../../dist/npy.js';

/** @import { FuzzTarget } from '../../../test/fuzz/fuzz-loop.mjs' */

/** @type {FuzzTarget} */
export const target = {
  about: '.npy files: an array that is read is written so that it reads the same',
  run(bytes) {
    const array = onlyRefuses(() => readNpy(bytes));
    if (array === undefined) return;
    const count = array.shape.reduce((product, size) => product * size, 1);
    if (array.dtype === 'BYTES') {
      ok(array.elements.length === count);
      ok(array.elements.every((element) => element.byteLength <= bytes.length));
    } else {
      const again = readNpy(writeNpy(array));
      deepStrictEqual(
        { ...again, bytes: Buffer.from('bytes' in again ? again.bytes : []) },
        { ...array, bytes: Buffer.from(array.bytes) },
      );
    }
  },
  seeds: () => [
    writeNpy({ dtype: 'FP32', shape: [2, 3], bytes: new Uint8Array(24) }),
    writeNpy({ dtype: 'BOOL', shape: [], bytes: Uint8Array.of(1) }),
    npy("{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3L), }", Buffer.alloc(12, 'ab')),
    npy("{'descr': '|S3', 'fortran_order': False, 'shape': (2,), }", 'ab\0abc'),
    npy("{'descr': '<U1', 'fortran_order': False, 'shape': (2,), }", 'a\0\0\0\x80\xf6\x01\0'),
    npy("{'descr': '<u8', 'fortran_order': True, 'shape': (0, 7), }", '', 3),
  ],
  dictionary: [
    ...'{}(),:\'"<>|=LOSU0123456789',
    ...['descr', 'fortran_order', 'shape', 'True', 'False', '\x93NUMPY', '[(', '9007199254740991'],
  ],
};

/**
 * @param {string} header
 * @param {string | Buffer} body
 * @param {1 | 3} [version]
 */
function npy(header, body, version = 1) {
  const length = Buffer.alloc(version === 1 ? 2 : 4);
  length.writeUInt16LE(header.length);
  const magic = Buffer.from(`\x93NUMPY${String.fromCharCode(version)}\0`, 'latin1');
  const data = typeof body === 'string' ? Buffer.from(body, 'latin1') : body;
  return Buffer.concat([magic, length, Buffer.from(header), data]);
}
