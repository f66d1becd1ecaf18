import { OPS } from '../../generated/constants.js';
import type { NativeOpInfo } from '../../native-binding.js';
import type { GivenArgs } from '../given-args.js';
import { compressSamples, decompressSamples } from './codec-samples.js';
import { customSamples } from './custom-samples.js';
import { preprocessSamples, topkSamples } from './image-samples.js';
import { inferSamples, rangeSamples } from './model-samples.js';
import type { OpSample } from './sample.js';

/**
 * Samples of an op that a plugin offers; each is a task that the op must take.
 *
 * @param given arguments of custom ops; required ones that are not there are made up.
 */
export function samplesOf(op: NativeOpInfo, given: GivenArgs = {}): OpSample[] {
  if (op.name !== '') return customSamples(op, given);
  if (op.op === OPS.compress.id) return compressSamples(op);
  if (op.op === OPS.decompress.id) return decompressSamples(op);
  if (op.op === OPS.topk.id) return topkSamples(op);
  if (op.op === OPS.preprocess.id) return preprocessSamples(op);
  if (op.op === OPS.infer.id) return inferSamples(op);
  if (op.op === OPS.decode.id) return rangeSamples(op, 0, 0);
  if (op.op === OPS.classify.id) return rangeSamples(op, op.chainFirst, op.chainLast);
  return [];
}
