import { argumentError } from '../argument-error.js';
import type { NamedTensor } from '../backend.js';
import { readBinaryInput } from '../binary-input.js';
import type { Cancellation } from '../cancellation.js';
import type { BinaryInput, ClassifyOptions } from '../client.js';
import type { CallOutcome } from '../dispatch.js';
import { AxleError } from '../errors.js';
import { knownOptions, refuseUnknownOptions } from '../known-options.js';
import type { Limits } from '../limits.js';
import type { Model } from '../models/model.js';
import type { Chain } from '../plans/chain.js';
import { classifyChain } from '../plans/classify.js';
import type { ClassifyResult } from '../results.js';
import type { Session } from '../session.js';
import type { CallRequest, CallWork } from '../session-call.js';
import { bytesTensor } from './bytes-tensor.js';

/** Of calls that name none. */
export const defaultClassifyModel = 'glyphs';

/** The chains that classify calls run, kept by model and topK. */
export class ClassifyChains {
  /** The model itself is the key: its config is no part of its content id. */
  private readonly ofModels = new WeakMap<Model, Map<number, Chain>>();

  of(model: Model, topK: number): Chain {
    const chains = this.ofModels.get(model) ?? new Map<number, Chain>();
    this.ofModels.set(model, chains);
    const chain = chains.get(topK) ?? classifyChain(model, topK);
    chains.set(topK, chain);
    return chain;
  }
}

/** @throws AxleError INVALID_ARGUMENT of an option that there is not, or a topK out of range. */
export function topKOf(options: ClassifyOptions, { topKMax }: Pick<Limits, 'topKMax'>): number {
  refuseUnknownOptions(options, knownOptions.classify);
  const { topK = 1 } = options;
  if (!Number.isInteger(topK) || topK < 1 || topK > topKMax) {
    throw argumentError('topK', topK, `a whole number from 1 to ${topKMax}`);
  }
  return topK;
}

export class ClassifyCall implements CallWork<ClassifyResult> {
  private model: Model | undefined;

  constructor(
    private readonly session: Session,
    private readonly chains: ClassifyChains,
    private readonly input: BinaryInput,
    private readonly options: ClassifyOptions,
  ) {}

  async prepare(cancellation: Cancellation): Promise<CallRequest> {
    const { session, options } = this;
    const topK = topKOf(options, session.limits);
    const { imageBytesMax } = session.limits;
    const { model: reference = defaultClassifyModel } = options;
    const model = await cancellation.race(session.model(reference));
    this.model = model;
    const source = await readBinaryInput(this.input, 'image', imageBytesMax, cancellation);
    return { chain: this.chains.of(model, topK), model, inputs: [bytesTensor(source, 'image')] };
  }

  shape({ outputs, report }: CallOutcome): ClassifyResult {
    const { name = '', classify } = this.model ?? {};
    return { model: name, results: readResults(outputs, name, classify?.labels), ...report };
  }
}

/** @param labels undefined: the device gives those of the results. */
function readResults(
  outputs: readonly NamedTensor[],
  model: string,
  labels: readonly string[] | undefined,
): ClassifyResult['results'] {
  const [indices, scores, given] = outputs;
  if (indices?.tensor.dtype !== 'INT32' || scores?.tensor.dtype !== 'FP32') {
    throw new AxleError('INTERNAL', `classify of '${model}' gave no indices and scores`);
  }
  const scoreOf = scores.tensor.data as Float32Array;
  const labelOf = given?.tensor.dtype === 'BYTES' ? (given.tensor.data as string[]) : [];
  return Array.from(indices.tensor.data as Int32Array, (index, rank) => ({
    label: (labels === undefined ? labelOf[rank] : labels[index]) ?? String(index),
    index,
    score: scoreOf[rank] ?? 0,
  }));
}
