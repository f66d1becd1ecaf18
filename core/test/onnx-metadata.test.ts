import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { AxleError } from '../src/errors.js';
import { readOnnxMetadata } from '../src/models/onnx-metadata.js';
import { addModel, onnxModel } from '../../test/onnx-model.mjs';

const inMemory = addModel([3], { data: Float32Array.of(1, 2, 3) });

describe('readOnnxMetadata', () => {
  it('reads inputs and outputs, without the weights', () => {
    expect(readOnnxMetadata(inMemory, 'm.onnx')).toEqual({
      inputs: [{ name: 'x', dtype: 'FP32', shape: [-1, 3] }],
      outputs: [{ name: 'y', dtype: 'FP32', shape: [-1, 3] }],
      externalFiles: [],
    });
  });

  it('lists the files that hold weights', () => {
    const model = addModel([3], { location: 'weights/w.bin' });
    expect(readOnnxMetadata(model, 'm.onnx').externalFiles).toEqual(['weights/w.bin']);
  });

  it('takes any negative size for any size, and refuses one that no number holds', () => {
    const withSize = (size: number) =>
      onnxModel({ inputs: [{ name: 'x', shape: [size] }], outputs: [], nodes: [] });
    expect(readOnnxMetadata(withSize(-5), 'm.onnx').inputs[0]?.shape).toEqual([-1]);
    expect(() => readOnnxMetadata(withSize(2 ** 60), 'm.onnx')).toThrow(/no ONNX model.*dimension/);
  });

  it.each([
    ['nothing', new Uint8Array()],
    ['text', new TextEncoder().encode('this is no model')],
    ['half a model', inMemory.subarray(0, inMemory.length / 2)],
  ])('refuses %s with INVALID_ARGUMENT naming the file', (_, bytes) => {
    expect(() => readOnnxMetadata(bytes, 'dir/m.onnx')).toThrow(/dir\/m.onnx is no ONNX model/);
  });

  it('never fails but with INVALID_ARGUMENT on damaged models', () => {
    const damage = fc.array(fc.tuple(fc.nat(inMemory.length - 1), fc.nat(255)), {
      minLength: 1,
      maxLength: 8,
    });
    fc.assert(
      fc.property(damage, fc.nat(inMemory.length), (changes, length) => {
        const bytes = inMemory.slice(0, Math.max(length, 1));
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        try {
          readOnnxMetadata(bytes, 'm.onnx');
        } catch (error) {
          expect(error).toBeInstanceOf(AxleError);
          expect((error as AxleError).code).toBe('INVALID_ARGUMENT');
        }
      }),
      { numRuns: 3000 },
    );
  });
});
