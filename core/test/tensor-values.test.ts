import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { DataType } from '../src/generated/constants.js';
import { decodeValues, encodeValues } from '../src/plugin-check/tensor-values.js';

describe('values of a tensor', () => {
  it.each([
    ['BOOL', [0, 1], [0, 1]],
    ['UINT8', [0, 255], [0, 255]],
    ['INT8', [-128, 127], [0x80, 0x7f]],
    ['UINT16', [258], [2, 1]],
    ['INT16', [-2], [0xfe, 0xff]],
    ['UINT32', [2 ** 32 - 1], [0xff, 0xff, 0xff, 0xff]],
    ['INT32', [-2], [0xfe, 0xff, 0xff, 0xff]],
    ['INT64', [-1], new Array<number>(8).fill(0xff)],
    ['UINT64', [256], [0, 1, 0, 0, 0, 0, 0, 0]],
    ['FP16', [1, -2, 0, 0.1], [0x00, 0x3c, 0x00, 0xc0, 0x00, 0x00, 0x66, 0x2e]],
    ['BF16', [1, -2], [0x80, 0x3f, 0x00, 0xc0]],
    ['FP32', [1], [0, 0, 0x80, 0x3f]],
    ['FP64', [1], [0, 0, 0, 0, 0, 0, 0xf0, 0x3f]],
    ['BYTES', [7, 7], new Array<number>(8).fill(0)],
  ] as const)('of %s %j lie as %j', (dtype, values, bytes) => {
    expect([...encodeValues(DataType[dtype], values)]).toEqual([...bytes]);
  });

  it.each(['FP16', 'BF16', 'FP32', 'FP64', 'INT16', 'INT32', 'INT64'] as const)(
    'of %s come back',
    (dtype) => {
      fc.assert(
        fc.property(fc.array(fc.integer({ min: -128, max: 127 })), (numbers) => {
          const values = numbers.map((value) => (dtype.startsWith('INT') ? value : value / 4));
          expect(decodeValues(DataType[dtype], encodeValues(DataType[dtype], values))).toEqual(
            values.map((value) => (Object.is(value, -0) ? 0 : value)),
          );
        }),
      );
    },
  );

  it('of FP16 may be small, infinite, or no number', () => {
    const bytes = Uint8Array.of(0x01, 0x00, 0x00, 0x7c, 0x00, 0xfc, 0x01, 0x7e);
    expect(decodeValues(DataType.FP16, bytes)).toEqual([2 ** -24, Infinity, -Infinity, NaN]);
  });

  it('leave out an element that is cut off, and BYTES', () => {
    expect(decodeValues(DataType.FP32, new Uint8Array(7))).toEqual([0]);
    expect(decodeValues(DataType.BYTES, new Uint8Array(8))).toEqual([]);
  });
});
