import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { FileError } from '../src/failure.js';
import { parseNpyHeader } from '../src/npy-header.js';
import { readNpy, writeNpy, type NpyNumberType } from '../src/npy.js';

const itemBytesOf: Readonly<Record<NpyNumberType, number>> = {
  BOOL: 1,
  UINT8: 1,
  UINT16: 2,
  UINT32: 4,
  UINT64: 8,
  INT8: 1,
  INT16: 2,
  INT32: 4,
  INT64: 8,
  FP16: 2,
  FP32: 4,
  FP64: 8,
};

/** A file as numpy writes it, but for what a test wants otherwise. */
function npyFile(header: string, body: Uint8Array, version: 1 | 2 | 3 = 1): Buffer {
  const text = Buffer.from(`${header}\n`, version === 3 ? 'utf8' : 'latin1');
  const length = Buffer.alloc(version === 1 ? 2 : 4);
  length.writeUIntLE(text.byteLength, 0, length.byteLength);
  return Buffer.concat([
    Buffer.from('\x93NUMPY', 'latin1'),
    Buffer.from([version, 0]),
    length,
    text,
    body,
  ]);
}

function header(descr: string, shape: string, fortran = false): string {
  return `{'descr': '${descr}', 'fortran_order': ${fortran ? 'True' : 'False'}, 'shape': ${shape}, }`;
}

const arrays = fc
  .record({
    dtype: fc.constantFrom(...(Object.keys(itemBytesOf) as NpyNumberType[])),
    shape: fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 4 }),
  })
  .chain(({ dtype, shape }) => {
    const length = shape.reduce((product, size) => product * size, itemBytesOf[dtype]);
    const bytes = fc.uint8Array({
      minLength: length,
      maxLength: length,
      max: dtype === 'BOOL' ? 1 : 255,
    });
    return fc.record({ dtype: fc.constant(dtype), shape: fc.constant(shape), bytes });
  });

describe('npy', () => {
  it('reads back what it writes, for every type and shape', () => {
    fc.assert(
      fc.property(arrays, (array) => {
        const read = readNpy(writeNpy(array));
        expect(read.dtype).toBe(array.dtype);
        expect(read.shape).toEqual(array.shape);
        expect('bytes' in read && Buffer.from(read.bytes)).toEqual(Buffer.from(array.bytes));
      }),
    );
  });

  it('writes what numpy writes', () => {
    const written = writeNpy({
      dtype: 'FP32',
      shape: [2, 1],
      bytes: new Uint8Array(Float32Array.of(1, -2.5).buffer),
    });
    // numpy.save of np.array([[1], [-2.5]], '<f4'), made with numpy 2.4.
    const text = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }";
    expect(written.subarray(0, 10)).toEqual(Buffer.from('\x93NUMPY\x01\x00\x76\x00', 'latin1'));
    expect(written.subarray(10, 128).toString()).toBe(`${text.padEnd(117)}\n`);
    expect(written.subarray(128).toString('hex')).toBe('0000803f000020c0');
  });

  it.each([1, 2, 3] as const)('reads version %d', (version) => {
    const read = readNpy(npyFile(header('<i2', '(2,)'), Buffer.from('01000200', 'hex'), version));
    expect(read).toMatchObject({ dtype: 'INT16', shape: [2] });
  });

  it('transposes column-major arrays', () => {
    // np.asfortranarray([[[0,1],[2,3],[4,5]]] + 6 * ...) of shape (2, 3, 2): element = index in row-major order.
    const shape = [2, 3, 2];
    const body = Buffer.alloc(12);
    for (let i = 0; i < 2; i += 1) {
      for (let j = 0; j < 3; j += 1) {
        for (let k = 0; k < 2; k += 1) body[i + 2 * (j + 3 * k)] = (i * 3 + j) * 2 + k;
      }
    }
    const read = readNpy(npyFile(header('|u1', '(2, 3, 2)', true), body));
    expect(read).toEqual({
      dtype: 'UINT8',
      shape,
      bytes: Buffer.from([...Array(12).keys()]),
    });
  });

  it('reads fixed-length strings without their padding', () => {
    const bytes = readNpy(npyFile(header('|S3', '(2,)'), Buffer.from('ab\0xyz')));
    expect(bytes).toEqual({
      dtype: 'BYTES',
      shape: [2],
      elements: [Buffer.from('ab'), Buffer.from('xyz')],
    });
    const text = Buffer.alloc(16);
    text.writeUInt32LE(0x1f600, 0);
    text.writeUInt32LE(0xe9, 4);
    text.writeUInt32LE(0x41, 8);
    const read = readNpy(npyFile(header('<U2', '(2,)'), text));
    expect(read).toEqual({
      dtype: 'BYTES',
      shape: [2],
      elements: [Buffer.from('\u{1f600}é'), Buffer.from('A')],
    });
  });

  const body4 = Buffer.alloc(4);
  it.each([
    ['nothing', Buffer.alloc(0), /no \.npy file/],
    ['another format', Buffer.from('PK\x03\x04 and so on'), /no \.npy file/],
    ['an unknown version', Buffer.from('\x93NUMPY\x04\x00\x00\x00', 'latin1'), /version 4/],
    ['a cut version', Buffer.from('\x93NUMPY', 'latin1'), /version \?/],
    ['a cut length', Buffer.from('\x93NUMPY\x01\x00\x10', 'latin1'), /ends in the header/],
    ['a cut header', npyFile(header('<f4', '(1,)'), body4).subarray(0, 40), /ends in the header/],
    [
      'a header of 4 GB',
      Buffer.from('\x93NUMPY\x02\x00\xff\xff\xff\xff', 'latin1'),
      /header of 4294967295/,
    ],
    ['too few elements', npyFile(header('<f4', '(2,)'), body4), /takes 8 bytes, the file has 4/],
    ['trailing bytes', npyFile(header('<f4', '(0,)'), body4), /takes 0 bytes, the file has 4/],
    [
      'more elements than there are bytes',
      npyFile(header('<f8', '(9007199254740991,)'), body4),
      /takes/,
    ],
    [
      'sizes that overflow',
      npyFile(header('<f4', '(9007199254740991, 9007199254740991)'), body4),
      /takes/,
    ],
    [
      'sizes past 2^53',
      npyFile(header('<f4', '(99999999999999999999,)'), body4),
      /no whole number/,
    ],
    ['a negative size', npyFile(header('<f4', '(-1,)'), body4), /no whole number/],
    ['a number for a tuple', npyFile(header('<f4', '(1)'), body4), /no ',' in shape/],
    ['a code for a header', npyFile('__import__("os").system("id")', body4), /damaged at 0/],
    ['a call in the header', npyFile(header('<f4', '(int("1"),)'), body4), /no whole number/],
    ['a missing key', npyFile("{'descr': '<f4', 'shape': (1,)}", body4), /is missing/],
    ['a key twice', npyFile("{'descr': '<f4', 'descr': '<f4'}", body4), /once each/],
    ['text after the header', npyFile(`${header('<f4', '(1,)')} x`, body4), /after the dictionary/],
    ['pickled objects', npyFile(header('|O', '(1,)'), body4), /never loaded/],
    [
      'structured types',
      npyFile("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", body4),
      /structured/,
    ],
    ['complex numbers', npyFile(header('<c8', '(1,)'), Buffer.alloc(8)), /fits no tensor/],
    ['dates', npyFile(header('<M8[ns]', '(1,)'), Buffer.alloc(8)), /fits no tensor/],
    ['big-endian numbers', npyFile(header('>f4', '(1,)'), body4), /astype\('<f4'\)/],
    [
      'strings of no bytes',
      npyFile(header('|S0', '(9007199254740991,)'), Buffer.alloc(0)),
      /no bytes/,
    ],
    ['a boolean of 2', npyFile(header('|b1', '(1,)'), Buffer.from([2])), /neither 0 nor 1/],
    [
      'characters past Unicode',
      npyFile(header('<U1', '(1,)'), Buffer.alloc(4, 0x7f)),
      /no character/,
    ],
  ])('refuses %s', (_what, file, message) => {
    expect(() => readNpy(file)).toThrow(FileError);
    expect(() => readNpy(file)).toThrow(message);
  });

  it('never fails otherwise than with a FileError, whatever bytes come', () => {
    const valid = writeNpy({ dtype: 'INT32', shape: [2, 3], bytes: new Uint8Array(24) });
    const change = fc.record({
      at: fc.nat(valid.byteLength - 1),
      to: fc.integer({ min: 0, max: 255 }),
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 4 }), fc.nat(valid.byteLength), (changes, cut) => {
        const file = Buffer.from(valid);
        for (const { at, to } of changes) file[at] = to;
        try {
          const read = readNpy(file.subarray(0, valid.byteLength - cut));
          expect('bytes' in read ? read.bytes.byteLength : 0).toBeLessThanOrEqual(file.byteLength);
        } catch (error) {
          expect(error).toBeInstanceOf(FileError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('reads headers of Python 2 and of any order', () => {
    expect(parseNpyHeader(`{ "shape": (3L, 2L), 'fortran_order':True,'descr':"<i8" }\n`)).toEqual({
      descr: '<i8',
      fortranOrder: true,
      shape: [3, 2],
    });
    expect(parseNpyHeader(header('<f4', '()')).shape).toEqual([]);
  });
});
