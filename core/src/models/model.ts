import type { ModelSource, TensorSpec } from '../backend.js';
import type { DynamicBatching, InstanceGroup, WarmUp } from './config.js';
import type { Preprocess } from './preprocess.js';

/** One version of a model, read from its repository and ready to be loaded on a device. */
export interface Model {
  readonly name: string;
  readonly version: string;
  /** Absolute, of its folder or of the bare .onnx file; '' for one that is elsewhere. */
  readonly path: string;
  /** Its files and config are where it runs: here only what it takes and gives is known. */
  readonly isElsewhere: boolean;
  readonly source: ModelSource;
  /** In the model's order, batch dimension included. */
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** Up to how many items in dimension 0 calls are put together; 0 when the model has no batch dimension. */
  readonly maxBatchSize: number;
  /** Undefined: runs of different calls are not put together. Only a config can say that its rows are independent. */
  readonly dynamicBatching: DynamicBatching | undefined;
  /** Batches are made by the deadlines of their calls; only where `dynamicBatching` is. */
  readonly sloAware: boolean;
  readonly instanceGroups: readonly InstanceGroup[];
  readonly warmUps: readonly WarmUp[];
  readonly classify: ClassifySettings | undefined;
  /** Why `classify` is undefined. */
  readonly classifyProblem: string;
}

/** What turns a model into a classifier of images. */
export interface ClassifySettings {
  readonly preprocess: Preprocess;
  readonly input: string;
  /** The output that holds one score for each label. */
  readonly output: string;
  readonly scores: 'probabilities' | 'logits';
  /** By index; empty when the model has no labels file. */
  readonly labels: readonly string[];
}
