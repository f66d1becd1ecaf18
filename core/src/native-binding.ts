/**
 * What the addon `core/native` (the plugin host) offers to TypeScript. One instance per Node environment:
 * plugins, devices and models are shared by the whole process, while queues, streams, arguments and
 * completions belong to the environment (main thread or worker) that made them.
 *
 * Small positional calls on purpose: reading an options object costs more than the call itself.
 * Ids are positive integers, never reused in an environment; those of tasks do not rise. Every function throws, and every promise rejects
 * with, a plain `Error` that carries `status` (an error code's number); `native-backend` makes `AxleError`s of
 * them. Passing an id that is unknown or already closed is status INVALID_ARGUMENT, never a crash.
 */

export interface NativeDeviceInfo {
  readonly id: string;
  readonly name: string;
  readonly kind: number;
  readonly flags: number;
  readonly memoryBytes: number;
  readonly parallel: number;
}

export interface NativeTensorSpec {
  readonly name: string;
  readonly dtype: number;
  /** -1 stands for any. */
  readonly dims: readonly number[];
}

export interface NativeArgSpec {
  readonly name: string;
  readonly doc: string;
  readonly type: number;
  readonly required: boolean;
}

export interface NativeOpInfo {
  readonly op: number;
  readonly version: number;
  /** Custom ops only, else ''. */
  readonly name: string;
  readonly doc: string;
  readonly flags: number;
  readonly chainFirst: number;
  readonly chainLast: number;
  readonly batchMax: number;
  readonly args: readonly NativeArgSpec[];
  readonly inputs: readonly NativeTensorSpec[];
  readonly outputs: readonly NativeTensorSpec[];
}

export interface NativePluginInfo {
  readonly pluginId: number;
  readonly name: string;
  readonly version: string;
  readonly abiMajor: number;
  readonly abiMinor: number;
  readonly devices: readonly NativeDeviceInfo[];
  readonly ops: readonly NativeOpInfo[];
  /** Whether the plugin fills the model slots. */
  readonly runsModels: boolean;
  /** Whether the plugin fills the stream slots. */
  readonly runsStreams: boolean;
}

export interface NativeModelInfo {
  readonly modelId: number;
  readonly inputs: readonly NativeTensorSpec[];
  readonly outputs: readonly NativeTensorSpec[];
  readonly memoryBytes: number;
}

export interface NativeHealth {
  readonly state: number;
  readonly message: string;
}

export interface NativeStatistics {
  readonly tasksCompleted: number;
  readonly tasksFailed: number;
  readonly batches: number;
  readonly computeNs: number;
  readonly memoryUsedBytes: number;
  readonly utilizationPercent: number;
  readonly temperatureCelsius: number;
}

/** One file of a model: a name relative to the model's folder, and its bytes. */
export interface NativeFile {
  readonly name: string;
  readonly data: Uint8Array;
}

/** `[name, argType, value]`; INT values are safe integers, FLOAT any number, BYTES a Uint8Array. */
export type NativeArg = readonly [
  name: string,
  type: number,
  value: boolean | number | string | Uint8Array,
];

/** `score` 0: the device does not run it, and `reason` says why. */
export interface NativeSupport {
  readonly score: number;
  readonly reason: string;
}

/**
 * One output chunk list of a task, chunks of one output already joined: `data` is the whole output unless several
 * chunks were emitted for it, in which case it is the list of them in order. Memory of 16 KiB and more is handed
 * over without a copy; the ArrayBuffer under it is the plugin host's and is freed by the garbage collector.
 */
export interface NativeOutput {
  readonly index: number;
  /** '' where the op's outputs are positional. */
  readonly name: string;
  readonly dtype: number;
  readonly dims: readonly number[];
  readonly data: Uint8Array | readonly Uint8Array[];
}

/** Numbers of one completion, `numbersPerCompletion` of them side by side in the array that the callback gets. */
export const completionField = {
  taskId: 0,
  status: 1,
  batchSize: 2,
  queueNs: 3,
  transferNs: 4,
  computeNs: 5,
  consumedBytes: 6,
  streamMore: 7,
} as const;
export const numbersPerCompletion = 8;

/**
 * Called once per wake-up of the event loop with all the completions that were there: `count` of them, their numbers
 * in `numbers` (valid only during the call), and in `payloads[i]` the outputs of an OK task, or the message of a
 * failed one. Runs inside a callback scope, so microtasks drain after it.
 */
export type CompletionHandler<O = NativeOutput> = (
  count: number,
  numbers: Float64Array,
  payloads: readonly (readonly O[] | string)[],
) => void;

/**
 * Makes what the handler gets for an output, the fields being those of `NativeOutput`: whoever wants another object
 * does not pay for two. `chunks` is the data as a list, `place` the output's place among those of its task.
 */
export type OutputMaker<O> = (
  place: number,
  index: number,
  name: string,
  dtype: number,
  dims: readonly number[],
  chunks: readonly Uint8Array[],
) => O;

/** A task's id modulo this is a small number that no other outstanding task of the environment has (kTasksMax). */
export const taskSlots = 2 ** 20;

/** Memory that is shared with another process, as the addon has it. */
export interface NativeMapping {
  readonly [mapping]: true;
}
declare const mapping: unique symbol;

export interface NativeBinding {
  /** ABI that the host speaks. */
  readonly abiMajor: number;
  readonly abiMinor: number;

  /** Must be called once before the first submit. The environment stays alive only while tasks are outstanding. */
  onCompletions(handler: CompletionHandler): void;
  onCompletions<O>(handler: CompletionHandler<O>, make: OutputMaker<O>): void;

  /** Levels as in plugin.h (1 debug .. 4 error). Lines logged with no handler go to stderr from WARN up. */
  onLog(handler: (level: number, plugin: string, message: string) => void): void;

  /**
   * Loads and opens a plugin on a thread of the pool; the same file with the same options is one shared instance.
   * Rejects with UNAVAILABLE when the plugin says that this machine lacks what it needs, NOT_FOUND when the file is
   * not there, FAILED_PRECONDITION when it is no Axle plugin, speaks another ABI or breaks a rule of it.
   */
  pluginOpen(path: string, options: Readonly<Record<string, string>>): Promise<NativePluginInfo>;
  /** Drops this environment's reference. The last one in the process closes the plugin; its code stays mapped. */
  pluginClose(pluginId: number): Promise<void>;
  health(pluginId: number, device: number): Promise<NativeHealth>;
  statistics(pluginId: number, device: number): Promise<NativeStatistics>;

  /** `model` is the not yet loaded model that the op would run, if any. `argsId` 0 is no arguments. */
  supports(
    pluginId: number,
    device: number,
    op: number,
    opVersion: number,
    chainFirst: number,
    chainLast: number,
    argsId: number,
    model: { name: string; format: string; files: readonly NativeFile[] } | null,
  ): NativeSupport;

  modelLoad(
    pluginId: number,
    device: number,
    name: string,
    format: string,
    files: readonly NativeFile[],
    settings: readonly NativeArg[],
  ): Promise<NativeModelInfo>;
  /** Waits for the model's outstanding tasks first. */
  modelUnload(modelId: number): Promise<void>;

  /** Arguments are encoded once and used by any number of tasks. Freed when the last task that uses them is done. */
  argsCreate(args: readonly NativeArg[]): number;
  argsFree(argsId: number): void;

  queueOpen(pluginId: number, device: number): number;
  /** Waits for the queue's outstanding tasks. */
  queueClose(queueId: number): Promise<void>;

  /**
   * Adds one task to the batch that the next `submit` sends, and returns its id. `inputs` is a flat list of
   * name (or null), dtype, dims, data, name, ...; data is one Uint8Array or a list of them (a scatter list), which the
   * host keeps alive and whose bytes must not change until completion. `modelId` and `argsId` may be 0.
   * `deadlineMs` is the time left from now; 0 is none. With `copiesInputs` they are copied, and may change from then on.
   * Outputs that the plugin allocates as AXLE_MEMORY_SHARED are laid `into` as far as they fit; the memory stays the
   * caller's. Throws INVALID_ARGUMENT, staging nothing, when an input's bytes do not match its shape and type, or a limit
   * is passed.
   */
  stage(
    op: number,
    opVersion: number,
    chainFirst: number,
    chainLast: number,
    modelId: number,
    argsId: number,
    inputs: readonly unknown[],
    outputBytesMax: number,
    deadlineMs: number,
    copiesInputs?: boolean,
    into?: Uint8Array,
  ): number;
  /** Drops all staged tasks. */
  unstage(): void;
  /** Submits all staged tasks as one batch, all or nothing; on a throw none of them was taken and all are dropped. */
  submit(queueId: number): void;
  /** Best effort. The task still completes, through the completion handler. Unknown ids are ignored. */
  cancel(taskId: number): void;

  streamOpen(
    pluginId: number,
    device: number,
    op: number,
    opVersion: number,
    argsId: number,
  ): number;
  /** One write at a time; returns the task id, and completes through the completion handler. */
  streamWrite(
    streamId: number,
    data: Uint8Array | null,
    end: boolean,
    outputBytesMax: number,
    deadlineMs: number,
  ): number;
  /** Cancels an outstanding write and closes the stream when that has completed. */
  streamClose(streamId: number): Promise<void>;

  /**
   * Memory that another process can be given: zeros, sealed so that it can neither shrink nor grow. The descriptor is the
   * caller's to close; the memory is mapped for as long as `mapping` or a range of it lives. Throws UNIMPLEMENTED where the system has
   * no such memory, RESOURCE_EXHAUSTED when it gives no more.
   */
  sharedMemoryCreate(bytes: number): {
    readonly mapping: NativeMapping;
    readonly descriptor: number;
  };
  /**
   * Sends `data` over a connected unix socket at once, with a copy of the descriptor on its first byte. Throws UNAVAILABLE when the
   * socket does not take it all.
   */
  sharedMemorySend(socket: number, data: Uint8Array, descriptor: number): void;
  /**
   * Connects to a unix socket, sends the request, and takes what is answered (at most 4 KiB) until the other side closes,
   * with the memory that came along, if any: `bytes` of it, mapped for as long as `mapping` or a range of it lives. Rejects with UNAVAILABLE when nobody answers, DEADLINE_EXCEEDED, and
   * FAILED_PRECONDITION for memory that is not sealed as above or larger than `bytesMax`.
   */
  sharedMemoryAttach(
    path: string,
    request: Uint8Array,
    bytesMax: number,
    timeoutMs: number,
  ): Promise<{
    readonly answer: Uint8Array;
    readonly mapping?: NativeMapping;
    readonly bytes?: number;
  }>;
  /** A part of a mapping as an ArrayBuffer of its own. Throws INVALID_ARGUMENT for what does not lie in it. */
  sharedMemoryRange(mapping: NativeMapping, offset: number, bytes: number): ArrayBuffer;
  /** Where the ranges start whose ArrayBuffers the garbage collector took since the last call. */
  sharedMemoryReturned(mapping: NativeMapping): number[];

  /**
   * Lanes: calls of the wire protocol that go from the bytes they came in to a queue, and whose results come back as
   * frames. To be called once. `receiver` is called for each lane with answers, which `numbers` counts: results, their
   * bytes, calls that come back, their bytes, bytes of inputs, ns on the device, and forgotten calls, which count in nothing else. In `frames` lie RESULTs, and behind
   * them, as they came, the CALLs that the device failed or whose outputs no frame holds.
   */
  laneConnect(numbers: Float64Array, frames: Uint8Array, receiver: (laneId: number) => void): void;
  /** @param numbers op, version, first and last step, outputBytesMax, tasks of a submit, payloadMax, device of RESULT */
  laneOpen(
    queueId: number,
    binding: number,
    argsId: number,
    numbers: readonly number[],
    namesOutputs: boolean,
    inputNames: readonly string[],
  ): number;
  /**
   * Takes and submits the CALLs that `bytes` begin with at `at`, while they are plain ones of the lane's binding with
   * handles that rise from past `handleMin`. Returns their bytes, with headers; `numbers` has how many, the bytes of
   * their inputs and the last handle. What is wrong with what it does not take is not its business.
   */
  laneTake(
    laneId: number,
    bytes: Uint8Array,
    at: number,
    callsMax: number,
    handleMin: number,
  ): number;
  /** Nobody waits for the call any more. Returns the bytes of its inputs; -1: it is not in flight. */
  laneForget(laneId: number, handle: number): number;
  /** The same for all of the lane's. */
  laneForgetAll(laneId: number): void;
  /** Throws FAILED_PRECONDITION while the device has calls of it, forgotten or not. */
  laneClose(laneId: number): void;

  /** For tests and `axle devices`: tasks now outstanding in this environment, and bytes of output memory in use. */
  counters(): {
    readonly tasksOutstanding: number;
    readonly outputBytes: number;
    readonly pluginFaults: number;
  };
}
