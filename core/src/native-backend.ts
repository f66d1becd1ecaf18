import { performance } from 'node:perf_hooks';

import type {
  Backend,
  BackendStream,
  BackendTask,
  CustomOpSpec,
  Device,
  Health,
  LoadedModel,
  ModelSource,
  NamedTensor,
  OfferedOp,
  StreamWriteResult,
  Support,
  SupportQuery,
  TaskOutcome,
  TaskTiming,
  TensorSpec,
} from './backend.js';
import { dataTypeNameOf } from './data-types.js';
import { AxleError, errorCodeOf, messageOf } from './errors.js';
import {
  ArgType,
  DataType,
  DeviceFlag,
  DeviceKind,
  HealthState,
  type ArgTypeName,
  type DataTypeName,
  type DeviceKindName,
} from './generated/constants.js';
import type {
  NativeArg,
  NativeBinding,
  NativeDeviceInfo,
  NativeModelInfo,
  NativeOpInfo,
  NativePluginInfo,
  NativeTensorSpec,
} from './native-binding.js';
import { internalized } from './internalized.js';
import { NativeLanes, type LaneListener, type LaneWire, type NativeLane } from './native-lanes.js';
import { loadNativeBinding } from './native-loader.js';
import { completionField, numbersPerCompletion, taskSlots } from './native-binding.js';
import { copiedBytes } from './copied-bytes.js';
import {
  argsKey,
  argTypeOf,
  FloatArg,
  hasFlag,
  sameRange,
  type OpArgs,
  type OpRange,
} from './op.js';
import { timesWithin } from './plausible-times.js';
import type { PluginSpec } from './plugin-spec.js';
import { adoptTensor } from './tensor.js';

/** A plugin's file, with the options that it is opened with. */
/** Distinct argument sets kept encoded in the addon. */
const argsCacheMax = 256;

const msPerNs = 1e-6;

/** In the list that `stage` takes. */
const valuesPerInput = 4;

/** What a completion is handed to. */
interface Pending {
  /**
   * @param consumedBytes of a write to a stream: of its input.
   * @param more of a write to a stream: more output waits, write again before new input.
   */
  settle(outcome: TaskOutcome, consumedBytes: number, more: boolean): void;
}

/** The outcome of a task that succeeded and its timing: one object, for one is made for each call. */
class NativeSuccess implements TaskTiming {
  readonly ok = true;
  readonly queueMs: number;
  readonly transferMs: number;
  readonly computeMs: number;

  /** @param submittedAt what the device says it took is believed within the time since then. */
  constructor(
    readonly outputs: readonly NamedTensor[],
    submittedAt: number,
    readonly settledAt: number,
    queueMs: number,
    transferMs: number,
    computeMs: number,
    readonly batchSize: number,
  ) {
    const times = timesWithin(settledAt - submittedAt, queueMs, transferMs, computeMs);
    this.queueMs = times.queueMs;
    this.transferMs = times.transferMs;
    this.computeMs = times.computeMs;
  }

  get timing(): TaskTiming {
    return this;
  }
}

/**
 * Tasks that the addon has, by its ids. An array by slot and not a Map: a Map from which as much is deleted as is added
 * makes a new table every few calls, and the old tables keep what was in them alive until the next full collection.
 */
class PendingTasks {
  private readonly ids: number[] = [];
  private readonly tasks: (Pending | undefined)[] = [];
  private readonly times: number[] = [];

  /** @param submittedAt by `performance.now` */
  add(id: number, pending: Pending, submittedAt: number): void {
    const slot = id % taskSlots;
    // Slots are given out from 0 up, so that the arrays have no holes.
    this.ids[slot] = id;
    this.tasks[slot] = pending;
    this.times[slot] = submittedAt;
  }

  /** Of a task whose slot no later one has. */
  submittedAt(id: number): number {
    return this.times[id % taskSlots] ?? 0;
  }

  take(id: number): Pending | undefined {
    const slot = id % taskSlots;
    if (this.ids[slot] !== id) return undefined;
    const pending = this.tasks[slot];
    this.tasks[slot] = undefined;
    return pending;
  }

  idOf(pending: Pending): number | undefined {
    return this.ids[this.tasks.indexOf(pending)];
  }
}

/** The addon in this Node environment: opens plugins, and hands completions to the tasks that they are of. */
export class NativeHost {
  private static instance: NativeHost | undefined;
  private readonly pending = new PendingTasks();
  private readonly lanes: NativeLanes;

  /**
   * The one of this environment: completions have one handler.
   *
   * @throws AxleError FAILED_PRECONDITION when the addon is not built or does not load.
   */
  static shared(): NativeHost {
    NativeHost.instance ??= new NativeHost(loadNativeBinding());
    return NativeHost.instance;
  }

  private constructor(private readonly binding: NativeBinding) {
    this.lanes = new NativeLanes(binding);
    binding.onCompletions((count, numbers, payloads) => {
      const now = performance.now();
      for (let i = 0; i < count; i++) {
        this.complete(numbers, i * numbersPerCompletion, payloads[i] ?? '', now);
      }
    }, makeOutput);
  }

  /**
   * @throws AxleError UNAVAILABLE with the reason when this machine lacks what the plugin needs; NOT_FOUND or
   * FAILED_PRECONDITION when the file is no plugin of this ABI; NOT_FOUND also when it has fewer devices.
   */
  async open(spec: PluginSpec): Promise<RenamedBackend> {
    const info = await rethrown(this.binding.pluginOpen(spec.path, spec.options ?? {}));
    const { device } = spec;
    if (device !== undefined && device >= info.devices.length) {
      await rethrown(this.binding.pluginClose(info.pluginId));
      const has = `it has ${info.devices.length} here, counted from 0`;
      throw new AxleError('NOT_FOUND', `plugin '${info.name}' has no device ${device}: ${has}`);
    }
    return new NativeBackend(this.binding, this.pending, this.lanes, info, device, info.name);
  }

  private complete(
    numbers: Float64Array,
    at: number,
    payload: readonly NamedTensor[] | string,
    now: number,
  ): void {
    const taskId = numbers[at + completionField.taskId] as number;
    const pending = this.pending.take(taskId);
    if (pending === undefined) return;
    const consumedBytes = numbers[at + completionField.consumedBytes] as number;
    const more = numbers[at + completionField.streamMore] !== 0;
    if (typeof payload === 'string') {
      const code = errorCodeOf(numbers[at + completionField.status] as number);
      const error = new AxleError(code, payload);
      pending.settle({ ok: false, error, settledAt: now }, consumedBytes, more);
      return;
    }
    const success = new NativeSuccess(
      payload,
      this.pending.submittedAt(taskId),
      now,
      (numbers[at + completionField.queueNs] as number) * msPerNs,
      (numbers[at + completionField.transferNs] as number) * msPerNs,
      (numbers[at + completionField.computeNs] as number) * msPerNs,
      Math.max(1, numbers[at + completionField.batchSize] as number),
    );
    pending.settle(success, consumedBytes, more);
  }
}

/** A backend that another may stand in for, of the same plugin and devices under another name. */
export interface RenamedBackend extends Backend {
  /** To be called before it is used, which it is not afterwards. */
  readonly renamed: (name: string) => Backend;
}

class NativeBackend implements RenamedBackend {
  readonly batches = 'here';
  readonly takesInputsThatChange = true;
  readonly version: string;
  readonly devices: readonly Device[];
  readonly ops: readonly OfferedOp[];
  private readonly args: ArgsCache;
  private readonly queues = new Map<number, number>();

  constructor(
    private readonly binding: NativeBinding,
    private readonly pending: PendingTasks,
    private readonly lanes: NativeLanes,
    private readonly plugin: NativePluginInfo,
    private readonly onlyDevice: number | undefined,
    readonly name: string,
  ) {
    this.version = plugin.version;
    this.devices = plugin.devices
      .map((info, index) => readDevice(name, info, index))
      .filter(({ index }) => onlyDevice === undefined || index === onlyDevice);
    this.ops = plugin.ops.map((op) => ({
      op: op.op,
      version: op.version,
      first: op.chainFirst,
      last: op.chainLast,
      name: internalized(op.name),
      flags: op.flags,
      batchMax: op.batchMax,
      ...(op.name === '' ? {} : { spec: readCustomOp(op) }),
    }));
    this.args = new ArgsCache(binding);
  }

  renamed(name: string): Backend {
    const { binding, pending, lanes, plugin, onlyDevice } = this;
    return new NativeBackend(binding, pending, lanes, plugin, onlyDevice, name);
  }

  supports(device: Device, { range, args, model }: SupportQuery): Support {
    return rethrowing(() =>
      this.binding.supports(
        this.plugin.pluginId,
        device.index,
        range.op,
        range.version,
        range.first,
        range.last,
        this.args.idOf(args),
        model ?? null,
      ),
    );
  }

  async loadModel(device: Device, source: ModelSource): Promise<LoadedModel> {
    const info = await rethrown(
      this.binding.modelLoad(
        this.plugin.pluginId,
        device.index,
        source.name,
        source.format,
        source.files,
        [],
      ),
    );
    return {
      source,
      device,
      inputs: info.inputs.map(readTensorSpec),
      outputs: info.outputs.map(readTensorSpec),
      memoryBytes: info.memoryBytes,
      handle: info,
    };
  }

  async unloadModel(model: LoadedModel): Promise<void> {
    await rethrown(this.binding.modelUnload(modelIdOf(model)));
  }

  submit(device: Device, batch: readonly BackendTask[]): void {
    const queue = this.queueOf(device);
    const now = performance.now();
    const ids = rethrowing(() => this.stageAll(batch, now));
    rethrowing(() => {
      this.binding.submit(queue);
    });
    for (let i = 0; i < ids.length; i++) {
      this.pending.add(ids[i] as number, batch[i] as BackendTask, now);
    }
  }

  cancel(task: BackendTask): void {
    const id = this.pending.idOf(task);
    if (id !== undefined) this.binding.cancel(id);
  }

  openStream(device: Device, range: OpRange, args: OpArgs): BackendStream {
    const { pluginId } = this.plugin;
    const streamId = rethrowing(() =>
      this.binding.streamOpen(
        pluginId,
        device.index,
        range.op,
        range.version,
        this.args.idOf(args),
      ),
    );
    return new NativeStream(this.binding, this.pending, streamId);
  }

  openLane(
    device: Device,
    range: OpRange,
    args: OpArgs,
    outputBytesMax: number,
    batchMax: number,
    wire: LaneWire,
    listener: LaneListener,
  ): NativeLane {
    const { op, version, first, last } = range;
    const kind = { op, version, first, last, outputBytesMax, batchMax };
    return rethrowing(() =>
      this.lanes.open(
        { ...kind, queueId: this.queueOf(device), argsId: this.args.idOf(args) },
        wire,
        listener,
      ),
    );
  }

  async health(device: Device): Promise<Health> {
    const health = await rethrown(this.binding.health(this.plugin.pluginId, device.index));
    return { state: nameOf(HealthState, health.state, 'LOST'), message: health.message };
  }

  async close(): Promise<void> {
    await Promise.all([...this.queues.values()].map((id) => rethrown(this.binding.queueClose(id))));
    this.queues.clear();
    this.args.clear();
    await rethrown(this.binding.pluginClose(this.plugin.pluginId));
  }

  /** All or none: what stays staged would go with the next batch. */
  private stageAll(batch: readonly BackendTask[], now: number): number[] {
    try {
      const ids: number[] = [];
      for (const task of batch) ids.push(this.stage(task, now));
      return ids;
    } catch (error) {
      this.binding.unstage();
      throw error;
    }
  }

  private stage(task: BackendTask, now: number): number {
    const { range } = task;
    const inputs: unknown[] = new Array<unknown>(valuesPerInput * task.inputs.length);
    let at = 0;
    let bytesThatChange = 0;
    for (const { name, tensor } of task.inputs) {
      const { dtype, shape, segments } = tensor;
      if (tensor.mayChange) bytesThatChange += tensor.byteLength;
      inputs[at++] = name === '' ? null : name;
      inputs[at++] = DataType[dtype];
      inputs[at++] = shape;
      inputs[at++] = segments.length === 1 ? segments[0] : segments;
    }
    const copiesInputs = bytesThatChange > 0 && !this.readsWhatChanges(range);
    if (copiesInputs) copiedBytes.add(bytesThatChange);
    return this.binding.stage(
      range.op,
      range.version,
      range.first,
      range.last,
      task.model === undefined ? 0 : modelIdOf(task.model),
      this.args.idOf(task.args),
      inputs,
      task.outputBytesMax,
      task.deadlineAt === undefined ? 0 : Math.max(task.deadlineAt - now, 0.001),
      copiesInputs,
      task.into,
    );
  }

  private readsWhatChanges(range: OpRange): boolean {
    const op = this.ops.find((offered) => sameRange(offered, range));
    return op !== undefined && hasFlag(op.flags, 'INPUTS_MAY_CHANGE');
  }

  private queueOf(device: Device): number {
    let queue = this.queues.get(device.index);
    if (queue === undefined) {
      queue = rethrowing(() => this.binding.queueOpen(this.plugin.pluginId, device.index));
      this.queues.set(device.index, queue);
    }
    return queue;
  }
}

class NativeStream implements BackendStream {
  constructor(
    private readonly binding: NativeBinding,
    private readonly pending: PendingTasks,
    private readonly streamId: number,
  ) {}

  async write(
    data: Uint8Array | undefined,
    end: boolean,
    outputBytesMax: number,
  ): Promise<StreamWriteResult> {
    return await new Promise<StreamWriteResult>((resolve, reject) => {
      const now = performance.now();
      const id = rethrowing(() =>
        this.binding.streamWrite(this.streamId, data ?? null, end, outputBytesMax, 0),
      );
      this.pending.add(
        id,
        {
          settle: (outcome, consumedBytes, more) => {
            if (!outcome.ok) {
              reject(outcome.error);
              return;
            }
            const chunks = outcome.outputs.flatMap(({ tensor }) => tensor.segments);
            resolve({ chunks, consumedBytes, more, timing: outcome.timing });
          },
        },
        now,
      );
    });
  }

  async close(): Promise<void> {
    await rethrown(this.binding.streamClose(this.streamId));
  }
}

/** Arguments are encoded once in the addon and named by a number afterwards. The oldest go first. */
class ArgsCache {
  private readonly ids = new Map<string, number>();
  /** Callers pass the same object again and again: found without making its key. */
  private readonly idByObject = new WeakMap<
    OpArgs,
    { readonly key: string; readonly id: number }
  >();

  /** The last object that turned out to have no arguments, as most calls have none. */
  private lastWithout: OpArgs | undefined;

  constructor(private readonly binding: NativeBinding) {}

  idOf(args: OpArgs): number {
    if (args === this.lastWithout) return 0;
    const known = this.idByObject.get(args);
    if (known !== undefined && (known.id === 0 || this.ids.get(known.key) === known.id)) {
      return known.id;
    }
    const key = argsKey(args);
    const id = key === '' ? 0 : (this.ids.get(key) ?? this.create(args));
    this.idByObject.set(args, { key, id });
    if (id === 0) {
      this.lastWithout = args;
      return id;
    }
    this.ids.delete(key);
    this.ids.set(key, id);
    if (this.ids.size > argsCacheMax) this.dropOldest();
    return id;
  }

  clear(): void {
    for (const id of this.ids.values()) this.binding.argsFree(id);
    this.ids.clear();
  }

  private create(args: OpArgs): number {
    const list = Object.entries(args).map(([name, value]): NativeArg => [
      name,
      argTypeOf(value),
      value instanceof FloatArg ? value.value : value,
    ]);
    return this.binding.argsCreate(list);
  }

  private dropOldest(): void {
    const oldest = this.ids.entries().next().value;
    if (oldest === undefined) return;
    this.ids.delete(oldest[0]);
    this.binding.argsFree(oldest[1]);
  }
}

/** `dims` are those of all chunks together; the addon has checked them against the bytes. */
function makeOutput(
  place: number,
  index: number,
  name: string,
  dtype: number,
  dims: readonly number[],
  chunks: readonly Uint8Array[],
): NamedTensor {
  const tensor = adoptTensor(dataTypeName(dtype), chunks, dims);
  return index === place ? { name, tensor } : { name, tensor, position: index };
}

function readDevice(backend: string, info: NativeDeviceInfo, index: number): Device {
  return {
    id: `${backend}:${info.id}`,
    backend,
    index,
    name: info.name,
    kind: nameOf<DeviceKindName>(DeviceKind, info.kind, 'OTHER'),
    emulated: (info.flags & DeviceFlag.EMULATED) !== 0,
    memoryBytes: info.memoryBytes,
    parallel: info.parallel,
  };
}

function readCustomOp({ doc, args, inputs, outputs }: NativeOpInfo): CustomOpSpec {
  return {
    doc,
    args: args.map((arg) => ({ ...arg, type: nameOf<ArgTypeName>(ArgType, arg.type, 'BYTES') })),
    inputs: inputs.map(readTensorSpec),
    outputs: outputs.map(readTensorSpec),
  };
}

function readTensorSpec(spec: NativeTensorSpec): TensorSpec {
  return { name: internalized(spec.name), dtype: dataTypeName(spec.dtype), shape: spec.dims };
}

function dataTypeName(id: number): DataTypeName {
  const name = dataTypeNameOf(id);
  if (name !== undefined) return name;
  throw new AxleError('INTERNAL', `the plugin gave a tensor of the unknown type ${id}`);
}

function nameOf<N extends string>(table: Readonly<Record<N, number>>, id: number, otherwise: N): N {
  const names = Object.keys(table) as N[];
  return names.find((name) => table[name] === id) ?? otherwise;
}

function modelIdOf(model: LoadedModel): number {
  return (model.handle as NativeModelInfo).modelId;
}

/** The addon throws plain errors with a status number; everyone else sees AxleError. */
function toAxleError(error: unknown): unknown {
  const status = error instanceof Error ? (error as { status?: unknown }).status : undefined;
  if (typeof status !== 'number') return error;
  return new AxleError(errorCodeOf(status), messageOf(error));
}

function rethrowing<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw toAxleError(error);
  }
}

async function rethrown<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw toAxleError(error);
  }
}
