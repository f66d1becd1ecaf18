import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { FileError } from '../src/failure.js';
import { bfloat16, decodeSmallFloat, encodeSmallFloat, float16 } from '../src/small-float.js';
import { elementCodecs } from '../src/tensor-elements.js';
import { formatTensorJson, parseTensorJson, type ArrayData } from '../src/tensor-json.js';

const numberTypes = Object.keys(elementCodecs) as (keyof typeof elementCodecs)[];

describe('tensors in JSON', () => {
  it('give back the same bytes, for every type', () => {
    const arrays = fc
      .record({
        dtype: fc.constantFrom(...numberTypes),
        shape: fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 3 }),
      })
      .chain(({ dtype, shape }) => {
        const length = shape.reduce((product, size) => product * size, elementCodecs[dtype].bytes);
        const max = dtype === 'BOOL' ? 1 : 255;
        const bytes = fc.uint8Array({ minLength: length, maxLength: length, max });
        return fc.record({ dtype: fc.constant(dtype), shape: fc.constant(shape), bytes });
      });
    fc.assert(
      fc.property(arrays, (array) => {
        const text = formatTensorJson(array);
        const read = parseTensorJson(text, array.dtype);
        expect(read.shape).toEqual(array.shape);
        // NaN has many bit patterns and JSON only one: what counts is that the text is the same.
        if (text.includes('NaN')) expect(formatTensorJson(read)).toBe(text);
        else expect('bytes' in read && read.bytes).toEqual(array.bytes);
      }),
      { numRuns: 500 },
    );
  });

  it('keeps strings', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme' }), { minLength: 1 }), (texts) => {
        const array: ArrayData = {
          dtype: 'BYTES',
          shape: [texts.length],
          elements: texts.map((text) => Buffer.from(text)),
        };
        expect(parseTensorJson(formatTensorJson(array), 'BYTES')).toEqual(array);
      }),
    );
  });

  it('prints FP32 with the digits that it has', () => {
    const bytes = new Uint8Array(Float32Array.of(0.1, 1 / 3, 1e-45, -0, NaN, -Infinity, 3).buffer);
    expect(formatTensorJson({ dtype: 'FP32', shape: [7], bytes })).toBe(
      '[0.1,0.33333334,1e-45,-0,"NaN","-Infinity",3]',
    );
  });

  it('prints integers past 2^53 as strings', () => {
    const bytes = new Uint8Array(BigInt64Array.of(2n ** 62n, -3n).buffer);
    const text = formatTensorJson({ dtype: 'INT64', shape: [2], bytes });
    expect(text).toBe('["4611686018427387904",-3]');
    expect(parseTensorJson(text, 'INT64')).toMatchObject({ bytes });
  });

  it('takes the form of KServe v2, nested or flat', () => {
    const flat = parseTensorJson('{"datatype":"INT8","shape":[2,2],"data":[1,2,3,4]}', undefined);
    const nested = parseTensorJson('{"datatype":"INT8","data":[[1,2],[3,4]]}', undefined);
    expect(flat).toEqual(nested);
    expect(flat).toMatchObject({ dtype: 'INT8', shape: [2, 2] });
  });

  it('refuses numbers that the type has no place for, and half characters', () => {
    for (const [text, dtype, message] of [
      ['[1, 1e39]', 'FP32', /1e\+39 does not fit: FP32 has no number so large/],
      ['[1e400]', 'FP64', /Infinity does not fit: FP64/],
      ['[70000]', 'FP16', /70000 does not fit: FP16/],
      [String.raw`["\ud800"]`, 'BYTES', /half a surrogate pair/],
    ] as const) {
      expect(() => parseTensorJson(text, dtype)).toThrow(message);
    }
    expect(() => parseTensorJson('["Infinity", 3.4e38]', 'FP32')).not.toThrow();
  });

  it('guesses FP32, BOOL and BYTES where no type is declared', () => {
    expect(parseTensorJson('[1, 2.5]', undefined).dtype).toBe('FP32');
    expect(parseTensorJson('[true]', undefined).dtype).toBe('BOOL');
    expect(parseTensorJson('["a"]', undefined).dtype).toBe('BYTES');
    expect(parseTensorJson('7', undefined)).toMatchObject({ dtype: 'FP32', shape: [] });
  });

  it.each([
    ['no JSON', '[1,', 'FP32', /no JSON/],
    ['uneven arrays', '[[1,2],[3]]', 'FP32', /differ in length/],
    ['arrays among numbers', '[1,[2]]', 'FP32', /deeper/],
    ['numbers among arrays', '[[1],2]', 'FP32', /differ in length/],
    ['null', '[null]', 'FP32', /no element/],
    ['a string for a number', '["1"]', 'FP32', /FP32 takes numbers/],
    ['a fraction for an integer', '[1.5]', 'INT32', /whole numbers/],
    ['an integer out of range', '[256]', 'UINT8', /from 0 to 255/],
    ['a negative for unsigned', '["-1"]', 'UINT64', /64 bits/],
    ['an integer past 2^53 as a number', '[9007199254740993]', 'INT64', /as strings/],
    ['a number for a boolean', '[2]', 'BOOL', /true and false/],
    ['a number for a string', '[1]', 'BYTES', /takes strings/],
    ['an unknown type', '{"datatype":"FP8","data":[1]}', 'FP32', /FP8.*not known/],
    ['a type of Object.prototype', '{"datatype":"toString","data":[1]}', 'FP32', /not known/],
    ['a shape that does not fit', '{"shape":[3],"data":[1]}', 'FP32', /does not fit/],
    ['a shape of no sizes', '{"shape":[-1],"data":[1]}', 'FP32', /whole numbers from 0/],
    ['an object without data', '{"a":1}', 'FP32', /needs "data"/],
    ['too many dimensions', '['.repeat(70) + ']'.repeat(70), 'FP32', /64 dimensions/],
  ] as const)('refuses %s', (_what, text, declared, message) => {
    expect(() => parseTensorJson(text, declared)).toThrow(FileError);
    expect(() => parseTensorJson(text, declared)).toThrow(message);
  });

  it('refuses an object where an element belongs, however deep it nests', () => {
    const deep = `${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`;
    for (const text of [`[${deep}]`, `{"data": ${deep}}`, `{"datatype": ${deep}, "data": 1}`]) {
      expect(() => parseTensorJson(text, undefined)).toThrow(/^(datatype )?an object is (no|not)/);
    }
  });
});

describe('16-bit floats', () => {
  it.each([
    ['FP16', float16],
    ['BF16', bfloat16],
  ] as const)('%s: every value encodes to itself', (_name, format) => {
    for (let bits = 0; bits < 0x10000; bits += 1) {
      const value = decodeSmallFloat(format, bits);
      if (Number.isNaN(value)) continue;
      if (encodeSmallFloat(format, value) !== bits) expect.fail(`0x${bits.toString(16)} changes`);
    }
  });

  it('round to the nearest, ties to even', () => {
    expect(decodeSmallFloat(float16, encodeSmallFloat(float16, 65519))).toBe(65504);
    expect(decodeSmallFloat(float16, encodeSmallFloat(float16, 65520))).toBe(Infinity);
    expect(decodeSmallFloat(float16, encodeSmallFloat(float16, 2049))).toBe(2048);
    expect(decodeSmallFloat(float16, encodeSmallFloat(float16, 2051))).toBe(2052);
    expect(encodeSmallFloat(float16, 2 ** -25)).toBe(0);
    expect(encodeSmallFloat(float16, 2 ** -25 * 1.01)).toBe(1);
    // The upper half of the binary32, as hardware has it.
    fc.assert(
      fc.property(fc.float({ noNaN: true }), (value) => {
        const bits = new Uint32Array(Float32Array.of(value).buffer)[0] as number;
        const rounded = bits + 0x7fff + ((bits >>> 16) & 1);
        expect(encodeSmallFloat(bfloat16, value)).toBe(rounded >>> 16);
      }),
    );
  });
});
