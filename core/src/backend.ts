import type { Cancellation } from './cancellation.js';
import type { AxleError } from './errors.js';
import type {
  ArgTypeName,
  DataTypeName,
  DeviceKindName,
  HealthStateName,
} from './generated/constants.js';
import type { Lane, LaneCaller, LaneListener, LaneWire } from './native-lanes.js';
import type { OpArgs, OpRange } from './op.js';
import type { Preference } from './plans/router.js';
import type { FailedAttempt, StepReport } from './results.js';
import type { Tensor } from './tensor.js';
import type { TraceContext } from './trace-context.js';

/**
 * Everything that can run an op is a Backend: a native plugin in this process, image decoding in the host, a server
 * across the network. Core asks it what it offers and hands it batches; what differs between backends is declared
 * here, never tested for.
 */
export interface Backend {
  /** Unique in a registry: 'cpu-fallback', 'host'. */
  readonly name: string;
  readonly version: string;
  /** `here`: core forms the batches. `there`: the far side does, and core sends each task at once. */
  readonly batches: 'here' | 'there';
  readonly devices: readonly Device[];
  readonly ops: readonly OfferedOp[];

  /**
   * Calls `listener` whenever `devices` or `ops` have grown. What was in them stays, under the same numbers. Absent: they
   * never grow.
   */
  onGrown?(listener: () => void): void;

  /** How well a device runs something; quick, and touches no hardware. */
  supports(device: Device, query: SupportQuery): Support;

  /** Whether the device has a model whose files are not in this process; without it: none. */
  hasElsewhere?(device: Device, source: ModelSource): boolean;

  /** @throws AxleError as the backend says; INVALID_ARGUMENT for a model that is damaged. */
  loadModel(device: Device, source: ModelSource): Promise<LoadedModel>;
  /**
   * Where `loadModel` does not wait for the device: settles when the model is there.
   *
   * @param tenant who asks
   * @throws AxleError as the device says.
   */
  prefetchModel?(model: LoadedModel, tenant: string): Promise<void>;
  /** Called when no task uses the model. */
  unloadModel(model: LoadedModel): Promise<void>;

  /**
   * Takes all tasks of a batch or throws having taken none. They are of one range; tasks of a batchable op also share
   * model, arguments, and input shapes as far as the submit of plugin.h says. Each task's `settle` is called exactly
   * once, never before this returns.
   */
  submit(device: Device, batch: readonly BackendTask[]): void;
  /**
   * It copies inputs that `mayChange` itself, where that is needed. Absent: it is given copies.
   */
  readonly takesInputsThatChange?: true;
  /**
   * Memory that inputs and outputs of its tasks can lie in without being copied on the way to the device.
   *
   * @returns undefined: there is none to have.
   */
  allocate?(byteLength: number): Promise<Uint8Array | undefined>;
  /**
   * Keeps a tensor where its tasks run, for those that name it; it has a `place` of this backend then. Absent: it keeps none,
   * and of tasks that ask for it the outputs come as ever.
   *
   * @throws AxleError as the backend says; the reason of `cancellation`.
   */
  keep?(tensor: Tensor, cancellation: Cancellation): Promise<Tensor>;
  /** Best effort; the task still settles. */
  cancel(task: BackendTask): void;

  /** Whether this one of its devices offers one of `ops`; absent: all of them do. */
  offers?(device: Device, op: OpRange): boolean;

  /**
   * Of a backend that shares its devices out itself: a tenant had so much time of other devices of the pool that this one is
   * of. Absent: it has no use for it.
   */
  chargeElsewhere?(device: Device, tenant: string, deviceMs: number): void;

  /** @throws AxleError UNIMPLEMENTED where the op is not streamable. */
  openStream(device: Device, range: OpRange, args: OpArgs, options: StreamOptions): BackendStream;

  /**
   * Opens a way for calls of one kind that are cheap, from the bytes of a connection to the device and back without
   * an object for each on their way through core; absent, or undefined: there is none.
   */
  openLane?(
    device: Device,
    range: OpRange,
    args: OpArgs,
    outputBytesMax: number,
    batchMax: number,
    wire: LaneWire,
    listener: LaneListener,
    caller: LaneCaller,
  ): Lane | undefined;

  health(device: Device): Promise<Health>;
  /** Ends what is outstanding and frees everything. */
  close(): Promise<void>;
}

export interface Device {
  /** Unique in a registry and stable over restarts: 'cpu-fallback:0'. */
  readonly id: string;
  readonly backend: string;
  /** Position in the backend's list. */
  readonly index: number;
  /** For people. */
  readonly name: string;
  /** Of what runs it, where that is not the backend itself. */
  readonly version?: string;
  readonly kind: DeviceKindName;
  /** Not the hardware that it stands for. */
  readonly emulated: boolean;
  /** That models and buffers share; 0 = not known. */
  readonly memoryBytes: number;
  /** Batches that make progress at once. */
  readonly parallel: number;
  /** Whether a caller who names this means a part of it, such as one server of a pool. Absent: it has no parts. */
  readonly includes?: (name: string) => boolean;
}

export interface OfferedOp extends OpRange {
  readonly flags: number;
  /** Most tasks computed together; 0 = no limit of its own. */
  readonly batchMax: number;
  /** Of a custom op. */
  readonly spec?: CustomOpSpec;
}

/** What a custom op takes and gives, as its plugin describes it. */
export interface CustomOpSpec {
  readonly doc: string;
  readonly args: readonly ArgSpec[];
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
}

export interface ArgSpec {
  readonly name: string;
  readonly type: ArgTypeName;
  readonly doc: string;
  readonly required: boolean;
}

export interface SupportQuery {
  readonly range: OpRange;
  readonly args: OpArgs;
  readonly model: ModelSource | undefined;
}

/** `score` 0: does not run it, and `reason` says why. Higher is better. */
export interface Support {
  readonly score: number;
  readonly reason: string;
}

/** The bytes of a model: what a device loads. */
export interface ModelSource {
  readonly name: string;
  readonly format: 'onnx';
  /** SHA-256 of the canonical manifest, hex: equal for equal content. */
  readonly contentId: string;
  /** The same of files and companions together: equal for what is run alike, too. Absent: the content id. */
  readonly servingId?: string | undefined;
  /** The model itself first; names are relative to the model's folder. */
  readonly files: readonly ModelFile[];
  /**
   * What says how the model is run, for a backend that reads that itself: its config and labels, named as in the
   * model's folder. Not part of the content id.
   */
  readonly companions?: readonly ModelFile[];
}

export interface ModelFile {
  readonly name: string;
  readonly data: Uint8Array;
}

export interface TensorSpec {
  readonly name: string;
  readonly dtype: DataTypeName;
  /** -1 stands for any size; dimension 0 is -1 where the model takes a batch. */
  readonly shape: readonly number[];
  /** The model does not say how many dimensions it takes; `shape` is empty then. */
  readonly anyRank?: boolean;
}

export interface LoadedModel {
  readonly source: ModelSource;
  readonly device: Device;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** On the device; 0 = not known. */
  readonly memoryBytes: number;
  /** The backend's own handle. */
  readonly handle: unknown;
}

export interface NamedTensor {
  /** '' where inputs or outputs are positional. */
  readonly name: string;
  readonly tensor: Tensor;
  /** Of an output, only where its device left out one before it: not the place in the list then. */
  readonly position?: number;
}

/** One unit of work on its way to a device. */
export interface BackendTask {
  readonly range: OpRange;
  readonly args: OpArgs;
  readonly model: LoadedModel | undefined;
  readonly inputs: readonly NamedTensor[];
  readonly outputBytesMax: number;
  /** Where outputs may be laid, as far as the backend can and they fit; others come in memory of its own. */
  readonly into?: Uint8Array | undefined;
  /** Outputs are to stay with the backend, as far as it can keep them. */
  readonly keeps?: boolean | undefined;
  /** On the runtime's clock, milliseconds; undefined = none. */
  readonly deadlineAt: number | undefined;
  /** -100..100, higher first. Core has put its tasks in order; a backend that queues them again goes by it. */
  readonly priority: number;
  /** Whose it is, for backends that share a device out themselves. */
  readonly tenant: string;
  /** The span that it is part of, for backends in other processes. */
  readonly trace?: TraceContext | undefined;
  /** What the caller wants, for a device that is made of several. */
  readonly preference?: Preference | undefined;
  /** The call as it came, to be handed on as it is; its inputs are then read only where they are needed. */
  readonly asCame?: CallAsCame | undefined;
  /** The backend's own, from submit on: by a WeakMap each collection of garbage would look at every task there is. */
  backendData?: unknown;
  settle(outcome: TaskOutcome): void;
}

/** A CALL of the wire protocol in the memory that it came in. */
export interface CallAsCame {
  readonly memory: Uint8Array;
  /** Its payload. */
  readonly start: number;
  readonly end: number;
  /** Of the inputs: one for each of its tensors, in this order. */
  readonly inputNames: readonly string[];
  readonly inputBytes: number;
}

/** The payload of a RESULT of the wire protocol. It is valid until `settle` returns. */
export interface ResultAsCame {
  readonly memory: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/**
 * `settledAt`: when it came, on the runtime's clock, from a backend to which many come at once and which reads the clock
 * once for all of them.
 */
export type TaskOutcome =
  | {
      readonly ok: true;
      readonly outputs: readonly NamedTensor[];
      readonly timing: TaskTiming;
      readonly settledAt?: number;
      /** How a backend ran it that planned the task itself. */
      readonly making?: TaskMaking | undefined;
      /** Of a task that was handed on as it came: its answer, and `outputs` has nothing. */
      readonly asCame?: ResultAsCame | undefined;
    }
  | {
      readonly ok: false;
      readonly error: AxleError;
      readonly settledAt?: number;
      /** The device is sure not to have begun it, so that it may run again whatever its op is. */
      readonly neverBegan?: boolean;
    };

export interface TaskMaking {
  readonly steps: readonly StepReport[];
  readonly fallbacks: readonly FailedAttempt[];
}

export interface TaskTiming {
  /** Inside the backend, before work on it began. */
  readonly queueMs: number;
  readonly transferMs: number;
  readonly computeMs: number;
  /** Tasks that were computed together, this one included. */
  readonly batchSize: number;
}

/** Advice to backends that queue: whoever opened the stream ends it in time all the same. */
export interface StreamOptions {
  /** On the runtime's clock, milliseconds; undefined = none. */
  readonly deadlineAt: number | undefined;
  readonly priority: number;
  readonly tenant: string;
  readonly trace?: TraceContext | undefined;
}

/** One ordered stream on a device. Writes do not overlap. */
export interface BackendStream {
  /** Not to be changed by the caller until the promise settles. */
  write(
    data: Uint8Array | undefined,
    end: boolean,
    outputBytesMax: number,
  ): Promise<StreamWriteResult>;
  /**
   * Settles when output waits that no write has asked for, or the stream has failed, which the next write says. Absent:
   * output comes with writes only.
   */
  whenReady?(): Promise<void>;
  /** Ends it, finished or not; an outstanding write is cancelled. */
  close(): Promise<void>;
}

export interface StreamWriteResult {
  readonly chunks: readonly Uint8Array[];
  /** Bytes of the input that were used up. */
  readonly consumedBytes: number;
  /** More output waits: write again before new input. */
  readonly more: boolean;
  readonly timing: TaskTiming;
}

export interface Health {
  readonly state: HealthStateName;
  /** Why it is not OK. */
  readonly message: string;
}
