import type {
  DataTypeName,
  ArgTypeName,
  CodecName,
  DeviceKindName,
  ErrorCodeName,
} from './generated/constants.js';
import type { KeptTensor } from './kept-tensor.js';
import type { AnyTensor } from './tensor.js';

/** Where the time of a call went, milliseconds. Steps of a chain are added up. */
export interface TimingMs {
  /** Waiting for a device: in Axle's queue and in the device's own. */
  readonly queue: number;
  /** Gathering and moving data to and from the device. */
  readonly transfer: number;
  readonly compute: number;
  /** From the call to the result, as the caller saw it. */
  readonly total: number;
}

/** One task of a call: which device ran which steps. */
export interface StepReport {
  /** 'infer', or for several steps in one task 'preprocess..topk'. */
  readonly step: string;
  readonly device: string;
  readonly timingMs: Omit<TimingMs, 'total'>;
  /** Tasks that were computed together, this one included. */
  readonly batchSize: number;
}

/** A plan that was tried before the one that gave the result. */
export interface FailedAttempt {
  readonly devices: readonly string[];
  readonly code: ErrorCodeName;
  readonly message: string;
}

/** What every result says of its making. */
export interface CallReport {
  /** The device that did the main work of the call: 'cpu-fallback:0'. */
  readonly device: string;
  readonly steps: readonly StepReport[];
  readonly timingMs: TimingMs;
  /** Plans that failed first; empty when the first one worked. */
  readonly fallbacks: readonly FailedAttempt[];
}

export interface Label {
  readonly label: string;
  /** Position among the model's labels. */
  readonly index: number;
  /** A probability, 0..1, where the model gives them or `axle.classify.scores` is `logits`; else what the model gives. */
  readonly score: number;
}

export interface ClassifyResult extends CallReport {
  /** The model's name. */
  readonly model: string;
  /** Best first, `topK` of them. */
  readonly results: readonly Label[];
}

export interface InferResult extends CallReport {
  readonly model: string;
  /** By the model's output names. */
  readonly outputs: Readonly<Record<string, AnyTensor>>;
}

/** Of infer with `keep`. */
export interface KeptInferResult extends Omit<InferResult, 'outputs'> {
  /** By the model's output names. */
  readonly outputs: Readonly<Record<string, KeptTensor>>;
}

export interface RunResult extends CallReport {
  readonly op: string;
  /** By the names that the op declares, '0', '1', ... where it declares none. */
  readonly outputs: Readonly<Record<string, AnyTensor>>;
}

/** Of run with `keep`. */
export interface KeptRunResult extends Omit<RunResult, 'outputs'> {
  /** By name, as those of RunResult. */
  readonly outputs: Readonly<Record<string, KeptTensor>>;
}

/** A custom op: 'vendor.example/blur'. */
export interface CustomOpReport {
  readonly name: string;
  readonly version: number;
  readonly doc: string;
  readonly args: readonly {
    readonly name: string;
    readonly type: ArgTypeName;
    readonly doc: string;
    readonly required: boolean;
  }[];
  readonly inputs: readonly TensorReport[];
  readonly outputs: readonly TensorReport[];
  readonly streamable: boolean;
  /** Ids of the devices that offer it. */
  readonly devices: readonly string[];
}

export interface CompressResult extends CallReport {
  readonly data: Buffer;
  readonly codec: CodecName;
  readonly level: number;
}

export interface DecompressResult extends CallReport {
  readonly data: Buffer;
}

export interface DeviceReport {
  readonly id: string;
  readonly name: string;
  readonly kind: DeviceKindName;
  readonly emulated: boolean;
  readonly backend: string;
  readonly version: string;
  /** That models and buffers share; 0 = not known. */
  readonly memoryBytes: number;
  /** Batches that make progress at once. */
  readonly parallel: number;
  readonly ops: readonly string[];
  /** Tasks that wait for it or run on it, of all who share it in this process's runtime; streams are not counted. */
  readonly tasks: number;
  readonly health: 'OK' | 'DEGRADED' | 'LOST';
  /** Why it is not OK. */
  readonly healthMessage: string;
}

/** A backend that this machine cannot have, and why. */
export interface UnavailableBackend {
  readonly backend: string;
  readonly reason: string;
}

export interface DevicesReport {
  readonly devices: readonly DeviceReport[];
  readonly unavailable: readonly UnavailableBackend[];
}

export interface ExplainReport {
  readonly op: string;
  readonly model: string | undefined;
  /** Best first: the first is what a call would try first now. */
  readonly plans: readonly PlanReport[];
  /** Steps that a device does not run, and why. */
  readonly passedOver: readonly { readonly what: string; readonly reason: string }[];
}

export interface PlanReport {
  /** The one that does the main work. */
  readonly device: string;
  /** Of the whole plan, milliseconds. */
  readonly expectedMs: number;
  readonly steps: readonly PlanStepReport[];
}

/** Times are what is expected, in milliseconds. */
export interface PlanStepReport {
  readonly step: string;
  readonly device: string;
  /** False: it never ran here, so that `taskMs` is a guess. */
  readonly measured: boolean;
  readonly queueMs: number;
  readonly taskMs: number;
  readonly loadMs: number;
  readonly totalMs: number;
}

export interface ModelReport {
  readonly name: string;
  readonly version: string;
  /** '' for one that a server has. */
  readonly path: string;
  readonly format: string;
  readonly maxBatchSize: number;
  readonly inputs: readonly TensorReport[];
  readonly outputs: readonly TensorReport[];
  readonly labels: number;
  readonly bytes: number;
  /** Why it cannot be used; undefined when it can. */
  readonly problem: string | undefined;
}

export interface TensorReport {
  readonly name: string;
  readonly dtype: DataTypeName;
  /** -1 stands for any. */
  readonly shape: readonly number[];
  /** True: it does not say how many dimensions it takes; `shape` is empty then, which alone is a scalar. */
  readonly anyRank?: boolean;
}
