import { dataTypeNameOf } from '../data-types.js';
import type { TaskCompletion } from './host-connection.js';
import { broken } from './rule.js';
import { outputBytes } from './samples/sample.js';
import { decodeValues } from './tensor-values.js';
import { firstDifference, type NumberTolerance } from './tolerance.js';

/** How far an output may be from the wanted one. */
export type ToleranceOf = (dtype: number, wanted: readonly number[]) => NumberTolerance;

/** @throws RuleBroken when the outputs of two tasks have other names, types or shapes, or their numbers are apart. */
export function compareOutputs(
  what: string,
  given: TaskCompletion,
  wanted: TaskCompletion,
  /** For messages: 'the oracle'. */
  judge: string,
  limitOf: ToleranceOf,
): void {
  if (outputsText(given) !== outputsText(wanted)) {
    broken(`${what} gives ${outputsText(given)}, ${judge} ${outputsText(wanted)}`);
  }
  for (const { index, dtype } of wanted.outputs) {
    const apart = bytesApart(dtype, outputBytes(given, index), outputBytes(wanted, index), limitOf);
    if (apart !== undefined) broken(`${what}: ${apart} as on ${judge}`);
  }
}

/** Says where the values of two tensors of one type part; undefined = nowhere. */
export function bytesApart(
  dtype: number,
  given: Uint8Array,
  wanted: Uint8Array,
  limitOf: ToleranceOf,
): string | undefined {
  const values = decodeValues(dtype, wanted);
  const apart = firstDifference(decodeValues(dtype, given), values, limitOf(dtype, values));
  if (apart !== undefined || dataTypeNameOf(dtype) !== 'BYTES') return apart;
  return Buffer.from(given).equals(wanted) ? undefined : 'its texts are not';
}

export function outputsText({ outputs }: TaskCompletion): string {
  return outputs
    .map(({ name, dtype, dims }) => `${name} ${dataTypeNameOf(dtype)} [${dims.join(', ')}]`)
    .join('; ');
}
