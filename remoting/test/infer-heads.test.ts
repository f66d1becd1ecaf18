import { describe, expect, it } from 'vitest';

import { headBytesMax, headsMax } from '../src/doors/door-limits.js';
import { InferHeads } from '../src/doors/http/infer-heads.js';

const jsonBytesMax = 1 << 20;
const tensor = Buffer.alloc(8, 1);

function bodyOf(fields: object): { readonly body: Buffer; readonly length: number } {
  const inputs = [
    {
      name: 'x',
      datatype: 'FP32',
      shape: [2],
      parameters: { binary_data_size: tensor.byteLength },
    },
  ];
  const json = Buffer.from(JSON.stringify({ ...fields, inputs }));
  return { body: Buffer.concat([json, tensor]), length: json.byteLength };
}

describe('the JSON before tensors', () => {
  const read = (heads: InferHeads, fields: object) => {
    const { body, length } = bodyOf(fields);
    return heads.read(body, length);
  };

  it('is read once where it is the same', () => {
    const heads = new InferHeads(jsonBytesMax);
    const first = read(heads, {});
    expect(first.inputs).toMatchObject([{ name: 'x', shape: [2], binaryBytes: 8 }]);
    expect(read(heads, {})).toBe(first);
    expect(read(heads, { parameters: { a: 1 } })).not.toBe(first);
  });

  it('is told apart by its bytes, whatever they stand for', () => {
    const heads = new InferHeads(jsonBytesMax);
    const [e, composed] = ['e\u0301', '\u00e9'];
    expect(read(heads, { parameters: { [e]: 1 } }).parameters.has(e)).toBe(true);
    expect(read(heads, { parameters: { [composed]: 1 } }).parameters.has(e)).toBe(false);
  });

  it('is not remembered with an id, nor when it is long', () => {
    const heads = new InferHeads(jsonBytesMax);
    for (const fields of [{ id: 'a' }, { parameters: { long: 'x'.repeat(headBytesMax) } }]) {
      expect(read(heads, fields)).not.toBe(read(heads, fields));
    }
  });

  it('is forgotten for others', () => {
    const heads = new InferHeads(jsonBytesMax);
    const first = read(heads, {});
    for (let i = 0; i < headsMax; i++) read(heads, { parameters: { i } });
    expect(read(heads, {})).not.toBe(first);
  });
});
