import type { ModelSource } from '../plugin-under-test.js';
import { writeOnnx } from '../onnx-writer.js';
import { classifierModel, weightsFile } from './tiny-models.js';

/** The same files, said to be of a format that nobody knows. */
export function unknownFormat(source: ModelSource): ModelSource {
  return { ...source, format: 'axle.check/unknown' };
}

/** What no plugin may load, and why. */
export function damagedModels(): readonly {
  readonly what: string;
  readonly source: ModelSource;
}[] {
  const { source } = classifierModel();
  const model = source.files[0]?.data ?? new Uint8Array();
  const damaged = (what: string, data: Uint8Array) => ({
    what,
    source: { ...source, files: [{ name: 'model.onnx', data }] },
  });
  const outside = (what: string, name: string) => ({
    what,
    source: {
      ...classifierModel({ weights: name }).source,
      name: 'axle-check-outside',
    },
  });
  return [
    damaged('an empty file', new Uint8Array()),
    damaged('the first half of a model', model.subarray(0, model.length / 2)),
    damaged('a model without its last byte', model.subarray(0, -1)),
    damaged('text', Buffer.from('this is no model\n')),
    damaged('a model with an operator that does not exist', withOperator('AxleNoSuchOperator')),
    outside('a model whose weights are in a file that was not given', 'weights.bin'),
    outside('a model that names a file outside its folder', '../weights.bin'),
    outside('a model that names a file of the machine', '/proc/self/environ'),
  ];
}

/** A classifier whose weights lie in a file beside it. */
export function modelInTwoFiles(): ModelSource {
  const { source } = classifierModel({ weights: 'weights.bin' });
  return { ...source, files: [...source.files, { name: 'weights.bin', data: weightsFile() }] };
}

function withOperator(operator: string): Uint8Array {
  const shape = ['batch', 1];
  return writeOnnx({
    inputs: [{ name: 'x', type: 'FP32', shape }],
    outputs: [{ name: 'y', type: 'FP32', shape }],
    nodes: [{ operator, inputs: ['x'], outputs: ['y'] }],
  });
}
