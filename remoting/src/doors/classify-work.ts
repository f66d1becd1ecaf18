import {
  type CallOutcome,
  type CallReport,
  type CallRequest,
  type CallWork,
  type Model,
  type NamedTensor,
  Tensor,
} from '@axle/core/internal';

import { classifyWith } from '../server/classify-chain.js';
import { withLabels } from '../server/labels.js';

/** One label of an image. */
export interface FoundLabel {
  readonly label: string;
  readonly index: number;
  readonly score: number;
}

export interface Classified {
  readonly labels: readonly FoundLabel[];
  readonly report: CallReport;
}

/** Classify with a model that has been found: what the client calls it is no business of core's, which knows paths. */
export class ClassifyWork implements CallWork<Classified> {
  constructor(
    private readonly image: Uint8Array,
    private readonly model: Model,
    private readonly topK: number,
    private readonly topKMax: number,
  ) {}

  get knownModel(): Model {
    return this.model;
  }

  prepare(): CallRequest {
    const { image, model, topK, topKMax } = this;
    const tensor = Tensor.fromBytes('UINT8', image, [image.byteLength]);
    const chain = classifyWith(model, { k: topK }, topKMax);
    return { chain, model, inputs: [{ name: '', tensor }] };
  }

  shape({ outputs, report }: CallOutcome): Classified {
    return { labels: labelsOf(withLabels(outputs, this.model)), report };
  }
}

/** Indices, scores, and what the model calls them. */
function labelsOf(outputs: readonly NamedTensor[]): FoundLabel[] {
  const [indices, scores, labels] = outputs.map(({ tensor }) => tensor.data);
  const scoreOf = scores as Float32Array;
  const labelOf = (labels ?? []) as readonly string[];
  return Array.from(indices as Int32Array, (index, rank) => ({
    label: labelOf[rank] ?? String(index),
    index,
    score: scoreOf[rank] ?? 0,
  }));
}
