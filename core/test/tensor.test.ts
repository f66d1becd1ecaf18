import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { AxleError } from '../src/errors.js';
import { Tensor } from '../src/tensor.js';

describe('Tensor', () => {
  it('views typed arrays without a copy', () => {
    const data = Float32Array.of(1, 2, 3, 4);
    const tensor = Tensor.from('FP32', data, [2, 2]);
    data[0] = 9;
    expect(tensor.data[0]).toBe(9);
    expect(tensor.bytes.byteLength).toBe(16);
  });

  it('reads unaligned memory', () => {
    const memory = new Uint8Array(1 + 8);
    memory.set(new Uint8Array(Float64Array.of(1.5).buffer), 1);
    expect([...Tensor.fromBytes('FP64', memory.subarray(1), [1]).data]).toEqual([1.5]);
  });

  it('puts together what lies in pieces, which may end within an element', () => {
    const whole = new Uint8Array(Float32Array.of(1, 2, 3).buffer);
    const pieces = [whole.subarray(0, 5), whole.subarray(5, 5), whole.subarray(5)];
    const tensor = Tensor.fromSegments('FP32', pieces, [3]);
    expect(tensor.segments).toBe(pieces);
    expect(tensor.data).toEqual(Float32Array.of(1, 2, 3));
    expect(() => Tensor.fromSegments('FP32', pieces, [2])).toThrow(/has 8 bytes, got 12/);
    const text = Tensor.from('BYTES', ['ab', ''], [2]).bytes;
    const halves = [text.subarray(0, 3), text.subarray(3)];
    expect(Tensor.fromSegments('BYTES', halves, [2]).data).toEqual(['ab', '']);
    expect(Tensor.fromSegments('UINT8', [], [0]).bytes).toHaveLength(0);
  });

  it('packs booleans and strings as KServe does', () => {
    expect([...Tensor.from('BOOL', [true, false], [2]).bytes]).toEqual([1, 0]);
    const strings = Tensor.from('BYTES', ['a', 'é'], [2]);
    expect([...strings.bytes]).toEqual([1, 0, 0, 0, 97, 2, 0, 0, 0, 0xc3, 0xa9]);
    expect(strings.data).toEqual(['a', 'é']);
  });

  it('round-trips any list of byte strings', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array()), (elements) => {
        const tensor = Tensor.from('BYTES', elements, [elements.length]);
        expect(tensor.elements.map((element) => [...element])).toEqual(elements.map((e) => [...e]));
      }),
    );
  });

  it('is not made with new in plain JavaScript either', () => {
    const Plain = Tensor as unknown as new (...args: unknown[]) => unknown;
    expect(() => new Plain('UINT8', [1], [Uint8Array.of(1)])).toThrow(/make it with Tensor.from/);
  });

  it('refuses memory that was transferred away, whatever shape it is given', () => {
    const data = new Float32Array(2);
    structuredClone(data, { transfer: [data.buffer] });
    for (const shape of [[2], [0]]) {
      expect(() => Tensor.from('FP32', data, shape)).toThrow(
        /memory of the tensor was transferred elsewhere/,
      );
    }
    expect(Tensor.from('FP32', new Float32Array(0), [0]).byteLength).toBe(0);
  });

  it('refuses a BOOL that is neither 0 nor 1', () => {
    for (const make of [Tensor.from<'BOOL'>, Tensor.fromBytes<'BOOL'>]) {
      expect(() => make('BOOL', Uint8Array.of(0, 1, 7), [3])).toThrow(/a BOOL is 0 or 1, not 7/);
      expect(make('BOOL', Uint8Array.of(0, 1), [2]).data).toEqual(Uint8Array.of(0, 1));
    }
  });

  it('says with an AxleError what plain JavaScript got wrong', () => {
    const { from, fromBytes, fromSegments } = Tensor as unknown as Record<
      'from' | 'fromBytes' | 'fromSegments',
      (...args: unknown[]) => unknown
    >;
    const bytes = Uint8Array.of(1, 2, 3, 4);
    const holed = [bytes, bytes];
    Reflect.deleteProperty(holed, 0);
    const wrong: [() => unknown, RegExp][] = [
      [() => fromBytes.call(Tensor, 'UINT8', bytes), /a shape is an array of sizes, not undefined/],
      [() => fromBytes.call(Tensor, 'UINT8', bytes, 4), /a shape is an array of sizes, not number/],
      [() => fromSegments('UINT8', holed, [4]), /given as Uint8Arrays/],
      [() => from(Symbol('t'), bytes, [4]), /no data type Symbol\(t\); give one of BOOL/],
      [() => fromSegments(Symbol('t'), [bytes], [4]), /no data type Symbol\(t\)/],
      [() => from('UINT8', bytes, [Symbol('s')]), /\[Symbol\(s\)\] is no shape/],
    ];
    for (const [make, message] of wrong) {
      expect(make).toThrow(AxleError);
      expect(make).toThrow(message);
    }
  });

  it('refuses data of another kind, length or shape', () => {
    const from = Tensor.from as (...args: unknown[]) => unknown;
    expect(() => from('nope', [], [])).toThrow(/no data type 'nope'; give one of BOOL/);
    expect(() => from('BYTES', [1], [1])).toThrow(/got one that holds number/);
    expect(() => from('BYTES', 'abc', [3])).toThrow(
      /array of strings or of Uint8Arrays, got string/,
    );
    expect(() => from('BYTES', ['a', undefined], [2])).toThrow(/got one that holds undefined/);
    expect(() => from('BYTES', new Array(2), [2])).toThrow(/got one that holds undefined/);
    expect(() => from('FP32', new Float32Array(1), 1)).toThrow(/a shape is an array of sizes/);
    expect(() => Tensor.from('FP32', new Float64Array(1) as unknown as Float32Array, [1])).toThrow(
      /takes a Float32Array, got Float64Array/,
    );
    expect(() => Tensor.from('FP32', new Float32Array(3), [2, 2])).toThrow(/has 4 elements, got 3/);
    expect(() => Tensor.fromBytes('FP32', new Uint8Array(15), [4])).toThrow(/has 16 bytes, got 15/);
    expect(() => Tensor.fromBytes('INT8', new Uint8Array(1), [-1])).toThrow(/is no shape/);
    expect(() => Tensor.fromBytes('INT8', new Uint8Array(1), [2 ** 40, 2 ** 40])).toThrow(
      /more elements/,
    );
    expect(() => Tensor.fromBytes('BYTES', Uint8Array.of(5, 0, 0, 0, 1), [1])).toThrow(
      /in the middle of element 0/,
    );
  });
});
